// @ts-check
// What a start finds in the log, what it does about it, and what it says: `recovery` and `health().damagedFiles`.

import assert from 'node:assert/strict'
import { appendFileSync, readdirSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'

import { run } from './support/child.mjs'
import { killed, killedUnmarked } from './support/killed.mjs'
import { crc32, eventsIn, segmentsIn } from './support/log-lines.mjs'
import { assertRefuses } from './support/refusal.mjs'
import { POLICIES, rewardOnce, standingOf, timelessStandingOf } from './support/standing.mjs'
import { emptyDirectory, namesIn, openEngine, stateIn } from './support/state-dir.mjs'

/** @typedef {import('@oo/bandits').Bandits} Bandits */
/** @typedef {import('./support/state-dir.mjs').TestContext} TestContext */

const NOTHING = { segments: 0, lines: 0, applied: 0, alreadyInFiles: 0, duplicates: 0, users: 0, ambiguousUsers: [], tornLines: 0, damagedLines: 0, damage: [] }

/** @param {Bandits} bandits */
function recovered(bandits) {
  const { durationMs, ...rest } = bandits.recovery
  assert.ok(Number.isSafeInteger(durationMs) && durationMs >= 0)
  assert.deepEqual(bandits.health().recovery, bandits.recovery)
  return rest
}

/** What every child does before it ends as `end` says: 40 lines of two users. */
const WORK = `
  const engine = Bandits.open({ stateDir })
  for (let i = 0; i < 10; i++) for (const user of ['u', 'v']) {
    engine.score({ userId: user, candidates: [{ id: 'a' }, { id: 't' + i }], policy: 'linucb-v1' })
    engine.reward({ userId: user, tipId: 't' + i, reward: Math.sin(i), features: { taskAgeDays: i, hourOfDay: i, priority: 1 + i % 4 }, policy: 'linucb-v1' })
  }
`

/** The standing of `u` and `v` after {@link WORK}, without a death. @param {TestContext} t */
function expectedStanding(t) {
  const stateDir = emptyDirectory(t)
  assert.equal(run(WORK, { stateDir }).code, 0)
  return numbersOf(openEngine(t, { stateDir }))
}

/** θ that is derived in another order from the same sums may differ in the last bits. @param {Bandits} bandits */
function numbersOf(bandits) {
  return timelessStandingOf(bandits, ['u', 'v']).map(({ stats, history }) => ({
    stats: stats.map(({ theta, ...rest }) => ({ ...rest, theta: theta.map((value) => value.toFixed(9)) })),
    history: history.map(({ score, ...rest }) => ({ ...rest, score: score.toFixed(9) })),
  }))
}

describe('nothing to recover', () => {
  test('on a new directory', (t) => {
    const bandits = openEngine(t)
    assert.deepEqual(recovered(bandits), { epoch: 1, ...NOTHING })
    assert.deepEqual([bandits.health().ok, bandits.health().damagedFiles], [true, []])
  })

  for (const [name, work] of /** @type {[string, (bandits: Bandits) => unknown][]} */ ([
    ['rewards', (b) => rewardOnce(b, 'u')],
    ['pulls', (b) => b.score({ userId: 'u', candidates: [{ id: 'a' }] })],
    ['a reset', (b) => { rewardOnce(b, 'u'); b.reset('u') }],
    ['an erasure', async (b) => { rewardOnce(b, 'u'); rewardOnce(b, 'v'); await b.erase('u') }],
    ['a checkpoint', async (b) => { rewardOnce(b, 'u'); await b.checkpoint() }],
    ['nothing', () => undefined],
  ])) {
    test(`after a clean close with ${name}`, async (t) => {
      const stateDir = emptyDirectory(t)
      for (let epoch = 1; epoch <= 5; epoch++) {
        const bandits = openEngine(t, { stateDir })
        assert.deepEqual(recovered(bandits), { epoch, ...NOTHING })
        await work(bandits)
        await bandits.close()
      }
    })
  }

  test('after a process that ended by itself', (t) => {
    const stateDir = emptyDirectory(t)
    assert.equal(run(WORK, { stateDir }).code, 0)
    assert.deepEqual(recovered(openEngine(t, { stateDir })), { epoch: 2, ...NOTHING })
  })
})

describe('after kill -9', () => {
  test('every reward that was acknowledged and every pull that was flushed is there', async (t) => {
    const stateDir = await killedUnmarked(t, `${WORK} await engine.flush()`)
    const bandits = openEngine(t, { stateDir })
    const { epoch, segments, lines, applied, alreadyInFiles, users, ...rest } = recovered(bandits)
    // How far the writer of state files had come is not known, only that nothing is counted twice or left out.
    assert.deepEqual([epoch, segments, lines <= 40, applied + alreadyInFiles], [2, 1, true, lines])
    assert.ok(users <= 2 && (applied === 0) === (users === 0))
    assert.deepEqual(rest, { duplicates: 0, ambiguousUsers: [], tornLines: 0, damagedLines: 0, damage: [] })
    assert.deepEqual(numbersOf(bandits), expectedStanding(t))
    assert.equal(bandits.health().ok, true)
  })

  test('rewards are there that nobody flushed', (t) => {
    const stateDir = killed(t, "const engine = Bandits.open({ stateDir }); for (let i = 0; i < 500; i++) reward(engine, 'u' + i % 50)")
    const bandits = openEngine(t, { stateDir })
    for (let i = 0; i < 50; i++) assert.equal(bandits.stats(`u${i}`).rewardCount, 10)
  })

  test('state files that are gone or older come back from the log, and what they have is not learned twice', async (t) => {
    const stateDir = await killedUnmarked(t, `${WORK} await engine.flush()`)
    // As if the writer had not come to write at all: the log alone has it.
    rmSync(join(stateDir, 'u.json'), { force: true })
    rmSync(join(stateDir, 'v.json'), { force: true })
    const first = openEngine(t, { stateDir })
    assert.deepEqual(numbersOf(first), expectedStanding(t))
    await first.close()
    assert.equal(recovered(openEngine(t, { stateDir })).segments, 0)
  })

  test('again and again, also while recovering', (t) => {
    const stateDir = emptyDirectory(t)
    for (let i = 0; i < 6; i++) killed(t, "const engine = Bandits.open({ stateDir }); reward(engine); reward(engine, 'v')", stateDir)
    const bandits = openEngine(t, { stateDir })
    assert.deepEqual([bandits.recovery.epoch, bandits.stats('u').rewardCount, bandits.stats('v').rewardCount], [7, 6, 6])
  })

  test('a reset stays one', (t) => {
    const stateDir = killed(t, `${WORK} await engine.checkpoint(); engine.reset('u'); engine.reward({ userId: 'u', tipId: 'a', reward: 3, features: {}, policy: 'linucb-v1' })`)
    const bandits = openEngine(t, { stateDir })
    const { pulls, rewardCount, cumulativeReward } = bandits.stats('u', 'linucb-v1')
    assert.deepEqual([pulls, rewardCount, cumulativeReward, bandits.features('u').history], [0, 1, 3, []])
    assert.deepEqual([bandits.stats('v', 'linucb-v1').pulls, bandits.features('v').history.length], [10, 10])
  })

  test('an engine that appends nothing itself recovers as well', async (t) => {
    const stateDir = killed(t, WORK)
    const off = openEngine(t, { stateDir, log: 'off' })
    rewardOnce(off, 'u', { policy: 'linucb-v1' })
    await off.close()
    assert.equal(openEngine(t, { stateDir }).stats('u', 'linucb-v1').rewardCount, 11)
  })
})

describe('a segment that is not whole', () => {
  test('a torn last line is said and skipped', (t) => {
    const stateDir = killed(t, `${WORK} await engine.flush()`)
    const segment = String(segmentsIn(stateDir)[0])
    const size = statSync(join(stateDir, 'log', segment)).size
    appendFileSync(join(stateDir, 'log', segment), '{"v":1,"seq":[1,999999],"ts":"2026')
    const bandits = openEngine(t, { stateDir })
    const { tornLines, damagedLines, damage } = bandits.recovery
    assert.deepEqual([tornLines, damagedLines, damage], [1, 0, [{ segment, offset: size, bytes: 34 }]])
    assert.deepEqual([bandits.health().ok, bandits.stats('u', 'linucb-v1').rewardCount], [true, 10])
  })

  test('a line of which a part is missing is not learned by halves', async (t) => {
    const stateDir = await killedUnmarked(t, "const engine = Bandits.open({ stateDir }); reward(engine, 'u')")
    rmSync(join(stateDir, 'u_egreedy.json'), { force: true })
    const path = join(stateDir, 'log', String(segmentsIn(stateDir)[0]))
    truncateSync(path, statSync(path).size - 5)
    const bandits = openEngine(t, { stateDir })
    assert.deepEqual([bandits.recovery.tornLines, bandits.recovery.damagedLines, bandits.stats('u').rewardCount], [1, 0, 0])
  })

  test('damage in its midst is located, costs what it covers and nothing else, and is said', async (t) => {
    const stateDir = await killedUnmarked(t, "const engine = Bandits.open({ stateDir }); for (let i = 0; i < 20; i++) reward(engine, 'u' + i)")
    for (const name of namesIn(stateDir)) rmSync(join(stateDir, name))
    const segment = String(segmentsIn(stateDir)[0])
    const path = join(stateDir, 'log', segment)
    const lines = readFileSync(path, 'utf8').split('\n')
    const at = lines.findIndex((line) => line.includes('"userId":"u7"'))
    const offset = Buffer.byteLength(lines.slice(0, at).join('\n')) + 1
    lines[at] = String(lines[at]).replace('"reward":1.0', '"reward":9.0')
    writeFileSync(path, lines.join('\n'))
    const bandits = openEngine(t, { stateDir })
    const { tornLines, damagedLines, damage, applied } = bandits.recovery
    assert.deepEqual([tornLines, damagedLines, damage, applied], [0, 1, [{ segment, offset, bytes: Buffer.byteLength(String(lines[at])) }], 19])
    assert.deepEqual(Array.from({ length: 20 }, (_user, i) => bandits.stats(`u${i}`).rewardCount), Array.from({ length: 20 }, (_user, i) => (i === 7 ? 0 : 1)))
    const { ok, warnings } = bandits.health()
    assert.deepEqual([ok, warnings.length], [false, 1])
  })

  test('lines that are there twice are learned once', async (t) => {
    const stateDir = await killedUnmarked(t, "const engine = Bandits.open({ stateDir }); for (let i = 0; i < 20; i++) reward(engine, 'u')")
    for (const name of namesIn(stateDir)) rmSync(join(stateDir, name))
    const path = join(stateDir, 'log', String(segmentsIn(stateDir)[0]))
    appendFileSync(path, readFileSync(path))
    const bandits = openEngine(t, { stateDir })
    assert.deepEqual([bandits.recovery.lines, bandits.recovery.applied, bandits.recovery.duplicates, bandits.stats('u').rewardCount], [40, 20, 20, 20])
  })

  test('a line of a later release is refused, and nothing is changed', (t) => {
    const stateDir = killed(t, "const engine = Bandits.open({ stateDir }); reward(engine, 'u')")
    const content = '{"v":2,"seq":[1,99],"what":"is this"'
    appendFileSync(join(stateDir, 'log', String(segmentsIn(stateDir)[0])), `${content},"crc":"${crc32(Buffer.from(content)).toString(16).padStart(8, '0')}"}\n`)
    const before = readdirSync(join(stateDir, 'log'))
    assertRefuses(() => openEngine(t, { stateDir }), 'ERR_STATE_CORRUPT')
    assert.deepEqual(readdirSync(join(stateDir, 'log')), before)
  })
})

test('a user whose file somebody removed is named', async (t) => {
  const rewardBoth = "const engine = Bandits.open({ stateDir }); reward(engine, 'u'); reward(engine, 'v')"
  const stateDir = await killedUnmarked(t, rewardBoth, () => {
    const begun = emptyDirectory(t)
    assert.equal(run(`${rewardBoth}; await engine.close()`, { stateDir: begun }).code, 0)
    return begun
  })
  rmSync(join(stateDir, 'u_egreedy.json'))
  const bandits = openEngine(t, { stateDir })
  assert.deepEqual([bandits.recovery.ambiguousUsers, bandits.stats('u').rewardCount, bandits.stats('v').rewardCount], [['u'], 1, 2])
  assert.ok(bandits.health().warnings.some((warning) => warning.includes('"u"')))
  // What that somebody removed does not come back when the file is put together again.
  rewardOnce(bandits, 'u')
  await bandits.close()
  for (const name of ['u_egreedy.json', 'v_egreedy.json']) writeFileSync(join(stateDir, name), 'garbage')
  const again = openEngine(t, { stateDir })
  assert.deepEqual(['u', 'v'].map((userId) => again.stats(userId).rewardCount), [2, 2])
})

test('a reset outlives the files that it was about', async (t) => {
  let decisionId = ''
  const stateDir = await killedUnmarked(t, "const engine = Bandits.open({ stateDir }); engine.reset('u'); reward(engine, 'u')", async () => {
    const begun = emptyDirectory(t)
    const first = openEngine(t, { stateDir: begun })
    decisionId = first.recommend({ userId: 'u', candidates: [{ id: 'a' }] }).decisionId
    await first.close()
    return begun
  })
  for (const name of namesIn(stateDir)) rmSync(join(stateDir, name))
  const bandits = openEngine(t, { stateDir })
  assert.deepEqual([bandits.recovery.ambiguousUsers, bandits.stats('u').rewardCount], [[], 1])
  assertRefuses(() => bandits.feedback({ decisionId, action: 'done' }), 'ERR_UNKNOWN_DECISION')
})

describe('a damaged state file of somebody that the log knows', () => {
  // What this package never leaves behind may be what is left of somebody else's changes, of which the log knows nothing.
  /** @type {[string, 'complete' | 'partial', (path: string) => void][]} */
  const damages = [
    ['garbage', 'partial', (path) => writeFileSync(path, 'garbage')],
    ['half of it', 'partial', (path) => truncateSync(path, statSync(path).size / 2)],
    ['nothing', 'partial', (path) => writeFileSync(path, '')],
    ['one digit more', 'complete', (path) => writeFileSync(path, readFileSync(path, 'utf8').replace('"b":[', '"b":[1'))],
    ['one count less', 'complete', (path) => writeFileSync(path, readFileSync(path, 'utf8').replace('"pulls":9', '"pulls":8'))],
    ['another checksum', 'complete', (path) => writeFileSync(path, readFileSync(path, 'utf8').replace(/"checksum":"./, '"checksum":"x'))],
  ]
  for (const [name, rebuilt, damage] of damages) {
    test(`${name}: it is put together again, ${rebuilt} as far as can be known`, async (t) => {
      const stateDir = emptyDirectory(t)
      const first = openEngine(t, { stateDir })
      for (let i = 0; i < 9; i++) {
        for (const policy of POLICIES) {
          first.score({ userId: 'u', candidates: [{ id: `t${i}` }], policy })
          rewardOnce(first, 'u', { policy, reward: Math.cos(i) })
        }
      }
      const before = ofEachPolicy(first)
      await first.close()
      const path = join(stateDir, 'u_egreedy.json')
      damage(path)
      const second = openEngine(t, { stateDir })
      assert.equal(second.stats('u', 'linucb-v1').pulls, 9)
      assert.deepEqual(ofEachPolicy(second), before)
      const { ok, warnings, damagedFiles } = second.health()
      const [{ problem, ...rest } = { problem: '' }, ...others] = damagedFiles
      assert.deepEqual([ok, warnings.length, rest, others], [false, 1, { userId: 'u', policy: 'egreedy-v1', rebuilt }, []])
      assert.ok(problem.includes(path), problem)
    })
  }

  /** @type {[string, (bandits: Bandits) => unknown][]} */
  const calls = [
    ['stats()', (b) => b.stats('u')],
    ['features()', (b) => b.features('u')],
    ['a reward', (b) => rewardOnce(b, 'u', { policy: 'linucb-v1' })],
    ['a pull', (b) => b.score({ userId: 'u', candidates: [{ id: 'a' }], policy: 'linucb-v1' })],
  ]
  for (const [name, call] of calls) {
    test(`met by ${name}, it is set aside, and a good one written`, async (t) => {
      const stateDir = emptyDirectory(t)
      const first = openEngine(t, { stateDir })
      for (let i = 0; i < 3; i++) rewardOnce(first, 'u')
      await first.close()
      const good = stateIn(stateDir, 'u_egreedy.json')
      writeFileSync(join(stateDir, 'u_egreedy.json'), 'garbage')
      const second = openEngine(t, { stateDir })
      call(second)
      await second.checkpoint()
      assert.deepEqual(readdirSync(join(stateDir, 'set-aside')), ['u_egreedy.json.1'])
      assert.equal(readFileSync(join(stateDir, 'set-aside', 'u_egreedy.json.1'), 'utf8'), 'garbage')
      assert.deepEqual(stateIn(stateDir, 'u_egreedy.json'), good)
      await second.close()
      const third = openEngine(t, { stateDir })
      assert.deepEqual([third.stats('u').rewardCount, third.health().ok, third.health().damagedFiles], [3, true, []])
    })
  }

  test('the histories of the policies are one again, in order, and go on', async (t) => {
    const stateDir = emptyDirectory(t)
    const score = (/** @type {Bandits} */ bandits, /** @type {number} */ i) => bandits.score({ userId: 'u', candidates: [{ id: `t${i}` }], policy: POLICIES[i % 3] })
    const tips = (/** @type {Bandits} */ bandits) => bandits.features('u').history.map(({ tipId }) => tipId)
    const first = openEngine(t, { stateDir })
    for (let i = 0; i < 12; i++) score(first, i)
    await first.close()
    writeFileSync(join(stateDir, 'u_egreedy.json'), 'garbage')
    const second = openEngine(t, { stateDir })
    assert.deepEqual(tips(second), Array.from({ length: 12 }, (_pull, i) => `t${i}`))
    for (let i = 12; i < 18; i++) score(second, i)
    await second.close()
    assert.deepEqual(tips(openEngine(t, { stateDir })), Array.from({ length: 18 }, (_pull, i) => `t${i}`))
  })

  test('with the beginning of the log gone, what is left of it comes back, and that is said', async (t) => {
    const stateDir = emptyDirectory(t)
    for (let i = 0; i < 3; i++) {
      const bandits = openEngine(t, { stateDir })
      rewardOnce(bandits, 'u')
      await bandits.close()
    }
    rmSync(join(stateDir, 'log', String(segmentsIn(stateDir)[0])))
    writeFileSync(join(stateDir, 'u_egreedy.json'), 'garbage')
    const bandits = openEngine(t, { stateDir })
    assert.equal(bandits.stats('u').rewardCount, 2)
    assert.deepEqual(bandits.health().damagedFiles.map(({ rebuilt }) => rebuilt), ['partial'])
  })

  test('with a time in between when nothing was appended, that is said', async (t) => {
    const stateDir = emptyDirectory(t)
    for (const log of /** @type {const} */ (['on', 'off', 'on'])) {
      const bandits = openEngine(t, { stateDir, log })
      rewardOnce(bandits, 'u')
      if (log !== 'on' || bandits.recovery.epoch === 1) rewardOnce(bandits, 'v')
      await bandits.close()
    }
    // Of u the log has the state that it had after that time; v has not changed since.
    for (const [userId, rewards, rebuilt] of /** @type {const} */ ([['u', 3, 'complete'], ['v', 1, 'partial']])) {
      const path = join(stateDir, `${userId}_egreedy.json`)
      writeFileSync(path, readFileSync(path, 'utf8').replace('"b":[', '"b":[1'))
      const bandits = openEngine(t, { stateDir })
      assert.equal(bandits.stats(userId).rewardCount, rewards)
      assert.deepEqual(bandits.health().damagedFiles.map((file) => file.rebuilt), [rebuilt])
      await bandits.close()
    }
  })

  test('of a user and policy that the log does not know, it is refused', async (t) => {
    const stateDir = emptyDirectory(t)
    const first = openEngine(t, { stateDir })
    rewardOnce(first, 'u')
    await first.close()
    writeFileSync(join(stateDir, 'u.json'), 'garbage')
    writeFileSync(join(stateDir, 'v_egreedy.json'), 'garbage')
    const second = openEngine(t, { stateDir })
    assertRefuses(() => rewardOnce(second, 'u', { policy: 'linucb-v1' }), 'ERR_STATE_CORRUPT')
    assertRefuses(() => rewardOnce(second, 'v'), 'ERR_STATE_CORRUPT')
    assert.deepEqual([second.stats('u').rewardCount, second.health().damagedFiles], [1, []])
    await second.close()
    assert.deepEqual(eventsIn(stateDir).map(({ userId }) => userId), ['u'])
  })
})

/** Where user `u` stands under each policy, with its part of the history. @param {Bandits} bandits */
function ofEachPolicy(bandits) {
  return standingOf(bandits, ['u']).flatMap(({ stats, history }) => stats.map(({ theta, ...rest }) => ({
    ...rest, theta: theta.map((value) => value.toFixed(9)), history: history.filter(({ policy }) => policy === rest.policy),
  })))
}
