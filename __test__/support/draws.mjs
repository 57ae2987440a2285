// @ts-check
// Chance as docs/decisions.md describes it, in plain JavaScript: nothing of it is the engine's code, nor Rust's.

export const EPSILON = 0.1
const GAMMA = 0x9e3779b97f4a7c15n
/** The parts of a decision's draw: one for each policy, and the holdout's. */
export const PARTS = { 'linucb-v1': 0n, 'egreedy-v1': 1n, 'egreedy-v2': 2n, holdout: 100n }

/** SplitMix64's output function. @param {bigint} state */
function mix(state) {
  let z = BigInt.asUintN(64, state)
  z = BigInt.asUintN(64, (z ^ (z >> 30n)) * 0xbf58476d1ce4e5b9n)
  z = BigInt.asUintN(64, (z ^ (z >> 27n)) * 0x94d049bb133111ebn)
  return z ^ (z >> 31n)
}

/** Draw number `k` of opening number `opening`. @param {number | bigint} seed @param {number} opening @param {number} k */
export const drawOf = (seed, opening, k) => mix(mix(BigInt(seed) + GAMMA * BigInt(opening)) + GAMMA * BigInt(k))
/** As the log has a draw. @param {bigint} draw */
export const hexOf = (draw) => draw.toString(16).padStart(16, '0')
/** @param {bigint} draw @param {bigint} k */
export const part = (draw, k) => mix(draw + GAMMA * (k + 2n))
/** @param {bigint} draw @param {number} p */
export const happens = (draw, p) => Number(draw >> 11n) * 2 ** -53 < p
/** @param {bigint} draw @param {number} n */
export const below = (draw, n) => Number((mix(draw + GAMMA) * BigInt(n)) >> 64n)

/** What an ε-greedy policy makes of a draw: the place of its choice among `n` of which the first is the best, and whether by chance. @param {bigint} draw @param {number} n */
export const choose = (draw, n) => (happens(draw, EPSILON) ? { index: below(draw, n), exploring: true } : { index: 0, exploring: false })

/** The seed of the draws of prompts. @param {number} seed */
export const promptSeed = (seed) => BigInt.asUintN(64, ~BigInt(seed))

/** The 99.99 % point of χ² with so many degrees of freedom (Wilson and Hilferty). @param {number} degrees */
export function criticalChiSquare(degrees) {
  const z = 3.719
  return degrees * (1 - 2 / (9 * degrees) + z * Math.sqrt(2 / (9 * degrees))) ** 3
}

/** χ² of counts against probabilities. @param {readonly number[]} counts @param {readonly number[]} probabilities */
export function chiSquare(counts, probabilities) {
  const draws = counts.reduce((sum, count) => sum + count, 0)
  return counts.reduce((sum, count, i) => sum + (count - draws * Number(probabilities[i])) ** 2 / (draws * Number(probabilities[i])), 0)
}
