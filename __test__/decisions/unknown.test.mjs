// @ts-check
// Why a reaction cannot be learned from, as programs are told it (`reason`) and as people are; how many decisions of a user can be
// revised; and that no first reaction is lost, in whatever order several threads react.

import assert from 'node:assert/strict'
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'

import { Bandits, BanditError, replay } from '@oo/bandits'
import { run } from '../support/child.mjs'
import { linesIn, segmentsIn } from '../support/log-lines.mjs'
import { assertRefuses } from '../support/refusal.mjs'
import { POLICIES } from '../support/standing.mjs'
import { contentsOf, emptyDirectory, openEngine, stateIn } from '../support/state-dir.mjs'
import { startWorker } from '../support/worker.mjs'

/** @typedef {'invalid' | 'expired' | 'reset' | 'superseded' | 'otherUser'} Reason */

const STANDARD = 64
const FILES = ['u.json', 'u_egreedy.json', 'u_egreedy_v2.json']

/** @param {Bandits} bandits */
const decide = (bandits, userId = 'u') => bandits.recommend({ userId, candidates: [{ id: 'a' }, { id: 'b', features: { priority: 3 } }] }).decisionId
/** @param {Bandits} bandits */
const countOf = (bandits, userId = 'u') => POLICIES.map((policy) => bandits.stats(userId, policy).rewardCount)

/** @param {Reason} reason @param {RegExp} text @param {() => unknown} call */
function assertUnknown(reason, text, call) {
  assert.throws(call, (error) => {
    assert.ok(error instanceof BanditError)
    assert.deepEqual([error.code, error.reason, error.retryable], ['ERR_UNKNOWN_DECISION', reason, false], error.message)
    assert.match(error.message, /^decisionId: /)
    assert.match(error.message, text)
    return true
  })
}

