// @ts-check
// reward(): what is learned from a reaction.

import assert from 'node:assert/strict'
import { describe, test } from 'node:test'

import { POLICIES } from './support/standing.mjs'
import { openEngine } from './support/state-dir.mjs'

const close = (/** @type {number[]} */ actual, /** @type {number[]} */ expected) => {
  assert.equal(actual.length, expected.length)
  for (const [i, value] of actual.entries()) assert.ok(Math.abs(value - /** @type {number} */ (expected[i])) < 1e-12, `${actual} is not ${expected}`)
}

test('one reward moves θ by r·x / (1 + |x|²)', (t) => {
  const bandits = openEngine(t)
  const profileFeatures = { completionRate30d: 0.5, dismissRate30d: 2, meanDwellMs30d: 300_000, preferredHour: 6, tipVolume30d: 100 }
  // hour 6: sin 1, cos 0; day 0: sin 0, cos 1.
  const x = [1, 0, 1, 0.5, 1, 0, 1, 0.5, 1, 0.5, 1, 1]
  for (const [i, policy] of POLICIES.entries()) {
    assert.deepEqual(bandits.reward({ userId: 'u', tipId: 'a', reward: -0.5, features: { isOverdue: true, taskAgeDays: 15, priority: 4, hourOfDay: 6 }, profileFeatures, policy }), { ok: true })
    const own = x.slice(0, [5, 7, 12][i])
    const square = own.reduce((sum, value) => sum + value * value, 0)
    const { theta, rewardCount, cumulativeReward, estimatedMeanReward, pulls, lastUpdated } = bandits.stats('u', policy)
    close(theta, own.map((value) => (-0.5 * value) / (1 + square)))
    assert.deepEqual([rewardCount, cumulativeReward, estimatedMeanReward, pulls], [1, -0.5, -0.5, 0])
    assert.match(String(lastUpdated), /Z$/)
  }
})

test('the hour is the one in the features; missing values take their defaults', (t) => {
  const [one, two] = [openEngine(t), openEngine(t)]
  one.reward({ userId: 'u', tipId: 'a', reward: 1, features: {} })
  two.reward({ userId: 'u', tipId: 'a', reward: 1, features: { hourOfDay: 12, isOverdue: false, taskAgeDays: 0, priority: 1 }, dayOfWeek: 0, profileFeatures: null, policy: 'egreedy-v1' })
  assert.deepEqual(one.stats('u').theta, two.stats('u').theta)
})

test('ages are clipped at both ends', (t) => {
  const bandits = openEngine(t)
  const theta = (/** @type {number} */ taskAgeDays) => {
    const userId = `age ${taskAgeDays}`
    bandits.reward({ userId, tipId: 'a', reward: 1, features: { taskAgeDays } })
    return bandits.stats(userId).theta
  }
  assert.deepEqual(theta(-7), theta(0))
  assert.deepEqual(theta(31), theta(30))
  assert.notDeepEqual(theta(29), theta(30))
})

test('a reward of 0 is a reward', (t) => {
  const bandits = openEngine(t)
  bandits.reward({ userId: 'u', tipId: 'a', reward: 0, features: {} })
  const { rewardCount, cumulativeReward, theta } = bandits.stats('u')
  assert.deepEqual([rewardCount, cumulativeReward], [1, 0])
  assert.ok(theta.every((value) => value === 0))
  bandits.reward({ userId: 'u', tipId: 'a', reward: -0, features: {} })
  assert.equal(bandits.stats('u').rewardCount, 2)
})

test('any number within `maxReward` is accepted', (t) => {
  const bandits = openEngine(t, { maxReward: 1e12 })
  for (const reward of [1e-308, 5e-324, -5e-324, 1e12, -1e12, 0.1, 123_456.789]) bandits.reward({ userId: 'u', tipId: 'a', reward, features: { priority: 2 } })
  const { theta, cumulativeReward } = bandits.stats('u')
  assert.ok(theta.every(Number.isFinite))
  assert.equal(cumulativeReward, [1e-308, 5e-324, -5e-324, 1e12, -1e12, 0.1, 123_456.789].reduce((a, b) => a + b, 0))
})

test('tip ids need not have been shown', (t) => {
  const bandits = openEngine(t)
  for (const tipId of ['never shown', '😀'.repeat(256), 'a\0b', 'é']) bandits.reward({ userId: 'u', tipId, reward: 1, features: {} })
  assert.equal(bandits.stats('u').rewardCount, 4)
})

describe('learning', () => {
  for (const policy of POLICIES) {
    test(`${policy} comes to prefer what is rewarded`, (t) => {
      const bandits = openEngine(t, { activePolicy: policy })
      const candidates = [1, 2, 3, 4].map((priority) => ({ id: `p${priority}`, features: { priority } }))
      for (let i = 0; i < 300; i++) {
        const { index } = bandits.score({ userId: 'u', candidates })
        bandits.reward({ userId: 'u', tipId: 't', reward: index === 0 ? 1 : -1, features: { .../** @type {{ features: object }} */ (candidates[index]).features, hourOfDay: 12 } })
      }
      const late = Array.from({ length: 100 }, () => bandits.score({ userId: 'u', candidates }))
      assert.ok(late.filter(({ index }) => index === 0).length > 80)
    })
  }
})

test('a reset takes a user back to the start under all policies, and nobody else', (t) => {
  const bandits = openEngine(t)
  for (const userId of ['u', 'v']) {
    for (const policy of POLICIES) {
      bandits.score({ userId, candidates: [{ id: 'a' }], policy })
      bandits.reward({ userId, tipId: 'a', reward: 1, features: {}, policy })
    }
  }
  const kept = POLICIES.map((policy) => bandits.stats('v', policy))
  assert.deepEqual(bandits.reset('u'), { ok: true })
  for (const policy of POLICIES) {
    const { pulls, rewardCount, cumulativeReward, theta } = bandits.stats('u', policy)
    assert.deepEqual([pulls, rewardCount, cumulativeReward, theta.every((value) => value === 0)], [0, 0, 0, true])
  }
  assert.deepEqual(POLICIES.map((policy) => bandits.stats('v', policy)), kept)
  assert.deepEqual(bandits.reset('never seen'), { ok: true })
})
