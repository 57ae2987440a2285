// @ts-check
// feedback(): what actions are worth, that each decision is learned from once and by its latest reaction, which policies learn, and
// which decisions are known no more.

import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'

import { Bandits, replay } from '@oo/bandits'
import { random } from '../bench/workload.mjs'
import { assertRefuses } from '../support/refusal.mjs'
import { withRoom } from '../support/room.mjs'
import { linesIn, segmentsIn } from '../support/log-lines.mjs'
import { POLICIES } from '../support/standing.mjs'
import { contentsOf, emptyDirectory, openEngine, stateIn } from '../support/state-dir.mjs'

/** The last line of a kind: marks stand in between at any time. @param {string} stateDir @param {string} wanted */
const lastOf = (stateDir, wanted) => linesIn(stateDir).findLast(({ kind }) => kind === wanted)

const ACTIONS = /** @type {const} */ ({ done: 1, helpful: 0.5, snooze: 0, not_helpful: -0.5, dismiss: -1 })
const FILES = /** @type {const} */ ({ 'linucb-v1': 'u.json', 'egreedy-v1': 'u_egreedy.json', 'egreedy-v2': 'u_egreedy_v2.json' })
const list = (/** @type {number} */ n) => Array.from({ length: n }, (_entry, i) => ({ id: `c${i}`, features: { priority: 1 + (i % 4), taskAgeDays: (i * 7.3) % 31, isOverdue: i % 3 === 0 } }))

/** @param {Bandits} bandits */
const decide = (bandits, userId = 'u') => bandits.recommend({ userId, candidates: list(5) }).decisionId
/** Counts and sums of all policies. @param {Bandits} bandits */
const sumsOf = (bandits, userId = 'u') => POLICIES.map((policy) => {
  const { rewardCount, cumulativeReward } = bandits.stats(userId, policy)
  return [rewardCount, cumulativeReward]
})
const three = (/** @type {number} */ count, /** @type {number} */ sum) => POLICIES.map(() => [count, sum])

/** @param {number[]} actual @param {number[]} expected @param {string} what */
function assertClose(actual, expected, what) {
  for (const [i, value] of expected.entries()) assert.ok(Math.abs(Number(actual[i]) - value) <= 1e-9 * Math.max(1, Math.abs(value)), `${what}[${i}]: ${actual[i]} instead of ${value}`)
}

/** The sums in the files of user `u`. @param {string} stateDir @param {string} expectedDir */
function assertSameSums(stateDir, expectedDir) {
  for (const policy of POLICIES) {
    const [actual, expected] = [stateDir, expectedDir].map((dir) => stateIn(dir, FILES[policy]))
    assertClose(/** @type {any} */ (actual).b, /** @type {any} */ (expected).b, `${policy} b`)
    assertClose(/** @type {any} */ (actual).A.flat(), /** @type {any} */ (expected).A.flat(), `${policy} A`)
    assert.deepEqual(/** @type {any} */ (actual).meta.reward_count, /** @type {any} */ (expected).meta.reward_count)
  }
}

/** What was shown, as a reward() of it needs it. @param {string} stateDir @param {string} decisionId */
function shownIn(stateDir, decisionId) {
  const line = linesIn(stateDir).find(({ kind, seq }) => kind === 'decision' && seq.join('.') === decisionId)
  assert.ok(line !== undefined, decisionId)
  const { index, ids, isOverdue, taskAgeDays, priority, hourOfDay, dayOfWeek, profileFeatures } = line
  return { tipId: ids[index], features: { isOverdue: isOverdue[index], taskAgeDays: taskAgeDays[index], priority: priority[index], hourOfDay }, dayOfWeek, profileFeatures }
}