describe('reason', () => {
  test("'invalid': there is no such decision", (t) => {
    const stateDir = emptyDirectory(t)
    const bandits = openEngine(t, { stateDir })
    const [epoch, n] = decide(bandits).split('.').map(Number)
    for (const decisionId of [`${epoch}.${Number(n) + 1000}`, `${Number(epoch) + 7}.1`, '4294967295.9007199254740991', `${epoch}.0`]) assertUnknown('invalid', /no decision .* was made in this directory/, () => bandits.feedback({ decisionId, action: 'done' }))
  })
  test("'invalid': the log that had it was deleted", async (t) => {
    const stateDir = emptyDirectory(t)
    const bandits = openEngine(t, { stateDir })
    const decisionId = decide(bandits)
    await bandits.close()
    rmSync(join(stateDir, 'log'), { recursive: true })
    const again = openEngine(t, { stateDir })
    assertUnknown('invalid', /deleted/, () => again.feedback({ decisionId, action: 'done' }))
  })
  test("'expired': the log was cut", async (t) => {
    const stateDir = emptyDirectory(t)
    const bandits = openEngine(t, { stateDir })
    const decisionId = decide(bandits)
    await bandits.close()
    await openEngine(t, { stateDir }).close()
    rmSync(join(stateDir, 'log', String(segmentsIn(stateDir)[0])))
    const again = openEngine(t, { stateDir })
    assertUnknown('expired', /logRetentionBytes/, () => again.feedback({ decisionId, action: 'done' }))
  })
  test("'reset': before the user's last reset, also after a restart and where 64 later ones were reacted to", async (t) => {
    const stateDir = emptyDirectory(t)
    const bandits = openEngine(t, { stateDir })
    const [used, unused] = [decide(bandits), decide(bandits)]
    bandits.feedback({ decisionId: used, action: 'done' })
    bandits.reset('u')
    const later = Array.from({ length: STANDARD + 3 }, () => decide(bandits))
    /** @param {Bandits} engine */
    const check = (engine) => {
      for (const decisionId of [used, unused]) assertUnknown('reset', /reset/, () => engine.feedback({ decisionId, action: 'dismiss' }))
    }
    check(bandits)
    for (const decisionId of later) bandits.feedback({ decisionId, action: 'done' })
    check(bandits)
    await bandits.close()
    const again = openEngine(t, { stateDir })
    check(again)
    assertUnknown('superseded', /revisableDecisions/, () => again.feedback({ decisionId: String(later[0]), action: 'dismiss' }))
    assert.equal(again.feedback({ decisionId: String(later[3]), action: 'dismiss' }).revision, true)
  })
  test("'superseded': reacted to, and pushed out since", (t) => {
    const bandits = openEngine(t)
    const decided = Array.from({ length: STANDARD + 5 }, () => decide(bandits))
    for (const decisionId of decided) bandits.feedback({ decisionId, action: 'done' })
    for (const [i, decisionId] of decided.entries()) {
      if (i < 5) assertUnknown('superseded', /the last 64 .*revisableDecisions/, () => bandits.feedback({ decisionId, action: 'dismiss' }))
      else assert.equal(bandits.feedback({ decisionId, action: 'dismiss' }).applied, true)
    }
    assert.equal(bandits.health().refused.superseded, 5)
  })
  test("'otherUser': made for somebody else, whatever else is true of it", (t) => {
    const bandits = openEngine(t)
    const [own, others] = [decide(bandits), decide(bandits, 'somebody else')]
    for (const userId of ['v', 'U', 'somebody', 'u '.repeat(200)]) {
      assertUnknown('otherUser', /userId/, () => bandits.feedback({ decisionId: own, action: 'done', userId }))
      assert.throws(() => bandits.feedback({ decisionId: others, action: 'done', userId }), ({ message }) => !message.includes('somebody else'))
    }
    bandits.reset('somebody else')
    assertUnknown('otherUser', /userId/, () => bandits.feedback({ decisionId: others, action: 'done', userId: 'u' }))
    assert.deepEqual([countOf(bandits), countOf(bandits, 'v')], [[0, 0, 0], [0, 0, 0]])
    assert.equal(bandits.health().refused.otherUser, 9)
    assert.equal(bandits.feedback({ decisionId: own, action: 'done', userId: 'u' }).applied, true)
    for (const userId of [null, 5, '', '\ud800', 'x'.repeat(513)]) assertRefuses(() => bandits.feedback({ decisionId: own, action: 'done', userId: /** @type {any} */ (userId) }), 'ERR_INVALID_ARGUMENT', 'userId')
  })
  test('ids of users are compared as they are, in any script', (t) => {
    const bandits = openEngine(t)
    for (const userId of ['Жанна', '名前', 'a😀b', 'ünï', 'x'.repeat(512), '✓'.repeat(512)]) {
      const decisionId = decide(bandits, userId)
      assertUnknown('otherUser', /userId/, () => bandits.feedback({ decisionId, action: 'done', userId: `${userId.slice(1)}y` }))
      assert.equal(bandits.feedback({ decisionId, action: 'done', userId }).applied, true)
    }
  })
  test('is told of nothing else, and a test can make one', () => {
    assert.equal(new BanditError('ERR_CLOSED', 'x').reason, undefined)
    assert.ok(!('reason' in new BanditError('ERR_CLOSED', 'x')))
    assert.equal(new BanditError('ERR_UNKNOWN_DECISION', 'x', { reason: 'reset' }).reason, 'reset')
  })
  test('of a getter that reacts within a reaction', (t) => {
    const bandits = openEngine(t)
    const [own, other] = [decide(bandits), decide(bandits, 'v')]
    const result = bandits.feedback({ decisionId: own, action: 'done', get userId() {
      assert.equal(bandits.feedback({ decisionId: other, action: 'done', userId: 'v' }).applied, true)
      return 'u'
    } })
    assert.deepEqual([result.applied, countOf(bandits), countOf(bandits, 'v')], [true, [1, 1, 1], [1, 1, 1]])
  })
})

