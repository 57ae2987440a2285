// @ts-check
// Two things that take turns in one run, what one was of the other, and how that is told.

/** @param {number[]} values @param {number} [q] */
export function quantile(values, q = 0.5) {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))]
}

/** Nanoseconds a call, over `n` calls. @param {number} n @param {(i: number) => void} call */
export function timed(n, call) {
  const start = process.hrtime.bigint()
  for (let i = 0; i < n; i++) call(i)
  return Number(process.hrtime.bigint() - start) / n
}

/**
 * Ratios of rounds in which both take turns. What waits for the disk is waited for in between, so that neither pays for the other.
 * @param {number} rounds @param {() => number} a @param {() => number} b @param {() => Promise<void>} between
 */
export async function turns(rounds, a, b, between) {
  a()
  b()
  const pairs = []
  for (let i = 0; i < rounds; i++) {
    await between()
    const [first, second] = i % 2 === 0 ? [a(), b()] : [b(), a()].reverse()
    pairs.push({ a: first, b: second, ratio: first / second })
  }
  return { a: quantile(pairs.map((p) => p.a)), b: quantile(pairs.map((p) => p.b)), ratio: quantile(pairs.map((p) => p.ratio)) }
}

/** @param {string} what @param {string} seen @param {boolean} [met] @param {string} [ceiling] */
export function say(what, seen, met, ceiling) {
  const verdict = ceiling === undefined ? '' : `${ceiling}: ${met ? 'met' : 'MISSED'}`
  process.stdout.write(`  ${what.padEnd(58)} ${seen.padEnd(46)}${verdict}\n`)
}