describe('worth', () => {
  test('of each action', (t) => {
    for (const [action, reward] of Object.entries(ACTIONS)) {
      const stateDir = emptyDirectory(t)
      const bandits = openEngine(t, { stateDir })
      const result = bandits.feedback({ decisionId: decide(bandits), action: /** @type {any} */ (action) })
      assert.deepEqual(result, { ok: true, applied: true, revision: false, policies: POLICIES })
      assert.deepEqual(sumsOf(bandits), three(1, reward))
      const line = lastOf(stateDir, 'feedback')
      assert.deepEqual([line?.kind, line?.['action'], line?.['reward'], line?.['policies'], line?.['revision']], ['feedback', action, reward, POLICIES, false])
    }
  })
  test('of actions that options change; the others stay', (t) => {
    const bandits = openEngine(t, { rewards: { done: 3, dismiss: 0.25 } })
    for (const [action, reward] of Object.entries({ ...ACTIONS, done: 3, dismiss: 0.25 })) {
      bandits.feedback({ decisionId: decide(bandits, action), action: /** @type {any} */ (action) })
      assert.deepEqual(sumsOf(bandits, action), three(1, reward))
    }
  })
  test('of actions that options leave undefined: those of the table', (t) => {
    const bandits = openEngine(t, /** @type {any} */ ({ rewards: { done: undefined, dismiss: -3 } }))
    for (const [action, reward] of Object.entries({ done: 1, dismiss: -3 })) {
      bandits.feedback({ decisionId: decide(bandits, action), action: /** @type {any} */ (action) })
      assert.deepEqual(sumsOf(bandits, action), three(1, reward))
    }
  })
  test('of openAsync() likewise', async (t) => {
    const bandits = await Bandits.openAsync({ stateDir: emptyDirectory(t), rewards: { snooze: -2 } })
    bandits.feedback({ decisionId: decide(bandits), action: 'snooze' })
    assert.deepEqual(sumsOf(bandits), three(1, -2))
    await bandits.close()
  })
  test('of a number, also where an action is named', (t) => {
    const stateDir = emptyDirectory(t)
    const bandits = openEngine(t, { stateDir })
    bandits.feedback({ decisionId: decide(bandits), reward: 0.125 })
    bandits.feedback({ decisionId: decide(bandits), reward: -7, action: 'done' })
    bandits.feedback({ decisionId: decide(bandits), reward: undefined, action: 'done' })
    assert.deepEqual(sumsOf(bandits), three(3, 0.125 - 7 + 1))
    assert.deepEqual(linesIn(stateDir).filter(({ kind }) => kind === 'feedback').map(({ action, reward }) => [action, reward]), [[null, 0.125], ['done', -7], ['done', 1]])
  })
  test('past `maxReward` is refused, and nothing is learned', (t) => {
    const T = Date.now()
    const bandits = openEngine(t)
    const decisionId = decide(bandits)
    bandits.feedback({ decisionId, reward: 1, at: T + 1 })
    for (const reward of [Number.MAX_VALUE, -Number.MAX_VALUE]) assertRefuses(() => bandits.feedback({ decisionId, reward, at: T + 2 }), 'ERR_INVALID_ARGUMENT', 'reward')
    assert.deepEqual(sumsOf(bandits), three(1, 1))
    assert.equal(bandits.feedback({ decisionId, reward: 2, at: T + 2 }).applied, true)
  })
  for (const [name, rewards, path] of /** @type {[string, any, string][]} */ ([
    ['null', null, 'options.rewards'], ['an array', [], 'options.rewards'], ['an unknown action', { liked: 1 }, 'options.rewards'],
    ['a text', { done: '1' }, 'options.rewards.done'], ['no number', { done: NaN }, 'options.rewards.done'], ['infinite', { snooze: Infinity }, 'options.rewards.snooze'],
    ['an inherited name', { toString: 1 }, 'options.rewards'], ['null for one', { done: null }, 'options.rewards.done'],
  ])) {
    test(`rewards: ${name} are refused`, async (t) => {
      const stateDir = emptyDirectory(t)
      assertRefuses(() => Bandits.open({ stateDir, rewards }), 'ERR_INVALID_ARGUMENT', path)
      await assert.rejects(Bandits.openAsync({ stateDir, rewards }), { code: 'ERR_INVALID_ARGUMENT' })
    })
  }
})

