// @ts-check
// Means and shares over repeated worlds with their 95 % intervals, and a χ² test.
import { normalCdf } from './reaction.mjs'

/** A figure and the half width of its 95 % interval. @typedef {{ value: number, half: number }} Estimate */

/** @param {readonly number[]} values */
export function sum(values) {
  return values.reduce((total, value) => total + value, 0)
}

/** @param {readonly number[]} values */
export function mean(values) {
  return sum(values) / values.length
}

/** The mean of independent values, by Student's t. @param {readonly number[]} values @returns {Estimate} */
export function meanOf(values) {
  const value = mean(values)
  const variance = sum(values.map((each) => (each - value) ** 2)) / (values.length - 1)
  return { value, half: student95(values.length - 1) * Math.sqrt(variance / values.length) }
}

/** What a world adds to a ratio of two sums. @typedef {{ part: number, whole: number }} Pair */

/** A ratio of sums, by the delta method: steadier than a mean of ratios where a world's denominator is small. @param {readonly Pair[]} pairs @returns {Estimate} */
export function ratioOf(pairs) {
  const { value, residuals } = linearised(pairs)
  return { value, half: meanOf(residuals).half }
}

/** The difference of two ratios that were measured in the same worlds. @param {readonly Pair[]} first @param {readonly Pair[]} second @returns {Estimate} */
export function ratioDifference(first, second) {
  const [one, other] = [linearised(first), linearised(second)]
  return { value: one.value - other.value, half: meanOf(one.residuals.map((residual, i) => residual - (other.residuals[i] ?? 0))).half }
}

/** @param {readonly Pair[]} pairs */
function linearised(pairs) {
  const scale = mean(pairs.map(({ whole }) => whole))
  const value = mean(pairs.map(({ part }) => part)) / scale
  return { value, residuals: pairs.map(({ part, whole }) => (part - value * whole) / scale) }
}

/** The 97.5 % point of Student's t (Abramowitz and Stegun 26.7.5); within 1 % from 3 degrees of freedom on. @param {number} freedom */
export function student95(freedom) {
  const z = 1.959963985
  const [z3, z5, z7] = [z ** 3, z ** 5, z ** 7]
  return (
    z +
    (z3 + z) / (4 * freedom) +
    (5 * z5 + 16 * z3 + 3 * z) / (96 * freedom ** 2) +
    (3 * z7 + 19 * z5 + 17 * z3 - 15 * z) / (384 * freedom ** 3)
  )
}

/**
 * How well counts fit what was expected. `p` is the chance of a fit at least as bad when the expectation is right (Wilson and
 * Hilferty's approximation); `deviation` the largest difference of one share.
 * @param {readonly number[]} observed
 * @param {readonly number[]} probabilities
 */
export function chiSquare(observed, probabilities) {
  const draws = sum(observed)
  const statistic = sum(observed.map((count, i) => (count - draws * (probabilities[i] ?? 0)) ** 2 / (draws * (probabilities[i] ?? 0))))
  const freedom = observed.length - 1
  const spread = 2 / (9 * freedom)
  const z = (Math.cbrt(statistic / freedom) - (1 - spread)) / Math.sqrt(spread)
  const deviation = Math.max(...observed.map((count, i) => Math.abs(count / draws - (probabilities[i] ?? 0))))
  return { statistic, freedom, p: 1 - normalCdf(z), deviation }
}
