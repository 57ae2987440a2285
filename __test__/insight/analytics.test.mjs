// @ts-check
// analytics() and dataQuality() against the same figures computed from the log's lines in the simplest way.

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { assertNear, decided, openWorld, sum } from '../support/insight-world.mjs'
import { linesIn } from '../support/log-lines.mjs'
import { POLICIES } from '../support/standing.mjs'
import { emptyDirectory, openEngine } from '../support/state-dir.mjs'

/** @typedef {import('../support/insight-world.mjs').Decided} Decided */
/** @typedef {import('@oo/bandits').RewardSummary} RewardSummary */

const Z95 = 1.959963984540054

/** @param {RewardSummary} summary @param {Decided[]} all @param {string} what */
function assertSummary(summary, all, what) {
  const rewards = all.flatMap(({ reaction }) => (reaction === undefined ? [] : [reaction.reward]))
  /** @type {Record<string, number>} */
  const actions = {}
  for (const { reaction } of all) if (reaction?.action != null) actions[reaction.action] = (actions[reaction.action] ?? 0) + 1
  assert.deepEqual([summary.decisions, summary.feedback, summary.actions], [all.length, rewards.length, actions], what)
  const mean = sum(rewards) / rewards.length
  if (rewards.length === 0) assert.equal(summary.meanReward, null, what)
  else assertNear(mean, summary.meanReward, what)
  if (rewards.length < 2) assert.equal(summary.ci95, null, what)
  else {
    const error = Math.sqrt(sum(rewards.map((reward) => (reward - mean) ** 2)) / (rewards.length - 1) / rewards.length)
    assertNear(mean - Z95 * error, summary.ci95?.[0], what)
    assertNear(mean + Z95 * error, summary.ci95?.[1], what)
  }
}

/** @type {Record<import('@oo/bandits').Analytics['by'], (decided: Decided) => string | null | undefined>} */
const KEYS = {
  day: ({ line }) => line.ts.slice(0, 10),
  policy: ({ line }) => line['policy'],
  promptVersion: ({ line }) => line['promptVersions']?.[line['index']] ?? null,
  action: ({ reaction }) => reaction?.action ?? (reaction === undefined ? undefined : null),
}

/** @param {import('@oo/bandits').Analytics} answer @param {Decided[]} all */
function assertAnalytics(answer, all) {
  assertSummary(answer.totals, all, 'totals')
  const keys = new Set(all.map(KEYS[answer.by]).filter((key) => key !== undefined))
  const sorted = [...keys].sort((a, b) => Number(a === null) - Number(b === null) || (String(a) < String(b) ? -1 : 1))
  assert.deepEqual(answer.groups.map(({ key }) => key), sorted)
  for (const { key, ...summary } of answer.groups) assertSummary(summary, all.filter((one) => KEYS[answer.by](one) === key), `${answer.by} ${key}`)
  assertSummary(answer.heldOut, all.filter(({ line }) => line['heldOut'] === true), 'held out')
  for (const policy of answer.policies) {
    const name = policy.policy
    assertSummary(policy.shown, all.filter(({ line }) => line['policy'] === name && line['heldOut'] !== true), `shown ${name}`)
    const evaluated = all.flatMap((one) => one.line['choices'].filter((/** @type {any} */ choice) => choice.policy === name).map((/** @type {any} */ choice) => ({ ...one, choice })))
    assert.equal(policy.evaluated, evaluated.length)
    const shadow = evaluated.filter(({ line }) => line['policy'] !== name)
    assert.equal(policy.shadow?.decisions, shadow.length)
    assert.equal(policy.shadow?.agreed, shadow.filter(({ line, choice }) => choice.index === line['index']).length)
    const judged = evaluated.filter(({ reaction }) => reaction !== undefined)
    const can = judged.filter(({ line }) => line['ids'].length - (line['masked']?.length ?? 0) > 1 && (line['probabilities'][line['index']] < 1 - 1e-9 || line['policy'] === name))
    assert.equal(policy.withoutOverlap, judged.length - can.length)
    const weights = can.map(({ line, choice }) => choice.probabilities[line['index']] / line['probabilities'][line['index']])
    assert.ok(policy.estimate !== null)
    assert.equal(policy.estimate.samples, can.length)
    const [w, ww] = [sum(weights), sum(weights.map((weight) => weight * weight))]
    const mean = sum(can.map(({ reaction }, i) => weights[i] * (reaction?.reward ?? 0))) / w
    assertNear(mean, policy.estimate.mean, `SNIPS of ${name}`)
    assertNear((w * w) / ww, policy.estimate.effectiveSampleSize, `effective sample size of ${name}`)
    assertNear(Math.max(...weights) / w, policy.estimate.largestShare, `largest share of ${name}`)
    const error = Math.sqrt(sum(can.map(({ reaction }, i) => (weights[i] * ((reaction?.reward ?? 0) - mean)) ** 2))) / w
    assertNear(mean - Z95 * error, policy.estimate.ci95?.[0], `interval of ${name}`)
  }
}