describe('once', () => {
  test('the same reaction twice counts once', (t) => {
    const T = Date.now()
    const stateDir = emptyDirectory(t)
    const bandits = openEngine(t, { stateDir })
    const decisionId = decide(bandits)
    bandits.feedback({ decisionId, action: 'helpful', at: T + 1000 })
    const stood = POLICIES.map((policy) => bandits.stats('u', policy))
    const lines = linesIn(stateDir).filter(({ kind }) => kind === 'feedback').length
    for (const after of [1000, 999, 0]) assert.deepEqual(bandits.feedback({ decisionId, action: 'helpful', at: T + after }), { ok: true, applied: false, revision: true, policies: POLICIES })
    assert.deepEqual(POLICIES.map((policy) => bandits.stats('u', policy)), stood)
    assert.equal(linesIn(stateDir).filter(({ kind }) => kind === 'feedback').length, lines)
  })
  test('the same reaction twice without a time counts once', (t) => {
    const stateDir = emptyDirectory(t)
    const bandits = openEngine(t, { stateDir })
    const decisionId = decide(bandits)
    assert.equal(bandits.feedback({ decisionId, action: 'helpful' }).applied, true)
    const reactions = () => linesIn(stateDir).filter(({ kind }) => kind === 'feedback').length
    // However much later it comes.
    for (const end = performance.now() + 30; performance.now() < end; ) assert.equal(bandits.feedback({ decisionId, action: 'helpful' }).applied, false)
    assert.equal(reactions(), 1)
    assert.deepEqual(sumsOf(bandits), three(1, 0.5))
    // Another one is another one, and the first one again is one more.
    for (const action of /** @type {const} */ (['snooze', 'helpful'])) assert.equal(bandits.feedback({ decisionId, action }).applied, true)
    assert.deepEqual(sumsOf(bandits), three(1, 0.5))
    // With a time it is news that it happened later, and that an earlier one did not come after it.
    assert.equal(bandits.feedback({ decisionId, action: 'helpful', at: Date.now() + 60_000 }).applied, true)
    assert.equal(bandits.feedback({ decisionId, action: 'done', at: Date.now() }).applied, false)
  })
  test('of several the greatest `at` counts, whatever the order of arrival', (t) => {
    /** @type {[number, number][]} at and reward */
    const reactions = [[10, -1], [20, 0.5], [30, 0]]
    for (const order of [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]]) {
      const [bandits, T] = [openEngine(t), Date.now()]
      const decisionId = decide(bandits)
      let latest = -1
      for (const which of order) {
        const [at, reward] = /** @type {[number, number]} */ (reactions[which])
        const { applied, revision } = bandits.feedback({ decisionId, reward, at: T + at })
        assert.deepEqual([applied, revision], [which > latest, latest !== -1])
        latest = Math.max(latest, which)
      }
      assert.deepEqual(sumsOf(bandits), three(1, 0))
    }
  })
  test('ties go to the one that came last', (t) => {
    const T = Date.now()
    const bandits = openEngine(t)
    const decisionId = decide(bandits)
    bandits.feedback({ decisionId, action: 'snooze', at: T + 5 })
    assert.equal(bandits.feedback({ decisionId, action: 'done', at: T + 5 }).applied, true)
    assert.deepEqual(sumsOf(bandits), three(1, 1))
  })
  test('times of every kind are compared', (t) => {
    const bandits = openEngine(t)
    const decisionId = decide(bandits)
    const T = 1000 * Math.floor(Date.now() / 1000)
    const iso = (/** @type {number} */ ms) => new Date(T + ms).toISOString()
    const results = [new Date(T + 2000), iso(1999), iso(3_600_000 + 2001).replace('Z', '+01:00'), T + 2000.9, new Date(T + 3000), T + 2500].map((at, i) => bandits.feedback({ decisionId, reward: i, at }).applied)
    assert.deepEqual(results, [true, false, true, false, true, false])
    assert.deepEqual(sumsOf(bandits), three(1, 4))
  })
  test('a reaction without a time happens now', (t) => {
    const stateDir = emptyDirectory(t)
    const bandits = openEngine(t, { stateDir })
    const decisionId = decide(bandits)
    const before = Date.now()
    bandits.feedback({ decisionId, action: 'done' })
    const at = lastOf(stateDir, 'feedback')?.['at']
    // The engine's clock has steps of a few milliseconds.
    assert.ok(at >= before - 20 && at <= Date.now(), `${at - before}`)
    assert.equal(bandits.feedback({ decisionId, action: 'dismiss', at: before - 60_000 }).applied, false)
  })
})

test('after revisions b is that of the last rewards, and A that of the decisions', async (t) => {
  const [stateDir, finalDir] = [emptyDirectory(t), emptyDirectory(t)]
  const [bandits, final] = [openEngine(t, { stateDir }), openEngine(t, { stateDir: finalDir })]
  const rng = random(7)
  /** @type {Map<string, { at: number, reward: number }>} */
  const last = new Map()
  const T = Date.now()
  const decided = Array.from({ length: 40 }, (_decision, i) => bandits.recommend({
    userId: 'u', candidates: list(1 + (i % 9)), context: { hourOfDay: i % 24, dayOfWeek: i % 7 },
    profileFeatures: i % 3 === 0 ? null : { completionRate30d: rng(), meanDwellMs30d: rng() * 7e5, preferredHour: i % 24, tipVolume30d: 100 * rng() },
  }).decisionId)
  for (let i = 0; i < 1500; i++) {
    const decisionId = /** @type {string} */ (decided[Math.floor(rng() * decided.length)])
    const [at, reward] = [T + Math.floor(rng() * 1000), Math.round(rng() * 4000 - 2000) / 1000]
    const known = last.get(decisionId)
    const counts = known === undefined || at > known.at || (at === known.at && reward !== known.reward)
    assert.deepEqual(bandits.feedback({ decisionId, reward, at }), { ok: true, applied: counts, revision: known !== undefined, policies: POLICIES })
    if (counts) last.set(decisionId, { at, reward })
  }
  for (const [decisionId, { reward }] of last) for (const policy of POLICIES) final.reward({ userId: 'u', reward, policy, ...shownIn(stateDir, decisionId) })
  for (const policy of POLICIES) {
    const [actual, expected] = [bandits.stats('u', policy), final.stats('u', policy)]
    assert.equal(actual.rewardCount, 40)
    assertClose([actual.cumulativeReward, ...actual.theta], [expected.cumulativeReward, ...expected.theta], policy)
  }
  await Promise.all([bandits.close(), final.close()])
  assertSameSums(stateDir, finalDir)
})