describe('revisableDecisions', () => {
  test('how many decisions of a user can be revised', async (t) => {
    for (const most of [1, 10, 200]) {
      const stateDir = emptyDirectory(t)
      const bandits = openEngine(t, { stateDir, revisableDecisions: most })
      const decided = Array.from({ length: most + 5 }, () => decide(bandits))
      for (const decisionId of decided) bandits.feedback({ decisionId, action: 'done' })
      const check = (/** @type {Bandits} */ engine, /** @type {'snooze' | 'dismiss'} */ action) => {
        for (const decisionId of decided.slice(0, 5)) assertUnknown('superseded', new RegExp(`the last ${most} `), () => engine.feedback({ decisionId, action }))
        for (const decisionId of decided.slice(5)) assert.equal(engine.feedback({ decisionId, action }).revision, true)
        assert.deepEqual(countOf(engine), [most + 5, most + 5, most + 5])
      }
      check(bandits, 'snooze')
      await bandits.close()
      for (const file of FILES) assert.equal(/** @type {any} */ (stateIn(stateDir, file).meta['feedback']).entries.length, most)
      check(openEngine(t, { stateDir, revisableDecisions: most }), 'dismiss')
    }
  })
  test('state files that have more or fewer stay readable, and nothing counts twice', async (t) => {
    const stateDir = emptyDirectory(t)
    /** @type {string[]} */
    const decided = []
    let rewards = 0
    for (const most of [20, 100, 30, 64]) {
      const bandits = openEngine(t, { stateDir, revisableDecisions: most })
      // What the file has and the option does not allow can be revised until the next reaction comes.
      const known = decided.slice(-20)
      for (const decisionId of known) assert.equal(bandits.feedback({ decisionId, reward: most }).revision, true, decisionId)
      const more = Array.from({ length: 50 }, () => decide(bandits))
      for (const decisionId of more) assert.equal(bandits.feedback({ decisionId, reward: 1 }).revision, false)
      decided.push(...more)
      rewards += 50
      for (const [i, decisionId] of decided.toReversed().entries()) {
        if (i < Math.min(most, 50)) assert.equal(bandits.feedback({ decisionId, reward: most + 1 }).revision, true)
      }
      assert.deepEqual(countOf(bandits), [rewards, rewards, rewards])
      await bandits.close()
    }
  })
  test('a directory that was killed with another number of them counts nothing twice', (t) => {
    const stateDir = emptyDirectory(t)
    // Revisions of decisions that a smaller window would have pushed out stand in the log alone.
    const { signal, stderr, stdout } = run(`
      const { writeSync } = await import('node:fs')
      const engine = Bandits.open({ stateDir, revisableDecisions: 200 })
      const decide = () => engine.recommend({ userId: 'u', candidates: [{ id: 'a' }] }).decisionId
      const decided = Array.from({ length: 150 }, decide)
      for (const decisionId of decided) engine.feedback({ decisionId, reward: 1 })
      await engine.checkpoint()
      for (const decisionId of Array.from({ length: 20 }, decide)) engine.feedback({ decisionId, reward: 1 })
      for (const decisionId of decided) engine.feedback({ decisionId, reward: 0.5 })
      writeSync(1, JSON.stringify(engine.stats('u')))
      process.kill(process.pid, 'SIGKILL')`, { stateDir })
    assert.equal(signal, 'SIGKILL', stderr)
    const { rewardCount, cumulativeReward } = JSON.parse(stdout)
    assert.deepEqual([rewardCount, cumulativeReward], [170, 95])
    const again = openEngine(t, { stateDir, revisableDecisions: 5 })
    for (const policy of POLICIES) assert.deepEqual([again.stats('u', policy).rewardCount, again.stats('u', policy).cumulativeReward], [170, 95])
  })
  test('replay() takes it, as it takes historySize', async (t) => {
    const [stateDir, replayed, other] = [emptyDirectory(t), emptyDirectory(t), emptyDirectory(t)]
    const bandits = openEngine(t, { stateDir, revisableDecisions: 7 })
    for (let i = 0; i < 30; i++) bandits.feedback({ decisionId: decide(bandits), action: 'done' })
    await bandits.close()
    assert.equal((await replay(join(stateDir, 'log'), replayed, { revisableDecisions: 7 })).complete, true)
    assert.deepEqual(contentsOf(replayed), contentsOf(stateDir))
    await replay(join(stateDir, 'log'), other)
    assert.equal(/** @type {any} */ (stateIn(other, 'u.json').meta['feedback']).entries.length, 30)
    for (const revisableDecisions of [0, 1.5, '7', 10_001]) await assert.rejects(replay(join(stateDir, 'log'), emptyDirectory(t), { revisableDecisions: /** @type {any} */ (revisableDecisions) }), { code: 'ERR_INVALID_ARGUMENT' })
  })
  test('is a whole number from 1 to 10,000, and the same for all who share an engine', (t) => {
    const stateDir = emptyDirectory(t)
    for (const revisableDecisions of [0, -1, 1.5, NaN, '64', 10_001]) assertRefuses(() => Bandits.open({ stateDir, revisableDecisions: /** @type {any} */ (revisableDecisions) }), 'ERR_INVALID_ARGUMENT', 'options.revisableDecisions', String(revisableDecisions))
    openEngine(t, { stateDir, revisableDecisions: 10_000 })
    assertRefuses(() => Bandits.open({ stateDir, revisableDecisions: 64 }), 'ERR_INVALID_ARGUMENT', 'options.revisableDecisions')
  })
  test('files of earlier releases tell a reset from a window that was full', async (t) => {
    for (const [entries, reason] of /** @type {[number, Reason][]} */ ([[0, 'reset'], [10, 'reset'], [STANDARD, 'superseded']])) {
      const stateDir = emptyDirectory(t)
      const bandits = openEngine(t, { stateDir })
      const old = decide(bandits)
      const decided = Array.from({ length: STANDARD }, () => decide(bandits))
      await bandits.close()
      // As the release before wrote it: `floor` alone, for both.
      const ledger = { floor: old.split('.').map(Number), entries: decided.slice(STANDARD - entries).map((id) => [...id.split('.').map(Number), Date.now(), 1]) }
      for (const file of FILES) {
        const state = stateIn(stateDir, file)
        const { checksum: _checksum, ...meta } = state.meta
        writeFileSync(join(stateDir, file), JSON.stringify({ ...state, meta: { ...meta, feedback: ledger } }, undefined, 1))
      }
      const again = openEngine(t, { stateDir })
      assertUnknown(reason, /./, () => again.feedback({ decisionId: old, action: 'done' }))
    }
  })
})