test('every figure of analytics() is what a naive count says, for each grouping and any time', async (t) => {
  const stateDir = emptyDirectory(t)
  const { bandits } = await openWorld(t, { stateDir, decisions: 150 })
  const all = decided(stateDir)
  const [since, until] = [all[450].line.ts, all[90].line.ts]
  for (const by of /** @type {const} */ (['day', 'policy', 'promptVersion', 'action'])) {
    // Marks are written meanwhile, once a second.
    const least = linesIn(stateDir).length
    const answer = await bandits.analytics({ by })
    assert.deepEqual(answer.policies.map(({ policy }) => policy), POLICIES)
    assertAnalytics(answer, all)
    const { lines, tornLines, ...found } = answer.found
    assert.ok(lines >= least && lines <= linesIn(stateDir).length && tornLines <= 1)
    assert.deepEqual(found, { segments: 4, damagedLines: 0 })
    assertAnalytics(await bandits.analytics({ by, since, until }), all.filter(({ line }) => line.ts >= since && line.ts < until))
  }
  assert.deepEqual((await bandits.analytics({ until: all.at(-1)?.line.ts })).totals, { decisions: 0, feedback: 0, meanReward: null, ci95: null, actions: {} })
  assert.equal((await bandits.analytics({ since: all[0].line.ts })).totals.decisions, all.filter(({ line }) => line.ts === all[0].line.ts).length)
})

test('past a thousand prompt versions the rest is one group', async (t) => {
  const bandits = openEngine(t)
  for (let i = 0; i < 1010; i++) bandits.recommend({ userId: 'u', candidates: [{ id: 'a', promptVersion: `v${i}` }] })
  const { groups } = await bandits.analytics({ by: 'promptVersion' })
  assert.equal(groups.length, 1001)
  assert.equal(groups.find(({ key }) => key === '(other)')?.decisions, 10)
})

