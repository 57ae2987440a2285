// @ts-check
// Makes recorded calls of the existing service again through the public API and compares the answers. The service's own
// exploration is random and so is the package's: each call is judged by what it could rightly answer (see `checkScore`).

import assert from 'node:assert/strict'

/** @typedef {import('@oo/bandits').PolicyName} PolicyName */
/** @typedef {{ op: 'score', policy: PolicyName, request: any, candidate_scores: number[], exploring: boolean, response: any }} ScoreOp */
/** @typedef {{ op: 'reward', policy: PolicyName, request: any }} RewardOp */
/** @typedef {{ op: 'stats', policy: PolicyName, response: any }} StatsOp */
/** @typedef {ScoreOp | RewardOp | StatsOp | { op: 'reset' }} Op */

/** @type {Record<PolicyName, number>} */
export const DIMENSIONS = { 'linucb-v1': 5, 'egreedy-v1': 7, 'egreedy-v2': 12 }
export const POLICIES = /** @type {PolicyName[]} */ (Object.keys(DIMENSIONS))
const LABELS_LINUCB = ['hour_sin', 'hour_cos', 'is_overdue', 'task_age', 'priority']
const LABELS_PROFILE = ['completion_rate_30d', 'dismiss_rate_30d', 'mean_dwell_norm', 'preferred_hour_alignment', 'tip_volume_norm']
export const LABELS = [...LABELS_LINUCB, 'dow_sin', 'dow_cos', ...LABELS_PROFILE]
const EPSILON = 0.1

/**
 * @param {number} actual
 * @param {number} expected
 */
export const isClose = (actual, expected) => Math.abs(actual - expected) <= 1e-9 * Math.max(1, Math.abs(expected))

/**
 * @param {unknown} actual
 * @param {number} expected
 * @param {string} what
 */
export function assertClose(actual, expected, what) {
  assert.ok(typeof actual === 'number' && isClose(actual, expected), `${what}: ${actual} is not close to ${expected}`)
}

/**
 * @param {readonly number[]} actual
 * @param {readonly number[]} expected
 * @param {string} what
 */
export function assertAllClose(actual, expected, what) {
  assert.equal(actual.length, expected.length, `${what}: length`)
  for (const [i, value] of expected.entries()) assertClose(actual[i], value, `${what}[${i}]`)
}

/**
 * `user_id` → `userId` in every key of plain data.
 * @param {any} value
 * @returns {any}
 */
export function camelCase(value) {
  if (Array.isArray(value)) return value.map(camelCase)
  if (value === null || typeof value !== 'object') return value
  const entries = Object.entries(value)
  return Object.fromEntries(entries.map(([key, v]) => [key.replace(/_([a-z0-9])/g, (_, c) => c.toUpperCase()), camelCase(v)]))
}

/** What the package explored, which no recording can know, and what came up on the way. */
export class Tally {
  /** @type {Map<string, number>} */
  #explored = new Map()
  calls = 0
  /** Choices that weren't the recorded first argmax but equal to it within the tolerance. */
  nearTies = 0

  /** @param {string} userId @param {PolicyName} policy */
  explored(userId, policy) {
    return this.#explored.get(`${policy} ${userId}`) ?? 0
  }
  /** @param {string} userId @param {PolicyName} policy @param {number} count */
  explore(userId, policy, count = 1) {
    this.#explored.set(`${policy} ${userId}`, this.explored(userId, policy) + count)
  }
  /** @param {string} userId */
  reset(userId) {
    for (const policy of POLICIES) this.#explored.delete(`${policy} ${userId}`)
  }
}

/**
 * @param {import('@oo/bandits').Bandits} bandits
 * @param {string} userId
 * @param {Op} op
 * @param {Tally} tally
 * @param {string} where
 */
export function replay(bandits, userId, op, tally, where) {
  tally.calls++
  const at = `${where} ${op.op} ${'policy' in op ? op.policy : ''}`
  if (op.op === 'score') {
    const result = bandits.score({ ...camelCase(op.request), policy: op.policy })
    if (result.exploring) tally.explore(userId, op.policy)
    checkScore(result, op, tally, at)
  } else if (op.op === 'reward') {
    assert.deepEqual(bandits.reward({ ...camelCase(op.request), policy: op.policy }), { ok: true }, at)
  } else if (op.op === 'stats') {
    checkStats(bandits.stats(userId, op.policy), op, tally, at)
  } else {
    assert.deepEqual(bandits.reset(userId), { ok: true }, at)
    tally.reset(userId)
  }
}

