// @ts-check
// Lets a policy, chance or an oracle make a person's decisions, and says what was chosen and what it was worth.
import { REWARD, dwell } from '../../demo/person.mjs'
import { profileOf } from '../../demo/profile.mjs'
import { reactionTo } from './reaction.mjs'
import { sequence } from './sequence.mjs'

/** @import { Bandits, ProfileFeatures } from '@oo/bandits' */
/** @import { Reaction } from '../../demo/person.mjs' */
/** @import { Moment, Person } from './population.mjs' */
/** @import { Decision as DemoDecision } from '../../demo/simulation.mjs' */

/**
 * @typedef {object} Outcome of one decision
 * @property {Person} person
 * @property {number} turn its place among the person's, from 0
 * @property {Moment} moment
 * @property {number} index of the tip
 * @property {number} propensity
 * @property {boolean} exploring
 * @property {number} reward that the person gave
 * @property {number} value expected reward of the tip
 *
 * @typedef {{ index: number, propensity: number, exploring: boolean }} Choice
 *
 * @typedef {object} Conditions
 * @property {boolean} [withoutContext] the policy is told the same hour, day and profile at every decision
 * @property {number} [delay] a reward arrives so many decisions later
 * @property {number} [lost] share of the rewards that never arrive
 * @property {number} [resetAt] the user is reset before this decision
 * @property {(moment: Moment, turn: number, profile: ProfileFeatures | null) => void} [before] looks at the engine before each decision
 */

/** @param {Bandits} bandits @param {readonly Person[]} people @param {Conditions} [conditions] @returns {Outcome[]} */
export function playAll(bandits, people, conditions) {
  return people.flatMap((person) => play(bandits, person, conditions))
}

/** From the beginning: whatever was learned for the person before is reset. @param {Bandits} bandits @param {Person} person @param {Conditions} [conditions] */
export function play(bandits, person, conditions = {}) {
  const { withoutContext = false, delay = 0, lost = 0, resetAt, before } = conditions
  const userId = person.id
  const usesProfile = bandits.stats(userId).policy === 'egreedy-v2'
  /** @type {DemoDecision[]} */
  const past = []
  /** @type {(() => void)[]} */
  const underWay = []
  bandits.reset(userId)
  const fate = sequence('lost', person.seed, userId)
  return person.moments.map((moment, turn) => {
    if (turn === resetAt) {
      bandits.reset(userId)
      underWay.length = 0
    }
    const profileFeatures = usesProfile && !withoutContext ? profileOf(past, moment.day) : null
    before?.(moment, turn, profileFeatures)
    const [hourOfDay, dayOfWeek] = withoutContext ? [12, 0] : [moment.hour, moment.dayOfWeek]
    const choice = bandits.score({ userId, candidates: moment.candidates, context: { hourOfDay, dayOfWeek }, profileFeatures })
    const outcome = settle(person, moment, turn, choice)
    past.push(/** @type {DemoDecision} */ ({ day: moment.day, hour: moment.hour, reaction: outcome.reaction, dwellMs: dwell(outcome.reaction, [userId, turn]) }))

    const tip = at(moment.candidates, choice.index)
    const learn = () => bandits.reward({ userId, tipId: tip.id, reward: outcome.reward, features: { ...tip.features, hourOfDay }, dayOfWeek, profileFeatures })
    underWay.push(fate.uniform() < lost ? () => undefined : learn)
    if (underWay.length > delay) underWay.shift()?.()
    return outcome
  })
}

/** A uniformly random tip at every decision. @param {readonly Person[]} people @returns {Outcome[]} */
export function playRandomly(people) {
  const chance = sequence('random', people[0]?.seed ?? 0)
  return decide(people, ({ candidates: { length } }) => ({ index: chance.whole(0, length), propensity: 1 / length, exploring: true }))
}

/** The tip with the largest expected reward, by somebody who knows it. @param {readonly Person[]} people @returns {Outcome[]} */
export function playOracle(people) {
  return decide(people, ({ expected, best }) => ({ index: expected.indexOf(best), propensity: 1, exploring: false }))
}

/** @param {readonly Person[]} people @param {(moment: Moment) => Choice} choose */
function decide(people, choose) {
  return people.flatMap((person) => person.moments.map((moment, turn) => settle(person, moment, turn, choose(moment))))
}

/** What comes of a choice. @param {Person} person @param {Moment} moment @param {number} turn @param {Choice} choice @returns {Outcome & { reaction: Reaction }} */
function settle(person, moment, turn, { index, propensity, exploring }) {
  const reaction = reactionTo(at(moment.likings, index) + moment.mood)
  return { person, turn, moment, index, propensity, exploring, reaction, reward: REWARD[reaction], value: at(moment.expected, index) }
}

/** @template T @param {readonly T[]} list @param {number} index @returns {T} */
export function at(list, index) {
  const value = list[index]
  if (value === undefined) throw new RangeError(`nothing at ${index} of ${list.length}`)
  return value
}