test('every figure of dataQuality() is what a naive count says', async (t) => {
  const stateDir = emptyDirectory(t)
  const { bandits } = await openWorld(t, { stateDir, decisions: 150 })
  for (const since of [undefined, decided(stateDir)[333].line.ts]) {
    const all = decided(stateDir).filter(({ line }) => since === undefined || line.ts >= since)
    const quality = await bandits.dataQuality(since === undefined ? {} : { since })
    const reacted = all.filter(({ reaction }) => reaction !== undefined)
    assert.deepEqual([quality.decisions, quality.feedback], [all.length, reacted.length])
    assertNear(reacted.length / all.length, quality.joinRate, 'join rate')
    const share = (/** @type {(line: any) => boolean} */ is) => all.filter(({ line }) => is(line)).length / all.length
    const given = { hourOfDay: [12], dayOfWeek: [0], isOverdue: [false], taskAgeDays: [0], priority: [1] }
    for (const { feature, missing, atDefault } of quality.features) {
      const usual = /** @type {any} */ (given)[feature]
      const value = (/** @type {any} */ line) => (Array.isArray(line[feature]) ? line[feature][line.index] : line[feature])
      if (usual === undefined) {
        assertNear(share((line) => (line.profileFeatures?.[feature] ?? null) === null), missing, feature)
        assert.equal(atDefault, null)
      } else {
        assertNear(share((line) => value(line) === usual[0]), atDefault, feature)
        assert.equal(missing, null)
      }
    }
    assert.equal(quality.features.length, 10)
    const delays = reacted.map(({ line, reaction }) => Number(reaction?.at) - Date.parse(line.ts)).sort((a, b) => a - b)
    const rank = (/** @type {number} */ q) => delays[Math.max(0, Math.ceil(delays.length * q) - 1)]
    assert.deepEqual(quality.delay, { medianMs: rank(0.5), p90Ms: rank(0.9), negative: delays.filter((delay) => delay < 0).length })
    const age = (/** @type {any} */ line) => (line.profileFeatures === null ? 'none' : Number.isNaN(Date.parse(line.profileFeatures.computedAt ?? '')) ? 'no time' : Date.parse(line.profileFeatures.computedAt) + 86_400_000 < Date.parse(line.ts) ? 'stale' : 'fresh')
    const ages = all.map(({ line }) => age(line))
    const count = (/** @type {string} */ what) => ages.filter((one) => one === what).length
    const { staleShare, ...profiles } = quality.profiles
    assert.deepEqual(profiles, { withoutProfile: count('none'), withoutTime: count('no time'), stale: count('stale') })
    assertNear(1 - count('fresh') / all.length, staleShare, 'stale profiles')
    const days = [...new Set(all.map(({ line }) => line.ts.slice(0, 10)))].sort()
    assert.deepEqual(quality.days, days.map((day) => ({ day, decisions: all.filter(({ line }) => line.ts.startsWith(day)).length, feedback: reacted.filter(({ line }) => line.ts.startsWith(day)).length, gaps: 0, droppedPulls: 0 })))
    for (const { policy, greedy, exploring } of quality.calibration) {
      const chosen = all.flatMap(({ line }) => line['choices'].filter((/** @type {any} */ choice) => choice.policy === policy).map((/** @type {any} */ choice) => ({ line, choice })))
      const best = chosen.map(({ choice }) => Math.max(...choice.probabilities))
      assert.equal(greedy.decisions, chosen.length)
      assert.equal(greedy.observed, chosen.filter(({ choice }, i) => choice.probabilities.indexOf(best[i]) === choice.index).length)
      assertNear(sum(best), greedy.expected, `greedy ${policy}`)
      const variance = sum(best.map((p) => p * (1 - p)))
      if (variance < 10) assert.equal(greedy.z, null)
      else assertNear((greedy.observed - greedy.expected) / Math.sqrt(variance), greedy.z, `z of ${policy}`)
      const open = chosen.filter(({ line }) => line['ids'].length - (line['masked']?.length ?? 0) > 1)
      assert.deepEqual([exploring.decisions, exploring.observed], [open.length, open.filter(({ choice }) => choice.exploring).length])
      assertNear(open.length * (policy === 'linucb-v1' ? 0 : 0.1), exploring.expected, `exploring ${policy}`)
    }
    const withHoldout = all.filter(({ line }) => line['holdout'] !== undefined)
    assert.deepEqual([quality.holdout.decisions, quality.holdout.observed], [withHoldout.length, withHoldout.filter(({ line }) => line['heldOut']).length])
    assertNear(0.3 * withHoldout.length, quality.holdout.expected, 'holdout')
  }
})

test('an empty log has empty answers', async (t) => {
  const bandits = openEngine(t)
  const nothing = { decisions: 0, feedback: 0, meanReward: null, ci95: null, actions: {} }
  const { totals, heldOut, groups, policies } = await bandits.analytics()
  assert.deepEqual([totals, heldOut, groups, policies], [nothing, nothing, [], []])
  const { joinRate, days, calibration, delay, holdout } = await bandits.dataQuality()
  assert.deepEqual([joinRate, days, calibration, delay], [null, [], [], { medianMs: null, p90Ms: null, negative: 0 }])
  assert.deepEqual(holdout, { decisions: 0, observed: 0, expected: 0, z: null })
})