test('what is learned from is what was shown, also where the policy had chosen another', async (t) => {
  const [stateDir, finalDir] = [emptyDirectory(t), emptyDirectory(t)]
  const [bandits, final] = [openEngine(t, { stateDir }), openEngine(t, { stateDir: finalDir })]
  for (let i = 0; i < 30; i++) {
    const { decisionId, index, heldOut } = bandits.recommend({ userId: 'u', candidates: list(9), context: { hourOfDay: i % 24 }, holdout: 1 })
    assert.equal(heldOut, true)
    const shown = shownIn(stateDir, decisionId)
    assert.equal(shown.tipId, `c${index}`)
    bandits.feedback({ decisionId, reward: i % 3 })
    assert.equal(lastOf(stateDir, 'feedback')?.['tipId'], shown.tipId)
    for (const policy of POLICIES) final.reward({ userId: 'u', reward: i % 3, policy, ...shown })
  }
  await Promise.all([bandits.close(), final.close()])
  assertSameSums(stateDir, finalDir)
})

describe('which policies learn', () => {
  test('those that are not off at the first reaction, whatever changes later', (t) => {
    const T = Date.now()
    const bandits = openEngine(t)
    bandits.setPolicy('egreedy-v2', { mode: 'off' })
    const [first, second, third] = [decide(bandits), decide(bandits), decide(bandits)]
    assert.deepEqual(bandits.feedback({ decisionId: first, action: 'done', at: T + 1 }).policies, ['linucb-v1', 'egreedy-v1'])
    bandits.setPolicy('egreedy-v2', { mode: 'active' })
    bandits.setPolicy('linucb-v1', { mode: 'off' })
    // Fixed by the first reaction: what was off then learns nothing of this decision, and what is off now still does.
    const revised = bandits.feedback({ decisionId: first, action: 'dismiss', at: T + 2 })
    assert.deepEqual([revised.revision, revised.policies], [true, ['linucb-v1', 'egreedy-v1']])
    assert.deepEqual(sumsOf(bandits), [[1, -1], [1, -1], [0, 0]])
    assert.deepEqual(bandits.feedback({ decisionId: second, action: 'done' }).policies, ['egreedy-v1', 'egreedy-v2'])
    assert.deepEqual(sumsOf(bandits), [[1, -1], [2, 0], [1, 1]])
    bandits.setPolicy('linucb-v1', { mode: 'shadow' })
    assert.deepEqual(bandits.feedback({ decisionId: third, action: 'done' }).policies, POLICIES)
  })
})