/**
 * Not exploring: the recorded first argmax and its score. Exploring: the score of whichever candidate was drawn. Candidates
 * whose scores differ in the last digits only may change places; equal candidates may not: the first one wins.
 * @param {import('@oo/bandits').ScoreResult} result
 * @param {ScoreOp} op
 * @param {Tally} tally
 * @param {string} at
 */
function checkScore(result, op, tally, at) {
  const { candidates } = op.request
  const scores = op.candidate_scores
  assert.deepEqual(Object.keys(result).sort(), ['exploring', 'index', 'policy', 'propensity', 'score', 'tipId'], at)
  assert.equal(result.policy, op.policy, at)
  assert.equal(result.tipId, candidates[result.index].id, at)
  assertClose(result.score, /** @type {number} */ (scores[result.index]), `${at} candidate ${result.index}`)

  const best = Math.max(...scores)
  /** @type {(features: any) => string} */
  const inputs = ({ is_overdue = false, task_age_days = 0, priority = 1 } = {}) => `${is_overdue} ${task_age_days} ${priority}`
  const seen = new Set()
  const greedy = candidates.flatMap((/** @type {any} */ candidate, /** @type {number} */ i) => {
    const isFirst = seen.size !== seen.add(inputs(candidate.features)).size
    return isFirst && isClose(/** @type {number} */ (scores[i]), best) ? [i] : []
  })
  const isGreedy = greedy.includes(result.index)
  if (!result.exploring) {
    assert.ok(isGreedy, `${at}: chose ${result.index}, not the first argmax ${scores.indexOf(best)} of ${scores}`)
    if (result.index !== scores.indexOf(best)) tally.nearTies++
  }
  checkPropensity(result, candidates.length, isGreedy && (!result.exploring || greedy.length === 1 || null), at)
}

/**
 * @param {import('@oo/bandits').ScoreResult} result
 * @param {number} count
 * @param {boolean | null} isGreedy null when a near tie leaves it open
 * @param {string} at
 */
function checkPropensity({ policy, exploring, propensity }, count, isGreedy, at) {
  if (policy === 'linucb-v1') {
    assert.equal(exploring, false, at)
    assert.equal(propensity, 1, `${at}: propensity`)
    return
  }
  const drawn = EPSILON / count
  const expected = isGreedy === null ? [drawn, 1 - EPSILON + drawn] : [isGreedy ? 1 - EPSILON + drawn : drawn]
  const isExact = expected.some((value) => Math.abs(propensity - value) <= 2 * Number.EPSILON)
  assert.ok(isExact, `${at}: propensity ${propensity} instead of ${expected.join(' or ')}`)
}

/**
 * All fields but `lastUpdated`, a time. The service's linucb stats have neither policy, nor labels, nor an exploration rate.
 * @param {import('@oo/bandits').PolicyStats} stats
 * @param {StatsOp} op
 * @param {Tally} tally
 * @param {string} at
 */
function checkStats(stats, { policy, response }, tally, at) {
  const { theta, lastUpdated, explorationRate, ...rest } = stats
  const explored = tally.explored(response.user_id, policy)
  assertAllClose(theta, response.theta, `${at} theta`)
  assertClose(rest.cumulativeReward, response.cumulative_reward, `${at} cumulativeReward`)
  assertClose(rest.estimatedMeanReward, response.estimated_mean_reward, `${at} estimatedMeanReward`)
  assert.equal(explorationRate, response.pulls > 0 ? explored / response.pulls : 0, `${at} explorationRate`)
  assert.deepEqual(
    rest,
    {
      userId: response.user_id,
      policy: response.policy ?? policy,
      pulls: response.pulls,
      rewardCount: response.reward_count,
      cumulativeReward: rest.cumulativeReward,
      estimatedMeanReward: rest.estimatedMeanReward,
      featureLabels: response.feature_labels ?? LABELS.slice(0, DIMENSIONS[policy]),
    },
    at,
  )
  assert.ok(lastUpdated === null || /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/.test(lastUpdated), `${at} lastUpdated ${lastUpdated}`)
  if (response.pulls + response.reward_count > 0) assert.notEqual(lastUpdated, null, `${at} lastUpdated`)
}
