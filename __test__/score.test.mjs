// @ts-check
// score(): what is chosen, with which probability, and what stays apart.

import assert from 'node:assert/strict'
import { describe, test } from 'node:test'

import { POLICIES, rewardOnce, timelessStandingOf } from './support/standing.mjs'
import { openEngine } from './support/state-dir.mjs'

const EPSILON = 0.1
const list = (/** @type {number} */ n) => Array.from({ length: n }, (_entry, i) => ({ id: `c${i}`, features: { priority: 1 + (i % 4), taskAgeDays: i % 31, isOverdue: i % 3 === 0 } }))

test('the result is a plain object with what the contract names', (t) => {
  const bandits = openEngine(t)
  const result = bandits.score({ userId: 'u', candidates: [{ id: 'a' }, { id: 'b' }], policy: 'linucb-v1' })
  assert.deepEqual(result, { tipId: 'a', score: 1, policy: 'linucb-v1', index: 0, exploring: false, propensity: 1 })
})

test('ties go to the first', (t) => {
  const bandits = openEngine(t)
  for (const policy of POLICIES) {
    for (const n of [2, 3, 7, 8, 9, 15, 16, 17, 64, 1000]) {
      const same = Array.from({ length: n }, (_entry, i) => ({ id: `same${i}` }))
      // The best stands in the middle, twice.
      const twice = list(n).map((candidate) => ({ ...candidate, features: { priority: 1 } }))
      for (const i of [n - 1, n >> 1]) twice[i] = { id: `best${i}`, features: { priority: 4 } }
      rewardOnce(bandits, `${policy} ${n}`, { policy, reward: 10 })
      for (const [candidates, best] of /** @type {const} */ ([[same, 0], [twice, n >> 1]])) {
        let result
        do result = bandits.score({ userId: `${policy} ${n}`, candidates, policy })
        while (result.exploring)
        assert.equal(result.index, best, `${policy}, ${n} candidates`)
        assert.equal(result.tipId, candidates[best]?.id)
      }
    }
  }
})

describe('propensity', () => {
  test('is 1 for linucb-v1, which never explores', (t) => {
    const bandits = openEngine(t)
    for (let i = 0; i < 200; i++) {
      const { propensity, exploring } = bandits.score({ userId: 'u', candidates: list(5), policy: 'linucb-v1' })
      assert.deepEqual([propensity, exploring], [1, false])
    }
  })

  for (const policy of /** @type {const} */ (['egreedy-v1', 'egreedy-v2'])) {
    test(`is that of ε-greedy for ${policy}, also for a draw that hits the best`, (t) => {
      const bandits = openEngine(t, { activePolicy: policy })
      rewardOnce(bandits, 'u')
      const n = 4
      const candidates = list(n)
      const exploredTo = new Set()
      for (let i = 0; i < 2000; i++) {
        const { index, exploring, propensity, tipId } = bandits.score({ userId: 'u', candidates, context: { hourOfDay: 0 } })
        assert.equal(tipId, `c${index}`)
        // Priority 4 stands at 3 and was rewarded.
        if (exploring) exploredTo.add(index)
        else assert.equal(index, 3)
        assert.ok(Math.abs(propensity - (index === 3 ? 1 - EPSILON + EPSILON / n : EPSILON / n)) < 1e-15)
      }
      assert.deepEqual([...exploredTo].sort(), [0, 1, 2, 3])
      const { explorationRate, pulls } = bandits.stats('u')
      assert.equal(pulls, 2000)
      // Five standard deviations: 5·√(0.1·0.9/2000).
      assert.ok(Math.abs(explorationRate - EPSILON) < 0.034, String(explorationRate))
    })
  }

  test('of the only candidate is 1', (t) => {
    const bandits = openEngine(t)
    for (let i = 0; i < 100; i++) assert.equal(bandits.score({ userId: 'u', candidates: list(1) }).propensity, 1)
  })
})

describe('seed', () => {
  const choices = (/** @type {import('node:test').TestContext} */ t, /** @type {number | undefined} */ seed) => {
    const bandits = openEngine(t, { seed })
    return Array.from({ length: 300 }, () => bandits.score({ userId: 'u', candidates: list(10) }).index)
  }
  test('the same one gives the same choices', (t) => {
    for (const seed of [0, 1, 2 ** 53 - 1]) assert.deepEqual(choices(t, seed), choices(t, seed))
  })
  test('others give others', (t) => {
    assert.notDeepEqual(choices(t, 1), choices(t, 2))
    assert.notDeepEqual(choices(t, 0), choices(t, 2 ** 53 - 1))
  })
  test('none gives others each time', (t) => assert.notDeepEqual(choices(t, undefined), choices(t, undefined)))
  test('refused calls use no random number', (t) => {
    const [one, two] = [openEngine(t), openEngine(t)]
    for (let i = 0; i < 200; i++) {
      assert.throws(() => one.score({ userId: 'u', candidates: [{ id: '' }] }))
      assert.deepEqual(one.score({ userId: 'u', candidates: list(10) }), two.score({ userId: 'u', candidates: list(10) }))
    }
  })
})

