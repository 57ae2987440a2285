// @ts-check
// Who picks the tip: the bandit, or chance. Both meet the same person.
import { performance } from 'node:perf_hooks'
import { draw } from './draw.mjs'

/** @import { Bandits, Context, PolicyStats, ProfileFeatures } from '@oo/bandits' */
/** @import { TaskCandidate } from './task-list.mjs' */

/**
 * @typedef {object} Occasion
 * @property {TaskCandidate[]} candidates
 * @property {Required<Context>} context
 * @property {ProfileFeatures} profile
 * @property {number} day
 *
 * @typedef {object} Choice
 * @property {number} index
 * @property {number} score
 * @property {boolean} exploring
 * @property {number} propensity
 * @property {number[]} theta with which it was chosen; empty where nothing is learned
 *
 * @typedef {object} Chooser
 * @property {(occasion: Occasion) => Choice} choose
 * @property {(occasion: Occasion, choice: Choice, reward: number) => void} learn
 * @property {() => number[]} theta
 */

/** Asks the engine, and tells it how the tip was received. @implements {Chooser} */
export class BanditChooser {
  /** How long each call took, in µs. @type {{ score: number[], reward: number[] }} */
  timings = { score: [], reward: [] }
  #bandits
  #userId

  /** @param {Bandits} bandits @param {string} userId */
  constructor(bandits, userId) {
    this.#bandits = bandits
    this.#userId = userId
  }

  /** @returns {PolicyStats} */
  stats() {
    return this.#bandits.stats(this.#userId)
  }

  theta() {
    return this.stats().theta
  }

  /** What the engine remembers of its decisions, oldest first. */
  history() {
    return this.#bandits.features(this.#userId).history
  }

  /** @param {Occasion} occasion @returns {Choice} */
  choose({ candidates, context, profile }) {
    const theta = this.theta()
    const began = performance.now()
    const result = this.#bandits.score({ userId: this.#userId, candidates, context, profileFeatures: profile })
    this.timings.score.push((performance.now() - began) * 1000)
    return { index: result.index, score: result.score, exploring: result.exploring, propensity: result.propensity, theta }
  }

  /** @param {Occasion} occasion @param {Choice} choice @param {number} reward */
  learn({ candidates, context, profile }, choice, reward) {
    const tip = at(candidates, choice.index)
    const began = performance.now()
    this.#bandits.reward({
      userId: this.#userId,
      tipId: tip.id,
      reward,
      features: { ...tip.features, hourOfDay: context.hourOfDay },
      dayOfWeek: context.dayOfWeek,
      profileFeatures: profile,
    })
    this.timings.reward.push((performance.now() - began) * 1000)
  }
}

/** Any of them with the same probability. @implements {Chooser} */
export class RandomChooser {
  #seed

  /** @param {number} seed */
  constructor(seed) {
    this.#seed = seed
  }

  /** @param {Occasion} occasion @returns {Choice} */
  choose({ candidates, context, day }) {
    const index = Math.floor(candidates.length * draw('random chooser', this.#seed, day, context.hourOfDay))
    return { index, score: 0, exploring: true, propensity: 1 / candidates.length, theta: [] }
  }

  learn() {}

  /** @returns {number[]} */
  theta() {
    return []
  }
}

/** @template T @param {readonly T[]} list @param {number} index @returns {T} */
export function at(list, index) {
  const value = list[index]
  if (value === undefined) throw new RangeError(`nothing at ${index} of ${list.length}`)
  return value
}
