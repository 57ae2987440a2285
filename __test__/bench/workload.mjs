// @ts-check
// What an API hands to a bandit: tasks as JSON.parse leaves them, contexts, profiles, and each request's user id as a string
// of its own, as it comes out of a token or a body. Made from a seed, the same in every process.

/** @typedef {import('../../index.d.ts').Candidate} Candidate */
/** @typedef {import('../../index.d.ts').Context} Context */
/** @typedef {import('../../index.d.ts').ProfileFeatures} ProfileFeatures */

/** How many contexts and profiles take turns; a power of two, so that a bit mask rotates through them. */
export const ROTATION = 64
// So many that a branch predictor does not learn them by heart, so few that they stay in the second-level cache, as what was
// parsed a moment ago does.
const CANDIDATES_IN_ROTATION = 2048
const MOST_ARRAYS = 256

const WORDS = ['call', 'the', 'bank', 'review', 'draft', 'of', 'report', 'buy', 'milk', 'plan', 'trip', 'with', 'Anna', 'fix', 'leaking', 'tap']

/** mulberry32 @param {number} seed @returns {() => number} */
export function random(seed) {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296
  }
}

/** @param {() => number} rng */
export function uuid(rng) {
  const hex = Array.from({ length: 32 }, () => Math.floor(rng() * 16).toString(16)).join('')
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-')
}

/** @param {() => number} rng */
function task(rng) {
  const content = Array.from({ length: 3 + Math.floor(rng() * 6) }, () => WORDS[Math.floor(rng() * WORDS.length)]).join(' ')
  const days = Math.floor(rng() * 400) / 10
  const features = { isOverdue: rng() < 0.3, taskAgeDays: days, priority: 1 + Math.floor(rng() * 4) }
  return { id: uuid(rng), content, source: 'todoist', sourceId: String(7e9 + Math.floor(rng() * 1e9)), features }
}

/**
 * Several different candidate arrays of length n, each parsed from its own JSON text; how many is a power of two.
 * @param {number} n @param {number} seed @returns {Candidate[][]}
 */
export function candidateArrays(n, seed) {
  const rng = random(seed)
  const count = Math.min(MOST_ARRAYS, Math.max(4, 2 ** Math.floor(Math.log2(CANDIDATES_IN_ROTATION / n))))
  return Array.from({ length: count }, () => JSON.parse(JSON.stringify(Array.from({ length: n }, () => task(rng)))))
}

/** @param {number} seed @returns {Context[]} */
export function contexts(seed) {
  const rng = random(seed)
  return Array.from({ length: ROTATION }, () => ({ hourOfDay: Math.floor(rng() * 24), dayOfWeek: Math.floor(rng() * 7) }))
}

/** @param {number} seed @returns {ProfileFeatures[]} */
export function profiles(seed) {
  const rng = random(seed)
  return Array.from({ length: ROTATION }, () => ({
    completionRate30d: rng(), dismissRate30d: rng(), meanDwellMs30d: rng() * 120_000,
    preferredHour: rng() < 0.2 ? null : Math.floor(rng() * 24), tipVolume30d: Math.floor(rng() * 130),
    computedAt: '2026-11-20T04:00:00Z',
  }))
}

/** A source of reactions: sums of two so that no two parameters look alike. @param {() => number} rng */
export const reaction = (rng) => [1, 0.5, 0, -0.5, -1][Math.floor(rng() * 5)]