describe('known no more', () => {
  test('ids that no decision has', (t) => {
    const stateDir = emptyDirectory(t)
    const bandits = openEngine(t, { stateDir })
    const [epoch, n] = decide(bandits).split('.').map(Number)
    bandits.reward({ userId: 'u', tipId: 't', reward: 1, features: {} })
    const reward = lastOf(stateDir, 'reward')?.seq.join('.')
    for (const decisionId of [`${epoch}.${Number(n) + 1000}`, `${Number(epoch) + 1}.1`, '4294967295.9007199254740991', `${epoch}.0`, String(reward)]) {
      assertRefuses(() => bandits.feedback({ decisionId, action: 'done' }), 'ERR_UNKNOWN_DECISION', 'decisionId', decisionId)
    }
    assert.deepEqual(sumsOf(bandits), [[0, 0], [1, 1], [0, 0]])
  })
  test('what is no id at all', (t) => {
    const bandits = openEngine(t)
    const known = decide(bandits)
    for (const decisionId of [undefined, null, 5, '', '1', '1.', '.1', '0.1', '-1.1', '1.-1', '1.1.1', ' 1.1', '1.1 ', '1.1\n', '1.x', '1e3.1', '4294967296.1', '1.9007199254740993', '1.99999999999999999', '01.1', {}, ['1.1'], `1.0${known.slice(2)}`, `１.１`]) {
      assertRefuses(() => bandits.feedback({ decisionId: /** @type {any} */ (decisionId), action: 'done' }), 'ERR_INVALID_ARGUMENT', 'decisionId', String(decisionId))
    }
  })
  test('other wrong arguments', (t) => {
    const bandits = openEngine(t)
    const decisionId = decide(bandits)
    for (const [request, path] of /** @type {[any, string][]} */ ([
      [undefined, 'request'], [null, 'request'], [[], 'request'], ['1.1', 'request'],
      [{ decisionId }, 'action'], [{ decisionId, action: 'liked' }, 'action'], [{ decisionId, action: null }, 'action'], [{ decisionId, action: 'toString' }, 'action'], [{ decisionId, action: 'liked', reward: 1 }, 'action'],
      [{ decisionId, reward: NaN }, 'reward'], [{ decisionId, reward: Infinity }, 'reward'], [{ decisionId, reward: '1' }, 'reward'], [{ decisionId, reward: null }, 'reward'], [{ decisionId, action: 'done', reward: 1n }, 'reward'],
      [{ decisionId, action: 'done', at: 'yesterday' }, 'at'], [{ decisionId, action: 'done', at: -1 }, 'at'], [{ decisionId, action: 'done', at: NaN }, 'at'], [{ decisionId, action: 'done', at: null }, 'at'], [{ decisionId, action: 'done', at: '' }, 'at'],
      [{ decisionId, action: 'done', at: 8.65e15 }, 'at'], [{ decisionId, action: 'done', at: new Date(NaN) }, 'at'], [{ decisionId, action: 'done', at: '1969-12-31T23:59:59Z' }, 'at'], [{ decisionId, action: 'done', at: {} }, 'at'],
      ...['tip 5', '12', '01.11.2026', '2026-11-31', '2026-02-30T00:00:00Z', '2026-11-01T00:00:00', '2026-11-01 00:00Z', '2026-11-01T25:00Z', ' 2026-11-01'].map((at) => [{ decisionId, action: 'done', at }, 'at']),
    ])) assertRefuses(() => bandits.feedback(request), 'ERR_INVALID_ARGUMENT', path, JSON.stringify(request, (_key, value) => (typeof value === 'bigint' ? `${value}n` : value)))
    assert.deepEqual(sumsOf(bandits), three(0, 0))
  })
  test('decisions before a reset, also after a restart; those after it are known', async (t) => {
    const T = Date.now()
    const stateDir = emptyDirectory(t)
    const bandits = openEngine(t, { stateDir })
    const [used, unused, others] = [decide(bandits), decide(bandits), decide(bandits, 'v')]
    bandits.feedback({ decisionId: used, action: 'done', at: T + 1 })
    bandits.reset('u')
    const after = decide(bandits)
    /** @param {Bandits} engine */
    const check = (engine) => {
      for (const decisionId of [used, unused]) assertRefuses(() => engine.feedback({ decisionId, action: 'dismiss', at: T + 2 }), 'ERR_UNKNOWN_DECISION', 'decisionId')
    }
    check(bandits)
    assert.equal(bandits.feedback({ decisionId: others, action: 'done' }).applied, true)
    assert.equal(bandits.feedback({ decisionId: after, action: 'done', at: T + 3 }).applied, true)
    await bandits.close()
    const again = openEngine(t, { stateDir })
    check(again)
    assert.deepEqual(again.feedback({ decisionId: after, action: 'done', at: T + 3 }), { ok: true, applied: false, revision: true, policies: POLICIES })
    assert.deepEqual(sumsOf(again), three(1, 1))
  })
  test('decisions before a reset under policies that knew nothing of the user then', (t) => {
    const bandits = openEngine(t)
    bandits.setPolicy('linucb-v1', { mode: 'off' })
    bandits.setPolicy('egreedy-v2', { mode: 'off' })
    const before = decide(bandits)
    bandits.reset('u')
    bandits.setPolicy('linucb-v1', { mode: 'active' })
    bandits.setPolicy('egreedy-v1', { mode: 'off' })
    assertRefuses(() => bandits.feedback({ decisionId: before, action: 'done' }), 'ERR_UNKNOWN_DECISION', 'decisionId')
  })
  test('decisions before a reset that no log tells of', async (t) => {
    const T = Date.now()
    const stateDir = emptyDirectory(t)
    const bandits = openEngine(t, { stateDir })
    const [used, unused] = [decide(bandits), decide(bandits)]
    bandits.feedback({ decisionId: used, action: 'done', at: T + 1 })
    await bandits.close()
    const silent = openEngine(t, { stateDir, log: 'off' })
    silent.reset('u')
    await silent.close()
    const again = openEngine(t, { stateDir })
    for (const decisionId of [used, unused]) assertRefuses(() => again.feedback({ decisionId, action: 'done', at: T + 1 }), 'ERR_UNKNOWN_DECISION', 'decisionId')
  })
  test('those past `decisionTtlHours`, which is at most what the log keeps', (t) => {
    const stateDir = emptyDirectory(t)
    for (const decisionTtlHours of [0, -1, 1.5, '7', NaN, 721]) assertRefuses(() => Bandits.open({ stateDir, decisionTtlHours: /** @type {any} */ (decisionTtlHours) }), 'ERR_INVALID_ARGUMENT', 'options.decisionTtlHours', String(decisionTtlHours))
    assertRefuses(() => Bandits.open({ stateDir, logRetentionDays: 2, decisionTtlHours: 49 }), 'ERR_INVALID_ARGUMENT', 'options.decisionTtlHours')
    const bandits = openEngine(t, { stateDir, decisionTtlHours: 720 })
    assertRefuses(() => Bandits.open({ stateDir, decisionTtlHours: 5 }), 'ERR_INVALID_ARGUMENT', 'options.decisionTtlHours')
    assert.equal(bandits.feedback({ decisionId: decide(bandits), action: 'done' }).applied, true)
  })
  test('decisions of somebody who was erased', async (t) => {
    const T = Date.now()
    const stateDir = emptyDirectory(t)
    const bandits = openEngine(t, { stateDir })
    const [used, unused, others] = [decide(bandits), decide(bandits), decide(bandits, 'v')]
    bandits.feedback({ decisionId: used, action: 'done', at: T + 1 })
    const erased = bandits.erase('u')
    for (const decisionId of [used, unused]) assertRefuses(() => bandits.feedback({ decisionId, action: 'done', at: T + 2 }), 'ERR_UNKNOWN_DECISION', 'decisionId')
    const after = decide(bandits)
    await erased
    for (const decisionId of [used, unused]) assertRefuses(() => bandits.feedback({ decisionId, action: 'done', at: T + 2 }), 'ERR_UNKNOWN_DECISION', 'decisionId')
    for (const decisionId of [after, others]) assert.equal(bandits.feedback({ decisionId, action: 'done', at: T + 3 }).applied, true)
    assert.deepEqual([sumsOf(bandits), sumsOf(bandits, 'v')], [three(1, 1), three(1, 1)])
    await bandits.close()
    const again = openEngine(t, { stateDir })
    for (const decisionId of [used, unused]) assertRefuses(() => again.feedback({ decisionId, action: 'done', at: T + 4 }), 'ERR_UNKNOWN_DECISION', 'decisionId')
    for (const decisionId of [after, others]) assert.equal(again.feedback({ decisionId, action: 'helpful', at: T + 4 }).revision, true)
    assert.deepEqual([sumsOf(again), sumsOf(again, 'v')], [three(1, 0.5), three(1, 0.5)])
  })
  test('all but the last 64 that a user reacted to', async (t) => {
    const T = Date.now()
    const stateDir = emptyDirectory(t)
    const bandits = openEngine(t, { stateDir })
    const [unused, other] = [decide(bandits), decide(bandits)]
    const decided = Array.from({ length: 70 }, () => decide(bandits))
    for (const decisionId of decided) bandits.feedback({ decisionId, action: 'done', at: T + 1 })
    // While it is in memory, it is known that there was none: a first reaction counts.
    assert.equal(bandits.feedback({ decisionId: unused, action: 'snooze', at: T + 1 }).revision, false)
    /** @param {Bandits} engine @param {number} at @param {string[]} more */
    const check = (engine, at, more = []) => {
      for (const decisionId of [unused, ...more, ...decided.slice(0, 6)]) assertRefuses(() => engine.feedback({ decisionId, action: 'dismiss', at: T + at }), 'ERR_UNKNOWN_DECISION', 'decisionId')
      for (const decisionId of decided.slice(6)) assert.equal(engine.feedback({ decisionId, action: 'helpful', at: T + at }).revision, true)
      assert.deepEqual(sumsOf(engine), three(71, 6 + 32))
    }
    check(bandits, 2)
    await bandits.close()
    check(openEngine(t, { stateDir }), 3, [other])
  })
  test('a first reaction to an old decision of a user with 64 later ones counts once', (t) => {
    const bandits = openEngine(t)
    const old = decide(bandits)
    for (let i = 0; i < 64; i++) bandits.feedback({ decisionId: decide(bandits), action: 'snooze' })
    assert.equal(bandits.feedback({ decisionId: old, action: 'done' }).applied, true)
    assertRefuses(() => bandits.feedback({ decisionId: old, action: 'done' }), 'ERR_UNKNOWN_DECISION', 'decisionId')
    assert.deepEqual(sumsOf(bandits), three(65, 1))
  })
})

