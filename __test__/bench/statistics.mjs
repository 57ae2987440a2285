// @ts-check
// Medians and their intervals. No distribution is assumed: an interval is a pair of order statistics.

/** @param {readonly number[]} values */
export function median(values) {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
}

/** @param {readonly number[]} values @param {number} share */
export function quantile(values, share) {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))]
}

/**
 * The narrowest symmetric pair of order statistics that covers the median with at least 95 %: between the (k+1)th smallest and
 * the (k+1)th largest of n values it lies with probability 1 − 2·P(Binomial(n, ½) ≤ k). Below six values there is none and
 * the whole range is given, with the coverage that it has.
 * @param {readonly number[]} values
 */
export function medianInterval(values) {
  const sorted = [...values].sort((a, b) => a - b)
  const n = sorted.length
  let term = 0.5 ** n
  let below = term
  let k = 0
  for (;;) {
    term *= (n - k) / (k + 1)
    if (1 - 2 * (below + term) < 0.95) break
    below += term
    k++
  }
  return { median: median(sorted), low: sorted[k], high: sorted[n - 1 - k], coverage: Math.max(0, 1 - 2 * below), values: sorted }
}

/** What the pair that {@link medianInterval} gives for n values is. @param {number} n */
export function intervalName(n) {
  const { coverage } = medianInterval(Array.from({ length: n }, () => 0))
  return coverage >= 0.95 ? '95 % interval of the median' : `range; ${n} are too few for a 95 % interval`
}
