// @ts-check
// Where one user stands under one policy: the sums and counts, how they change, and what makes two of them equal.

import { DIMENSIONS, vector } from './features.mjs'

/** @typedef {import('@oo/bandits').PolicyName} PolicyName */
/** @typedef {{ A: number[][], b: number[], pulls: number, explored: number, rewards: number, sum: number }} Standing */

// Where the C library rounds as features.mjs does. Elsewhere its sines may differ in the last bit and sums are held to 1e-9.
const report = /** @type {{ header?: { glibcVersionRuntime?: string } }} */ (process.report.getReport())
const EXACT = report.header?.glibcVersionRuntime !== undefined

/** @param {PolicyName} policy @returns {Standing} */
export function start(policy) {
  const d = DIMENSIONS[policy]
  const A = Array.from({ length: d }, (_row, i) => Array.from({ length: d }, (_entry, j) => (i === j ? 1 : 0)))
  return { A, b: Array.from({ length: d }, () => 0), pulls: 0, explored: 0, rewards: 0, sum: 0 }
}

/** @param {Standing} standing @returns {Standing} */
export const copy = (standing) => ({ ...standing, A: standing.A.map((row) => [...row]), b: [...standing.b] })

/**
 * @param {Standing} standing
 * @param {PolicyName} policy
 * @param {Parameters<typeof vector>[1] & { reward: number }} reward
 */
export function learn(standing, policy, reward) {
  const x = vector(policy, reward)
  for (const [i, row] of standing.A.entries()) {
    for (const [j, xj] of x.entries()) row[j] = /** @type {number} */ (row[j]) + /** @type {number} */ (x[i]) * xj
  }
  for (const [i, xi] of x.entries()) standing.b[i] = /** @type {number} */ (standing.b[i]) + reward.reward * xi
  standing.rewards++
  standing.sum += reward.reward
}

/**
 * Another reaction to what was learned from: A stays.
 * @param {Standing} standing
 * @param {PolicyName} policy
 * @param {Parameters<typeof vector>[1] & { reward: number }} reward
 * @param {number} before what it replaces
 */
export function revise(standing, policy, reward, before) {
  const change = reward.reward - before
  for (const [i, xi] of vector(policy, reward).entries()) standing.b[i] = /** @type {number} */ (standing.b[i]) + change * xi
  standing.sum += change
}

/** @param {number} a @param {number} b */
export const same = (a, b) => a === b || (!EXACT && Math.abs(a - b) <= 1e-9 * Math.max(1, Math.abs(b)))
/** @param {number} a @param {number} b */
export const close = (a, b) => Math.abs(a - b) <= 1e-9 * Math.max(1, Math.abs(b))

/**
 * What differs in what rewards change, or undefined. Zeros of either sign are equal.
 * @param {Pick<Standing, 'A' | 'b' | 'rewards' | 'sum'>} actual
 * @param {Standing} expected
 * @param {(a: number, b: number) => boolean} [equal]
 */
export function learnedDifference(actual, expected, equal = same) {
  if (actual.rewards !== expected.rewards) return `${actual.rewards} rewards instead of ${expected.rewards}`
  if (!equal(actual.sum, expected.sum)) return `rewards of ${actual.sum} instead of ${expected.sum}`
  if (actual.b.length !== expected.b.length || actual.A.length !== expected.A.length) return 'another d'
  for (const [i, value] of expected.b.entries()) {
    if (!equal(/** @type {number} */ (actual.b[i]), value)) return `b[${i}] is ${actual.b[i]} instead of ${value}`
  }
  for (const [i, row] of expected.A.entries()) {
    for (const [j, value] of row.entries()) {
      if (!equal(/** @type {number} */ (actual.A[i]?.[j]), value)) return `A[${i}][${j}] is ${actual.A[i]?.[j]} instead of ${value}`
    }
  }
  return undefined
}

/**
 * The same with the counts of pulls.
 * @param {Standing} actual
 * @param {Standing} expected
 * @param {(a: number, b: number) => boolean} [equal]
 */
export function difference(actual, expected, equal = same) {
  if (actual.pulls !== expected.pulls) return `${actual.pulls} pulls instead of ${expected.pulls}`
  if (actual.explored !== expected.explored) return `${actual.explored} of ${actual.pulls} pulls explored instead of ${expected.explored}`
  return learnedDifference(actual, expected, equal)
}

/**
 * Whether θ, as the engine gives it, solves Aθ = b: the only way to see A and b through the public API.
 * @param {readonly number[]} theta
 * @param {Standing} standing
 */
export function solves(theta, { A, b }) {
  return A.every((row, i) => {
    const product = row.reduce((sum, entry, j) => sum + entry * /** @type {number} */ (theta[j]), 0)
    const size = row.reduce((sum, entry, j) => sum + Math.abs(entry * /** @type {number} */ (theta[j])), 1)
    return Math.abs(product - /** @type {number} */ (b[i])) <= 1e-8 * size
  })
}

/**
 * What is wrong in what `stats()` says.
 * @param {import('@oo/bandits').PolicyStats} stats
 * @param {Standing} expected
 * @param {string} key
 */
export function statsProblems(stats, expected, key) {
  const { pulls, rewards, sum, explored } = expected
  const share = pulls > 0 ? explored / pulls : 0
  const isRight = stats.pulls === pulls && stats.rewardCount === rewards && stats.cumulativeReward === sum && stats.explorationRate === share
  if (!isRight) return [`${key}: stats say ${JSON.stringify(stats)}, the file ${pulls} pulls, ${explored} explored, ${rewards} rewards of ${sum}`]
  return solves(stats.theta, expected) ? [] : [`${key}: theta is not that of A and b`]
}