describe('out of memory', () => {
  test('decisions are found in the log after a restart, with all that is learned from', async (t) => {
    const [stateDir, finalDir] = [emptyDirectory(t), emptyDirectory(t)]
    let bandits = openEngine(t, { stateDir })
    const final = openEngine(t, { stateDir: finalDir })
    const rng = random(3)
    const decided = Array.from({ length: 30 }, (_decision, i) => bandits.recommend({
      userId: 'u', context: { hourOfDay: i % 24, dayOfWeek: i % 7 }, candidates: Array.from({ length: 6 }, (_candidate, k) => ({ id: `${i} "${k}" \u{1F600}`, features: { taskAgeDays: rng() * 30, priority: 1 + (k % 4) } })),
      profileFeatures: { completionRate30d: rng(), dismissRate30d: rng(), meanDwellMs30d: rng() * 6e5, tipVolume30d: rng() * 100, preferredHour: rng() * 24, computedAt: 'then' },
    }).decisionId)
    await bandits.close()
    bandits = openEngine(t, { stateDir })
    for (const [i, decisionId] of decided.entries()) {
      const shown = shownIn(stateDir, decisionId)
      bandits.feedback({ decisionId, reward: i / 7 })
      const { tipId, features, hourOfDay, dayOfWeek, profileFeatures, decision } = /** @type {any} */ (lastOf(stateDir, 'feedback'))
      assert.deepEqual({ tipId, features: { ...features, hourOfDay }, dayOfWeek, profileFeatures, decision: decision.join('.') }, { ...shown, decision: decisionId })
      for (const policy of POLICIES) final.reward({ userId: 'u', reward: i / 7, policy, ...shown })
    }
    await Promise.all([bandits.close(), final.close()])
    assertSameSums(stateDir, finalDir)
  })
  test('more than 20,000 decisions: an old one comes from the log', (t) => {
    const T = Date.now()
    const stateDir = emptyDirectory(t)
    const bandits = openEngine(t, { stateDir })
    const old = Array.from({ length: 10 }, (_decision, i) => decide(bandits, `old${i}`))
    for (let i = 0; i < 20_050; i++) bandits.recommend({ userId: `many${i % 100}`, candidates: [{ id: 'a' }] })
    for (const [i, decisionId] of old.entries()) {
      assert.deepEqual(bandits.feedback({ decisionId, action: 'done', at: T + 5 }), { ok: true, applied: true, revision: false, policies: POLICIES })
      assert.equal(bandits.feedback({ decisionId, action: 'done', at: T + 5 }).applied, false)
      assert.equal(bandits.feedback({ decisionId, action: 'helpful', at: T + 6 }).revision, true)
      assert.deepEqual(sumsOf(bandits, `old${i}`), three(1, 0.5))
    }
    assert.ok(segmentsIn(stateDir).length >= 1)
  })
  test('users that left memory are learned from, once', (t) => {
    const bandits = openEngine(t, { stateDir: emptyDirectory(t), maxHotUsers: 1 })
    const users = Array.from({ length: 30 }, (_user, i) => `user${i}`)
    /** @type {Map<string, string>} */
    const decided = new Map()
    const T = Date.now()
    for (const userId of users) withRoom(() => decided.set(userId, decide(bandits, userId)))
    for (const at of [3, 1, 3, 2]) {
      for (const decisionId of decided.values()) withRoom(() => bandits.feedback({ decisionId, reward: at, at: T + at }))
      for (const userId of users) assert.deepEqual(sumsOf(bandits, userId), three(1, 3), userId)
    }
    assert.ok(bandits.health().evictedUsers > 30)
  })
  test('what was learned from which decision stands in the state files', async (t) => {
    const T = Date.now()
    const stateDir = emptyDirectory(t)
    const bandits = openEngine(t, { stateDir })
    const decisionId = decide(bandits)
    bandits.feedback({ decisionId, reward: 0.25, at: T + 1234 })
    await bandits.close()
    const [epoch, n] = decisionId.split('.').map(Number)
    for (const file of Object.values(FILES)) {
      const { feedback } = JSON.parse(readFileSync(join(stateDir, file), 'utf8')).meta
      assert.deepEqual(feedback, { floor: [0, 0], entries: [[epoch, n, T + 1234, 0.25]] })
    }
  })
  test('a state file that was damaged is put together again with what was learned from which decision', async (t) => {
    const T = Date.now()
    const stateDir = emptyDirectory(t)
    const bandits = openEngine(t, { stateDir })
    const decided = Array.from({ length: 5 }, () => decide(bandits))
    for (const [i, decisionId] of decided.entries()) for (const at of [1, 2]) bandits.feedback({ decisionId, reward: i + at, at: T + at })
    await bandits.close()
    for (const file of Object.values(FILES)) {
      const text = readFileSync(join(stateDir, file), 'utf8')
      writeFileSync(join(stateDir, file), text.replace('"pulls":5', '"pulls":6'))
    }
    const again = openEngine(t, { stateDir })
    assert.deepEqual(sumsOf(again), three(5, 20))
    assert.deepEqual(again.health().damagedFiles.map(({ rebuilt }) => rebuilt), ['complete', 'complete', 'complete'])
    for (const [i, decisionId] of decided.entries()) assert.equal(again.feedback({ decisionId, reward: i + 2, at: T + 2 }).applied, false)
    for (const decisionId of decided) assert.equal(again.feedback({ decisionId, reward: 0, at: T + 3 }).revision, true)
    assert.deepEqual(sumsOf(again), three(5, 0))
    assert.deepEqual(POLICIES.map((policy) => again.stats('u', policy).pulls), [5, 5, 5])
  })
  test('the state files follow from the log alone', async (t) => {
    const [stateDir, replayed] = [emptyDirectory(t), emptyDirectory(t)]
    const [rng, T] = [random(11), Date.now()]
    for (let life = 0; life < 3; life++) {
      const bandits = openEngine(t, { stateDir, seed: life })
      const decided = []
      for (let i = 0; i < 200; i++) {
        const userId = `user${Math.floor(rng() * 4)}`
        decided.push(bandits.recommend({ userId, candidates: list(4), context: { hourOfDay: i % 24 }, ...(i % 5 === 0 && { mask: [true, false, true, false], holdout: 0.5 }) }).decisionId)
        try {
          bandits.feedback({ decisionId: String(decided[Math.floor(rng() * decided.length)]), reward: rng(), at: T + Math.floor(rng() * 100) })
        } catch (error) {
          assert.equal(/** @type {any} */ (error).code, 'ERR_UNKNOWN_DECISION')
        }
        if (i % 50 === 49) bandits.reset(userId)
        if (i % 60 === 30) bandits.setPolicy('egreedy-v2', { mode: i % 120 === 30 ? 'off' : 'shadow' })
      }
      await bandits.close()
    }
    const { complete, reasons } = await replay(join(stateDir, 'log'), replayed)
    assert.deepEqual([complete, reasons], [true, []])
    assert.deepEqual(contentsOf(replayed), contentsOf(stateDir))
  })
})