test('users and policies are apart', (t) => {
  const bandits = openEngine(t)
  for (const [i, policy] of POLICIES.entries()) {
    for (let n = 0; n <= i; n++) {
      bandits.score({ userId: 'u', candidates: list(3), policy })
      rewardOnce(bandits, 'u', { policy, reward: 2 ** i })
    }
  }
  for (const [i, policy] of POLICIES.entries()) {
    const { pulls, rewardCount, cumulativeReward, estimatedMeanReward, theta, featureLabels } = bandits.stats('u', policy)
    assert.deepEqual([pulls, rewardCount, cumulativeReward, estimatedMeanReward], [i + 1, i + 1, (i + 1) * 2 ** i, 2 ** i])
    assert.deepEqual([theta.length, featureLabels.length], [[5, 5], [7, 7], [12, 12]][i])
    assert.deepEqual(bandits.stats('v', policy), { userId: 'v', policy, pulls: 0, rewardCount: 0, cumulativeReward: 0, estimatedMeanReward: 0, explorationRate: 0, theta: theta.map(() => 0), featureLabels, lastUpdated: null })
  }
})

test('the active policy is meant where none is named', (t) => {
  for (const activePolicy of POLICIES) {
    const bandits = openEngine(t, { activePolicy })
    assert.equal(bandits.score({ userId: 'u', candidates: list(2) }).policy, activePolicy)
    assert.equal(bandits.scoreMany([{ userId: 'u', candidates: list(2) }])[0]?.policy, activePolicy)
    rewardOnce(bandits, 'u')
    const { policy, pulls, rewardCount } = bandits.stats('u')
    assert.deepEqual([policy, pulls, rewardCount], [activePolicy, 2, 1])
    assert.deepEqual(bandits.stats('u', activePolicy), bandits.stats('u'))
  }
  assert.equal(openEngine(t).stats('u').policy, 'egreedy-v1')
})

test('looking at a user does not make one', (t) => {
  const bandits = openEngine(t)
  assert.equal(bandits.stats('nobody').lastUpdated, null)
  assert.deepEqual(bandits.features('nobody'), { userId: 'nobody', history: [] })
  assert.equal(bandits.health().users, 0)
})

test('null and missing profile values are the same, and not the same as 0 where 0 means something', (t) => {
  const keys = ['completionRate30d', 'dismissRate30d', 'meanDwellMs30d', 'preferredHour', 'tipVolume30d', 'computedAt']
  const nulls = Object.fromEntries(keys.map((key) => [key, null]))
  const undefineds = Object.fromEntries(keys.map((key) => [key, undefined]))
  const score = (/** @type {any} */ profileFeatures) => {
    const bandits = openEngine(t, { activePolicy: 'egreedy-v2' })
    rewardOnce(bandits, 'u', { profileFeatures, features: { hourOfDay: 12, priority: 4 } })
    return [bandits.score({ userId: 'u', candidates: list(2), profileFeatures }).score, bandits.stats('u').theta]
  }
  const unknown = score(undefined)
  for (const profile of [null, {}, nulls, undefineds]) assert.deepEqual(score(profile), unknown)
  assert.deepEqual(score({ completionRate30d: 0, dismissRate30d: 0, meanDwellMs30d: 0, tipVolume30d: 0 }), unknown)
  assert.notDeepEqual(score({ preferredHour: 0 }), unknown)
})

test('edges of what is allowed', (t) => {
  const bandits = openEngine(t)
  const candidates = [{ id: 'x'.repeat(512), content: '', source: '', sourceId: null, promptVersion: '', features: { isOverdue: undefined, taskAgeDays: -1e308, priority: undefined } }]
  for (const context of [{ hourOfDay: 0, dayOfWeek: 0 }, { hourOfDay: 23, dayOfWeek: 6 }, { hourOfDay: -0, dayOfWeek: -0 }, {}, { hourOfDay: undefined }]) {
    for (const policy of POLICIES) {
      const { score } = bandits.score({ userId: '😀'.repeat(256), candidates, context, policy, profileFeatures: { preferredHour: -1e308, tipVolume30d: 1e308, meanDwellMs30d: -Number.MAX_VALUE, completionRate30d: 5e-324 } })
      assert.ok(Number.isFinite(score))
    }
  }
  assert.equal(bandits.stats('😀'.repeat(256)).pulls, 5)
})

test('100,000 candidates are accepted, and chosen among', (t) => {
  const bandits = openEngine(t, { activePolicy: 'linucb-v1' })
  const candidates = Array.from({ length: 100_000 }, (_entry, i) => ({ id: `c${i}` }))
  candidates[99_999] = /** @type {any} */ ({ id: 'best', features: { priority: 4 } })
  assert.deepEqual([bandits.score({ userId: 'u', candidates }).tipId, bandits.scoreMany([{ userId: 'u', candidates }])[0]?.index], ['best', 99_999])
  assert.equal(bandits.score({ userId: 'u', candidates: bandits.prepare(candidates) }).index, 99_999)
})

test('a call does not depend on the sizes of the calls before', (t) => {
  const [mixed, alone] = [openEngine(t), openEngine(t)]
  for (const n of [1, 1000, 2, 1001, 3, 20_000, 5, 8000, 1]) {
    mixed.score({ userId: 'other', candidates: list(n), policy: 'linucb-v1' })
    assert.deepEqual(mixed.score({ userId: 'u', candidates: list(9) }), alone.score({ userId: 'u', candidates: list(9) }))
  }
  assert.deepEqual(timelessStandingOf(mixed, ['u']), timelessStandingOf(alone, ['u']))
})

test('the caller’s objects are not changed', (t) => {
  const bandits = openEngine(t)
  const request = { userId: 'u', candidates: list(4), context: { hourOfDay: 3 }, profileFeatures: { preferredHour: null } }
  const before = structuredClone(request)
  const first = bandits.score(request)
  bandits.scoreMany([request])
  bandits.prepare(request.candidates)
  assert.deepEqual(request, before)
  const kept = { ...first }
  bandits.score({ userId: 'u', candidates: [{ id: 'later' }] })
  assert.deepEqual(first, kept)
})
