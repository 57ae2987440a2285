// @ts-check
// Two things that take turns in one run, what one was of the other, and how that is told.

import { quantile } from './statistics.mjs'

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
  return { a: quantile(pairs.map((p) => p.a), 0.5), b: quantile(pairs.map((p) => p.b), 0.5), ratio: quantile(pairs.map((p) => p.ratio), 0.5) }
}

/** @param {string} what @param {string} seen @param {boolean} [met] @param {string} [ceiling] */
export function say(what, seen, met, ceiling) {
  const verdict = ceiling === undefined ? '' : `${ceiling}: ${met ? 'met' : 'MISSED'}`
  process.stdout.write(`  ${what.padEnd(58)} ${seen.padEnd(46)}${verdict}\n`)
}