test('a shadow that cannot be read is left out, and the policy that decides is not', (t) => {
  const T = Date.now()
  const stateDir = emptyDirectory(t)
  writeFileSync(join(stateDir, 'u.json'), 'not JSON')
  const bandits = openEngine(t, { stateDir })
  const request = { userId: 'u', candidates: [{ id: 'a' }, { id: 'b' }] }
  const { decisionId, shadows } = bandits.recommend(request)
  assert.deepEqual(shadows.map(({ policy }) => policy), ['egreedy-v2'])
  assert.deepEqual(bandits.feedback({ decisionId, action: 'done', at: T + 1 }), { ok: true, applied: true, revision: false, policies: ['egreedy-v1', 'egreedy-v2'] })
  assert.deepEqual(bandits.feedback({ decisionId, action: 'dismiss', at: T + 2 }), { ok: true, applied: true, revision: true, policies: ['egreedy-v1', 'egreedy-v2'] })
  assert.equal(bandits.stats('u', 'egreedy-v2').cumulativeReward, -1)
  bandits.setPolicy('linucb-v1', { mode: 'active' })
  assertRefuses(() => bandits.recommend(request), 'ERR_STATE_CORRUPT')
  const { decisionId: other } = bandits.recommend({ ...request, userId: 'v' })
  assert.deepEqual(bandits.feedback({ decisionId: other, reward: 1 }).policies, ['linucb-v1', 'egreedy-v1', 'egreedy-v2'])
})
