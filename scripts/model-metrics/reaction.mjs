// @ts-check
// How a simulated person reacts, as a number: the rewards and the expected reward of a liking.
//
// Reactions are those of the demo's person (demo/person.mjs): a liking plus a normal mood, cut at four thresholds. The demo
// only reacts; here the mean reaction is needed as well, because figures from expected rewards need a tenth of the worlds. A test
// holds this file against the demo's reactions.
import { REWARD } from '../../demo/person.mjs'

/** @import { Reaction } from '../../demo/person.mjs' */

/** How strong the mood is. */
export const MOOD = 0.35
/** From which liking on, the mood included, best first. @type {readonly [Reaction, number][]} */
export const THRESHOLDS = [
  ['done', 0.55],
  ['helpful', 0.25],
  ['snooze', -0.1],
  ['not_helpful', -0.5],
]

/** @param {number} pleased a liking with its mood @returns {Reaction} */
export function reactionTo(pleased) {
  return THRESHOLDS.find(([, least]) => pleased >= least)?.[0] ?? 'dismiss'
}

/** The mean reward of a tip that is liked so much. It rises with the liking. @param {number} liking */
export function expectedReward(liking) {
  let reward = REWARD.dismiss
  let worse = REWARD.dismiss
  for (const [reaction, least] of THRESHOLDS.toReversed()) {
    reward += (REWARD[reaction] - worse) * normalCdf((liking - least) / MOOD)
    worse = REWARD[reaction]
  }
  return reward
}

/** The share of a standard normal below z, to 1.2e-7 (Press et al., Numerical Recipes, `erfcc`). @param {number} z */
export function normalCdf(z) {
  const x = Math.abs(z) / Math.SQRT2
  const t = 1 / (1 + x / 2)
  const terms = [-1.26551223, 1.00002368, 0.37409196, 0.09678418, -0.18628806, 0.27886807, -1.13520398, 1.48851587, -0.82215223, 0.17087277]
  const exponent = terms.toReversed().reduce((sum, term) => sum * t + term, 0)
  const tail = (t * Math.exp(exponent - x * x)) / 2
  return z > 0 ? 1 - tail : tail
}
