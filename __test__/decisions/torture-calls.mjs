// @ts-check
// The calls of the torture of decisions, drawn from a seed.

import { POLICIES } from '../torture/features.mjs'

/** @typedef {import('@oo/bandits').PolicyName} PolicyName */
/**
 * `at` of a reaction is so many milliseconds after its decision.
 * @typedef {{ kind: 'recommend', slot: number, request: import('@oo/bandits').RecommendRequest & { candidates: import('@oo/bandits').Candidate[] } }
 *   | { kind: 'feedback', slot: number, reward: number, at: number } | { kind: 'reset', userId: string }
 *   | { kind: 'setPolicy', policy: PolicyName, change: import('@oo/bandits').PolicyChange } | { kind: 'checkpoint' }} Call
 */

/** Reactions to the last so many decisions are most; the others are late. */
const RECENT = 150
/** Reactions are said to come so long after their decisions at most: less than what clocks may differ by. */
const LATEST_MS = 200_000
/** @type {import('@oo/bandits').PolicyChange[]} */
const CHANGES = [{ mode: 'active' }, { mode: 'off' }, { mode: 'off' }, { mode: 'shadow' }, { mode: 'default' }, { mode: 'active', share: 0.3, salt: 's' }]

/**
 * An endless draw; slots number the decisions. No two different reactions to a decision have the same reward, so that each can be told
 * from the others.
 * @param {{ rng: () => number, users: number }} settings
 * @returns {Generator<Call, never>}
 */
export function* callsOf({ rng, users }) {
  /** @template T @param {readonly T[]} from @returns {T} */
  const one = (from) => /** @type {T} */ (from[Math.floor(rng() * from.length)])
  const user = () => `user ${Math.floor(rng() * users)}`
  const known = (/** @type {number} */ value) => (rng() < 0.8 ? value : null)
  /** @type {Map<number, { reward: number, at: number }[]>} */
  const sent = new Map()
  for (let slots = 0; ; ) {
    const kind = rng() * 100
    if (kind < 42 || slots === 0) {
      const n = 1 + Math.floor(rng() * 5)
      const sure = Math.floor(rng() * n)
      const candidates = Array.from({ length: n }, (_candidate, i) => ({ id: `${slots}-${i}`, features: { isOverdue: rng() < 0.3, taskAgeDays: Math.floor(rng() * 400) / 10, priority: 1 + Math.floor(rng() * 4) } }))
      const profileFeatures = rng() < 0.5 ? null : { completionRate30d: known(rng()), dismissRate30d: known(rng()), meanDwellMs30d: known(rng() * 7e5), preferredHour: known(Math.floor(rng() * 24)), tipVolume30d: known(Math.floor(rng() * 120)) }
      const more = { ...(rng() < 0.3 && { mask: candidates.map((_candidate, i) => i === sure || rng() < 0.5) }), ...(rng() < 0.2 && { holdout: 0.5 }) }
      yield { kind: 'recommend', slot: slots++, request: { userId: user(), candidates, context: { hourOfDay: Math.floor(rng() * 24), dayOfWeek: Math.floor(rng() * 7) }, profileFeatures, ...more } }
    } else if (kind < 96) {
      const slot = rng() < 0.95 ? Math.max(0, slots - 1 - Math.floor(rng() * RECENT)) : Math.floor(rng() * slots)
      let reactions = sent.get(slot)
      if (reactions === undefined) sent.set(slot, (reactions = []))
      // A quarter of the repeated ones are those that were sent before, the latest or an older one.
      const again = reactions.length > 0 && rng() < 0.25
      const reaction = again ? one(reactions) : { reward: rng() * 2 - 1, at: Math.floor(rng() * LATEST_MS) }
      if (!again) reactions.push(reaction)
      yield { kind: 'feedback', slot, ...reaction }
    } else if (kind < 98.5) {
      yield { kind: 'reset', userId: user() }
    } else if (kind < 99.5) {
      yield { kind: 'setPolicy', policy: one(POLICIES), change: one(CHANGES) }
    } else {
      yield { kind: 'checkpoint' }
    }
  }
}
