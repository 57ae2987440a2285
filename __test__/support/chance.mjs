// @ts-check
// Chance that is the same on every run.

import { random } from '../bench/workload.mjs'

/** The same world on every run. @param {number} seed */
export function chance(seed) {
  const next = random(seed)
  return { next, below: (/** @type {number} */ n) => Math.floor(next() * n), happens: (/** @type {number} */ share) => next() < share }
}
