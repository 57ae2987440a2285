// @ts-check
// Chance that is the same on every run.

/** A linear congruential generator: the same world on every run. @param {number} seed */
export function chance(seed) {
  let state = seed >>> 0
  const next = () => (state = (Math.imul(state, 1664525) + 1013904223) >>> 0) / 2 ** 32
  return { next, below: (/** @type {number} */ n) => Math.floor(next() * n), happens: (/** @type {number} */ share) => next() < share }
}