describe('no first reaction is lost', () => {
  test('of one thread that reacts in the reverse order', (t) => {
    const bandits = openEngine(t)
    const decided = Array.from({ length: 300 }, () => decide(bandits))
    for (const decisionId of decided.toReversed()) assert.deepEqual(bandits.feedback({ decisionId, reward: 1 }), { ok: true, applied: true, revision: false, policies: POLICIES })
    assert.deepEqual(countOf(bandits), [300, 300, 300])
    // The last 64 can be revised, and no other counts twice.
    for (const [i, decisionId] of decided.entries()) {
      if (i < 300 - STANDARD) assertUnknown('superseded', /./, () => bandits.feedback({ decisionId, reward: 0 }))
      else assert.equal(bandits.feedback({ decisionId, reward: 0 }).revision, true)
    }
    assert.deepEqual(POLICIES.map((policy) => bandits.stats('u', policy).cumulativeReward), [300 - STANDARD, 300 - STANDARD, 300 - STANDARD])
  })

  test('of three threads and one user, in any order; nor counted twice', async (t) => {
    const stateDir = emptyDirectory(t)
    const own = openEngine(t, { stateDir })
    const each = 400
    // All decide first; then each reacts to its own, from the last one or in a drawn order, every reaction twice.
    const script = `
      const engine = Bandits.open({ stateDir })
      const decided = Array.from({ length: workerData.each }, () => engine.recommend({ userId: 'u', candidates: [{ id: 'a' }, { id: 'b' }] }).decisionId)
      say('decided')
      await heard('react')
      let state = workerData.number + 1
      const order = workerData.number === 0 ? decided.toReversed() : decided.map((id) => [(state = (state * 48271) % 2147483647), id]).sort(([a], [b]) => a - b).map(([, id]) => id)
      const tally = {}
      for (const decisionId of [...order, ...order]) {
        let outcome
        try { const { applied, revision } = engine.feedback({ decisionId, reward: 1 }); outcome = applied ? (revision ? 'revised' : 'learned') : 'known' }
        catch (error) { outcome = error.reason ?? error.code }
        tally[outcome] = (tally[outcome] ?? 0) + 1
      }
      say(JSON.stringify(tally))
      process.exit()`
    const workers = [0, 1, 2].map((number) => startWorker(script, { stateDir, number, each }, t))
    await Promise.all(workers.map(({ said }) => said()))
    workers.forEach(({ say }) => say('react'))
    const tallies = (await Promise.all(workers.map(({ said }) => said()))).map((text) => JSON.parse(text))
    t.diagnostic(JSON.stringify(tallies))
    for (const { learned, revised = 0, known = 0, superseded = 0 } of tallies) assert.deepEqual([learned, revised, known + superseded], [each, 0, each])
    assert.deepEqual(countOf(own), [3 * each, 3 * each, 3 * each])
    await own.close()
    // What stands in the log comes to the same.
    const replayed = emptyDirectory(t)
    assert.deepEqual(await replay(join(stateDir, 'log'), replayed), { complete: true, reasons: [], users: 1, records: 6 * 3 * each })
    assert.deepEqual(contentsOf(replayed), contentsOf(stateDir))
  })

  test('of decisions that were reacted to late, in a process that is killed: recovered as they were learned', (t) => {
    const stateDir = emptyDirectory(t)
    const { signal, stderr } = run(`
      const engine = Bandits.open({ stateDir })
      const decided = Array.from({ length: 200 }, () => engine.recommend({ userId: 'u', candidates: [{ id: 'a' }] }).decisionId)
      for (const decisionId of decided.toReversed()) engine.feedback({ decisionId, reward: 1 })
      process.kill(process.pid, 'SIGKILL')`, { stateDir })
    assert.equal(signal, 'SIGKILL', stderr)
    const bandits = openEngine(t, { stateDir })
    assert.deepEqual(countOf(bandits), [200, 200, 200])
    assert.equal(linesIn(stateDir).filter(({ kind }) => kind === 'feedback').length, 200)
    const decided = linesIn(stateDir).filter(({ kind }) => kind === 'decision').map(({ seq }) => seq.join('.'))
    assertUnknown('superseded', /./, () => bandits.feedback({ decisionId: String(decided[0]), reward: 0 }))
    assert.equal(bandits.feedback({ decisionId: String(decided.at(-1)), reward: 0 }).revision, true)
  })

  test('of decisions from before a restart, as long as none newer was pushed out', async (t) => {
    const stateDir = emptyDirectory(t)
    const bandits = openEngine(t, { stateDir })
    const decided = Array.from({ length: 100 }, () => decide(bandits))
    for (const decisionId of decided.slice(36)) bandits.feedback({ decisionId, reward: 1 })
    await bandits.close()
    const again = openEngine(t, { stateDir })
    // 64 newer ones are known: the first reaction to an older one counts, and says what cannot be told any more.
    assert.equal(again.feedback({ decisionId: String(decided[35]), reward: 1 }).applied, true)
    assertUnknown('superseded', /./, () => again.feedback({ decisionId: String(decided[35]), reward: 0 }))
    assertUnknown('superseded', /./, () => again.feedback({ decisionId: String(decided[34]), reward: 1 }))
    assert.deepEqual(countOf(again), [65, 65, 65])
  })

  test('of a file that somebody else rewrites: the ledger is kept as it is', (t) => {
    const stateDir = emptyDirectory(t)
    const script = (/** @type {string} */ body) => assert.equal(run(`const engine = Bandits.open({ stateDir }); ${body}; await engine.close()`, { stateDir }).code, 0)
    script("for (let i = 0; i < 70; i++) engine.feedback({ decisionId: engine.recommend({ userId: 'u', candidates: [{ id: 'a' }] }).decisionId, reward: 1 })")
    const before = FILES.map((file) => stateIn(stateDir, file).meta['feedback'])
    script("engine.score({ userId: 'u', candidates: [{ id: 'a' }] })")
    assert.deepEqual(FILES.map((file) => stateIn(stateDir, file).meta['feedback']), before)
    assert.match(readFileSync(join(stateDir, 'u.json'), 'utf8'), /"feedback":\{"floor":\[1,\d+\],"reset":\[0,0\],"entries":\[\[/)
  })
})
