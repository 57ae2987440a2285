// @ts-check
// The interaction log: what each line says, read without the package and after docs/interaction-log.md.

import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import { existsSync, readdirSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'

import { eventsIn, linesIn, segmentsIn } from './support/log-lines.mjs'
import { assertRefuses } from './support/refusal.mjs'
import { POLICIES, rewardOnce } from './support/standing.mjs'
import { emptyDirectory, namesIn, openEngine, stateIn, stateText } from './support/state-dir.mjs'

/** @typedef {import('@oo/bandits').Bandits} Bandits */

const { version } = createRequire(import.meta.url)('@oo/bandits/package.json')
const NOTHING_KNOWN = { completionRate30d: null, dismissRate30d: null, meanDwellMs30d: null, preferredHour: null, tipVolume30d: null, computedAt: null }
const DEFAULTS = { isOverdue: false, taskAgeDays: 0, priority: 1 }
const candidates = [{ id: 'a' }]

/**
 * What `work` leaves in the log of an engine of its own.
 * @param {import('./support/state-dir.mjs').TestContext} t
 * @param {(bandits: Bandits) => unknown} work
 */
async function eventsOf(t, work) {
  const stateDir = emptyDirectory(t)
  const bandits = openEngine(t, { stateDir })
  await work(bandits)
  await bandits.close()
  return eventsIn(stateDir)
}

describe('a pull', () => {
  test('has what was given and what came out', async (t) => {
    const features = { isOverdue: true, taskAgeDays: 45.25, priority: 3 }
    const profileFeatures = { completionRate30d: 0.25, dismissRate30d: 7, meanDwellMs30d: 1e9, preferredHour: 23.5, tipVolume30d: -1, computedAt: '2026-11-20T04:00:00Z' }
    /** @type {import('@oo/bandits').ScoreResult[]} */
    const results = []
    const lines = await eventsOf(t, (bandits) => {
      for (const policy of POLICIES) {
        results.push(bandits.score({
          userId: 'u', candidates: [{ id: 'other' }, { id: `✓ ${policy}`, features, promptVersion: 'v2' }, { id: 'last' }],
          context: { hourOfDay: 23, dayOfWeek: 6 }, profileFeatures, policy,
        }))
      }
    })
    assert.deepEqual(lines, results.map(({ policy, tipId, index, score, exploring, propensity }, ordinal) => ({
      kind: 'pull', userId: 'u', policy, tipId, index, candidates: 3, score, exploring, propensity, hourOfDay: 23, dayOfWeek: 6,
      features: index === 1 ? features : DEFAULTS, profileFeatures, ...(index === 1 ? { promptVersion: 'v2' } : {}), ordinal, first: true,
    })))
    assert.ok(results.some(({ index }) => index === 1), 'the candidate with features was never chosen')
  })

  test('has defaults where nothing was given, and null where a profile does not say', async (t) => {
    const lines = await eventsOf(t, (bandits) => {
      bandits.score({ userId: 'u', candidates })
      bandits.score({ userId: 'u', candidates, profileFeatures: null })
      bandits.score({ userId: 'u', candidates, profileFeatures: {} })
      bandits.score({ userId: 'u', candidates, profileFeatures: { dismissRate30d: null, preferredHour: 0, computedAt: null } })
      bandits.score({ userId: 'u', candidates, profileFeatures: { computedAt: '' } })
    })
    assert.deepEqual(lines.map(({ profileFeatures }) => profileFeatures), [null, null, NOTHING_KNOWN, { ...NOTHING_KNOWN, preferredHour: 0 }, { ...NOTHING_KNOWN, computedAt: '' }])
    for (const { hourOfDay, dayOfWeek, features } of lines) assert.deepEqual([hourOfDay, dayOfWeek, features], [12, 0, DEFAULTS])
    for (const line of lines) assert.equal('promptVersion' in line, false)
  })

  test('has the prompt version of the candidate that was chosen, however candidates come', async (t) => {
    const versions = ['v1', undefined, '', '✓'.repeat(128), '😀'.repeat(64), '"\\\n\0']
    const list = versions.map((promptVersion, i) => ({ id: `c${i}`, ...(promptVersion === undefined ? {} : { promptVersion }) }))
    const lines = await eventsOf(t, (bandits) => {
      const set = bandits.prepare(list)
      const plain = bandits.prepare([{ id: 'c1' }])
      for (let i = 0; i < 100; i++) {
        bandits.score({ userId: 'u', candidates: list })
        bandits.score({ userId: 'u', candidates: set, profileFeatures: { computedAt: `at ${i}` } })
        bandits.scoreMany([{ userId: 'u', candidates: set }, { userId: 'u', candidates: plain, profileFeatures: { computedAt: `many ${i}` } }, { userId: 'u', candidates: list, profileFeatures: {} }])
        bandits.score({ userId: 'u', get candidates() { bandits.score({ userId: 'u', candidates: plain }); return list } })
      }
    })
    assert.equal(lines.length, 700)
    const chosen = new Set()
    for (const { tipId, index, candidates: count, promptVersion } of lines) {
      assert.equal(promptVersion, count === 1 ? undefined : versions[index], tipId)
      if (count > 1) chosen.add(index)
    }
    assert.equal(chosen.size, versions.length, 'some candidate was never chosen')
    assert.deepEqual(lines.filter(({ profileFeatures }) => profileFeatures?.computedAt).map(({ profileFeatures }) => profileFeatures.computedAt), Array.from({ length: 100 }, (_call, i) => [`at ${i}`, `many ${i}`]).flat())
  })

  test('has ids and numbers to the letter and to the last bit', async (t) => {
    const ids = ['é', '😀', 'a\0b', '\n', '"', '\\', '\u2028', '\x7f', '</script>', '__proto__', 'x'.repeat(512), '😀'.repeat(256), ',"crc":"00000000"}', 'e\u0301']
    const ages = [0.1, 1 / 3, -0, 5e-324, 1.7976931348623157e308, -1e308, 2 ** 53 - 1, 16_777_217, 1e-7, 1e21]
    const lines = await eventsOf(t, (bandits) => {
      for (const id of ids) bandits.score({ userId: id, candidates: [{ id }] })
      for (const id of ids) bandits.reward({ userId: id, tipId: id, reward: 1 / 3, features: {} })
      for (const taskAgeDays of ages) bandits.score({ userId: 'u', candidates: [{ id: 'a', features: { taskAgeDays } }] })
    })
    assert.deepEqual(lines.slice(0, ids.length).map(({ userId, tipId }) => [userId, tipId]), ids.map((id) => [id, id]))
    assert.deepEqual(lines.slice(ids.length, 2 * ids.length).map(({ userId, tipId, reward }) => [userId, tipId, reward]), ids.map((id) => [id, id, 1 / 3]))
    assert.deepEqual(lines.slice(2 * ids.length).map(({ features }) => features.taskAgeDays), ages)
  })
})

test('a reward has what was given', async (t) => {
  const profileFeatures = { preferredHour: 3.5, computedAt: 'yesterday' }
  const lines = await eventsOf(t, (bandits) => {
    bandits.reward({ userId: 'u', tipId: '✓ tip', reward: -0.5, features: { isOverdue: true, taskAgeDays: 400, priority: 4, hourOfDay: 0 }, dayOfWeek: 6, profileFeatures, policy: 'egreedy-v2' })
    bandits.reward({ userId: 'u', tipId: 'b', reward: 1e6, features: {}, policy: 'linucb-v1' })
  })
  assert.deepEqual(lines, [
    { kind: 'reward', userId: 'u', policy: 'egreedy-v2', tipId: '✓ tip', reward: -0.5, hourOfDay: 0, dayOfWeek: 6, features: { isOverdue: true, taskAgeDays: 400, priority: 4 }, profileFeatures: { ...NOTHING_KNOWN, ...profileFeatures }, first: true },
    { kind: 'reward', userId: 'u', policy: 'linucb-v1', tipId: 'b', reward: 1e6, hourOfDay: 12, dayOfWeek: 0, features: DEFAULTS, profileFeatures: null, first: true },
  ])
})

test('a reset has a line where there was something to go back from', async (t) => {
  const lines = await eventsOf(t, (bandits) => {
    bandits.reset('never seen')
    rewardOnce(bandits, 'u')
    bandits.reset('u')
    bandits.reset('u')
  })
  assert.deepEqual(lines.slice(1), [{ kind: 'reset', userId: 'u' }])
})

test('first: on lines before which no file and no reward’s line told that the policy knows the user', async (t) => {
  const stateDir = emptyDirectory(t)
  // Sorted: pulls are written later than rewards.
  const firsts = () => eventsIn(stateDir).flatMap(({ first, kind, policy }) => (first ? [`${kind} ${policy}`] : [])).sort()
  const bandits = openEngine(t, { stateDir })
  for (const policy of POLICIES) {
    rewardOnce(bandits, 'u', { policy })
    bandits.score({ userId: 'u', candidates, policy })
    rewardOnce(bandits, 'u', { policy })
  }
  bandits.score({ userId: 'v', candidates })
  await bandits.checkpoint()
  bandits.score({ userId: 'v', candidates })
  await bandits.close()
  const lines = ['pull egreedy-v1', ...POLICIES.map((policy) => `reward ${policy}`).sort()]
  assert.deepEqual(firsts(), lines)
  assert.ok(eventsIn(stateDir).every((line) => line.first === true || !('first' in line)), 'it is true or missing')
  // Not after a restart, nor after a reset; anew after an erasure.
  const second = openEngine(t, { stateDir })
  second.reset('u')
  rewardOnce(second, 'u')
  await second.close()
  assert.deepEqual(firsts(), lines)
  const third = openEngine(t, { stateDir })
  await third.erase('u')
  rewardOnce(third, 'u')
  await third.close()
  assert.deepEqual(firsts(), ['pull egreedy-v1', 'reward egreedy-v1'])
})

for (const historySize of [0, 3, 100]) {
  test(`ordinal: how many pulls came before, across policies and restarts, with a history of ${historySize}`, async (t) => {
    const stateDir = emptyDirectory(t)
    let ordinal = 0
    for (let start = 0; start < 3; start++) {
      const bandits = openEngine(t, { stateDir, historySize })
      for (let i = 0; i < 7; i++, ordinal++) {
        bandits.score({ userId: 'u', candidates: [{ id: `t${ordinal}` }], policy: POLICIES[i % 3] })
        bandits.score({ userId: 'v', candidates: [{ id: `t${ordinal}` }] })
        rewardOnce(bandits, 'u')
      }
      await bandits.close()
    }
    for (const userId of ['u', 'v']) {
      const pulls = eventsIn(stateDir).filter((line) => line.kind === 'pull' && line.userId === userId)
      assert.deepEqual(pulls.map((line) => `t${line['ordinal']}`), pulls.map((line) => line['tipId']))
      assert.equal(pulls.length, 21)
    }
  })
}

test('calls that are refused leave no line', async (t) => {
  const lines = await eventsOf(t, (bandits) => {
    assertRefuses(() => bandits.score({ userId: 'u', candidates: [] }), 'ERR_NO_CANDIDATES')
    assertRefuses(() => bandits.scoreMany([{ userId: 'u', candidates }, { userId: 'u', candidates: [] }]), 'ERR_NO_CANDIDATES')
    assertRefuses(() => rewardOnce(bandits, 'u', { reward: NaN }), 'ERR_INVALID_ARGUMENT')
    rewardOnce(bandits, 'u', { reward: 1e6 })
    assertRefuses(() => rewardOnce(bandits, 'u', { reward: 1.1e6 }), 'ERR_INVALID_ARGUMENT')
    bandits.stats('u')
    bandits.features('u')
  })
  assert.equal(lines.length, 1)
})

test('segments, numbers and times', async (t) => {
  const stateDir = emptyDirectory(t)
  // The clock of the log goes in steps of up to 10 ms.
  const from = Date.now() - 10
  for (let epoch = 1; epoch <= 3; epoch++) {
    const bandits = openEngine(t, { stateDir })
    for (let i = 0; i < 5; i++) {
      bandits.score({ userId: `u${i}`, candidates })
      rewardOnce(bandits, `u${i}`)
    }
    assert.deepEqual([bandits.health().log.epoch, bandits.recovery.epoch], [epoch, epoch])
    await bandits.close()
  }
  const to = Date.now()
  const lines = linesIn(stateDir)
  assert.equal(new Set(lines.map(({ seq }) => seq.join())).size, lines.length, 'a number was used twice')
  const times = lines.map(({ ts }) => ts)
  for (const ts of times) assert.ok(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/.test(ts) && Date.parse(ts) >= from && Date.parse(ts) <= to, ts)
  for (const { v, seq } of lines) assert.ok(v === 1 && seq.length === 2 && seq.every(Number.isSafeInteger))
  // Each segment is named after its first line, which says what was in the files.
  const heads = lines.filter(({ kind }) => kind === 'segment')
  assert.deepEqual(heads.map(({ seq: [epoch, n] }) => `${String(epoch).padStart(10, '0')}-${String(n).padStart(16, '0')}.jsonl`), segmentsIn(stateDir))
  assert.deepEqual(heads.map(({ seq: [epoch], engine }) => [epoch, engine]), [[1, version], [2, version], [3, version]])
  // Closing marks that everything is in the files; the next epoch begins with that.
  const marks = lines.filter(({ kind }) => kind === 'mark')
  for (const epoch of [1, 2, 3]) {
    const last = Math.max(...lines.filter(({ seq, kind }) => seq[0] === epoch && kind !== 'mark').map(({ seq }) => seq[1]))
    const mark = marks.findLast(({ seq }) => seq[0] === epoch)?.['lowWater']
    assert.equal(mark[0], epoch)
    assert.ok(mark[1] >= last, `${mark} does not cover ${last}`)
    if (epoch < 3) assert.deepEqual(heads[epoch]?.['lowWater'], mark)
  }
})

test('the log is this user’s alone', async (t) => {
  const stateDir = emptyDirectory(t)
  const bandits = openEngine(t, { stateDir })
  rewardOnce(bandits, 'u')
  await bandits.flush()
  assert.equal(statSync(join(stateDir, 'log')).mode & 0o777, 0o700)
  for (const name of segmentsIn(stateDir)) assert.equal(statSync(join(stateDir, 'log', name)).mode & 0o777, 0o600)
})

test('health().log says how it is doing', async (t) => {
  const bandits = openEngine(t)
  rewardOnce(bandits, 'u')
  await bandits.checkpoint()
  const { lowWater, bytes, unsyncedBytes, ...rest } = bandits.health().log
  assert.deepEqual(rest, { enabled: true, epoch: 1, segments: 1, lastsHours: null, droppedPulls: 0, errors: 0, lastError: null, failing: false })
  assert.ok(bytes > 0 && unsyncedBytes >= 0)
  assert.ok(lowWater.length === 2 && lowWater.every(Number.isSafeInteger))
})

describe('a state that somebody else wrote', () => {
  test('stands in the log before the first change to it, once', async (t) => {
    for (const change of /** @type {((bandits: Bandits) => unknown)[]} */ ([(b) => rewardOnce(b, 'u', { policy: 'linucb-v1' }), (b) => b.score({ userId: 'u', candidates, policy: 'linucb-v1' })])) {
      const stateDir = emptyDirectory(t)
      const b = [1, 0.25, -3, 0, 0.1]
      writeFileSync(join(stateDir, 'u.json'), stateText(5, { diagonal: 2, b, meta: { pulls: 5, reward_count: 2, cumulative_reward: 1.5, cohort: 'x' } }))
      const bandits = openEngine(t, { stateDir })
      bandits.stats('u', 'linucb-v1')
      change(bandits)
      change(bandits)
      await bandits.close()
      const second = openEngine(t, { stateDir })
      change(second)
      await second.close()
      const [{ state: { A, b: loggedB, meta }, ...first }, ...rest] = /** @type {[any, ...any[]]} */ (eventsIn(stateDir))
      assert.deepEqual(first, { kind: 'state', userId: 'u', policy: 'linucb-v1' })
      assert.deepEqual([A[1], loggedB], [[0, 2, 0, 0, 0], b])
      assert.deepEqual([meta.pulls, meta.reward_count, meta.cumulative_reward, meta.cohort], [5, 2, 1.5, 'x'])
      assert.deepEqual([rest.length, rest.some(({ kind }) => kind === 'state'), rest.some((line) => 'first' in line)], [3, false, false])
    }
  })
})

describe("log: 'off'", () => {
  test('leaves no log directory, and flush() writes state files', async (t) => {
    const stateDir = emptyDirectory(t)
    const bandits = openEngine(t, { stateDir, log: 'off' })
    bandits.score({ userId: 'u', candidates })
    rewardOnce(bandits, 'u')
    await bandits.flush()
    assert.equal(stateIn(stateDir, 'u_egreedy.json').meta['reward_count'], 1)
    assert.deepEqual([bandits.health().ok, bandits.health().log.enabled], [true, false])
    bandits.reset('u')
    rewardOnce(bandits, 'u')
    await bandits.erase('u')
    rewardOnce(bandits, 'v')
    await bandits.checkpoint()
    await bandits.close()
    assert.equal(existsSync(join(stateDir, 'log')), false)
    assert.deepEqual(readdirSync(stateDir).sort(), ['.epoch', '.lock', 'v_egreedy.json'])
  })

  test('and on, in turns: nothing is lost or learned twice', async (t) => {
    const stateDir = emptyDirectory(t)
    for (const [i, log] of /** @type {const} */ (['off', 'on', 'off', 'on', 'on', 'off', 'off', 'on']).entries()) {
      const bandits = openEngine(t, { stateDir, log })
      for (const policy of POLICIES) assert.deepEqual([bandits.stats('u', policy).rewardCount, bandits.stats('u', policy).pulls], [i, i])
      for (const policy of POLICIES) rewardOnce(bandits, 'u', { policy })
      for (const policy of POLICIES) bandits.score({ userId: 'u', candidates: [{ id: `t${i}` }], policy })
      await bandits.close()
    }
    const bandits = openEngine(t, { stateDir })
    assert.deepEqual(bandits.features('u').history.map(({ tipId }) => tipId), Array.from({ length: 8 }, (_start, i) => [`t${i}`, `t${i}`, `t${i}`]).flat())
    assert.deepEqual(namesIn(stateDir), ['u.json', 'u_egreedy.json', 'u_egreedy_v2.json'])
  })

  test('reaches the lines from before when it erases', async (t) => {
    const stateDir = emptyDirectory(t)
    const first = openEngine(t, { stateDir })
    rewardOnce(first, 'u')
    rewardOnce(first, 'v')
    await first.close()
    const second = openEngine(t, { stateDir, log: 'off' })
    await second.erase('u')
    await second.close()
    assert.deepEqual(eventsIn(stateDir).flatMap(({ userId }) => userId ?? []), ['v'])
  })
})
