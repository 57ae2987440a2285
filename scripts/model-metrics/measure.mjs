// @ts-check
// Everything about one policy.
import { probe, summarise } from './context.mjs'
import { FIRST, between, captured } from './earnings.mjs'
import { POLICIES, withEngine } from './engine.mjs'
import { equalTreatment, groupGaps } from './fairness.mjs'
import { playAll, playOracle, playRandomly } from './play.mjs'
import { HEAVY_DECISIONS, populate } from './population.mjs'
import { calibration, whileLearning } from './propensities.mjs'
import { sampleList } from './sample-list.mjs'
import { mean, meanOf, ratioDifference, ratioOf } from './statistics.mjs'
import { weighting } from './weighting.mjs'

/** @import { Bandits, PolicyName } from '@oo/bandits' */
/** @import { Outcome } from './play.mjs' */

/** How much is measured. `copies`: people of each of the 16 groups. @typedef {{ lists: number, worlds: number, copies: number, draws: number }} Size */
/** @typedef {Awaited<ReturnType<typeof measure>>} Metrics */

/** @type {Size} */
export const FULL = { lists: 40, worlds: 20, copies: 4, draws: 20_000 }
/** For tests: the same in small. @type {Size} */
export const QUICK = { lists: 6, worlds: 4, copies: 1, draws: 4000 }

export const DELAY = 5
export const LOST = 0.3
/** Before this decision everybody comes to dislike what they liked. */
export const TURN = HEAVY_DECISIONS / 2

/** @param {PolicyName} policy @param {Size} size */
export function measure(policy, size) {
  return withEngine(policy, 1 + POLICIES.indexOf(policy), async (bandits) => {
    const list = await sampleList(bandits, size.lists)
    const worlds = Array.from({ length: size.worlds }, (_world, i) => world(bandits, i + 1, size.copies))
    const pick = (/** @type {(one: ReturnType<typeof world>) => Outcome[]} */ which) => worlds.map(which)
    const outcomes = pick(({ own }) => own)
    return {
      policy,
      size,
      list,
      population: population(worlds),
      learning: whileLearning(outcomes),
      calibration: calibration(bandits, size.draws),
      context: summarise(worlds.map(({ probes }) => probes)),
      withoutContext: ratioOf(pick(({ withoutContext }) => withoutContext).map(captured)),
      contextGain: ratioDifference(outcomes.map(captured), pick(({ withoutContext }) => withoutContext).map(captured)),
      weighting: weighting(outcomes),
      drift: { as: drift(pick(({ turned }) => turned)), reset: drift(pick(({ reset }) => reset)), none: drift(pick(({ heavy }) => heavy)) },
      delayed: ratioOf(pick(({ delayed }) => delayed).map(captured)),
      delayCost: ratioDifference(outcomes.map(captured), pick(({ delayed }) => delayed).map(captured)),
      groups: groupGaps(outcomes),
      equal: equalTreatment(bandits),
    }
  })
}

/** One world under all conditions. @param {Bandits} bandits @param {number} seed @param {number} copies */
function world(bandits, seed, copies) {
  const people = populate(seed, copies)
  const heavy = people.filter(({ group }) => group.activity === 'heavy')
  const turning = populate(seed, copies, { turn: true, only: { activity: 'heavy' } })
  const own = playAll(bandits, people)
  return {
    own,
    heavy: own.filter(({ person }) => person.group.activity === 'heavy'),
    random: playRandomly(people),
    oracle: playOracle(people),
    withoutContext: playAll(bandits, people, { withoutContext: true }),
    delayed: playAll(bandits, people, { delay: DELAY, lost: LOST }),
    turned: playAll(bandits, turning),
    reset: playAll(bandits, turning, { resetAt: TURN }),
    probes: probe(bandits, heavy),
  }
}

/** @param {readonly ReturnType<typeof world>[]} worlds */
function population(worlds) {
  const earned = (/** @type {(outcome: Outcome) => number} */ worth) => meanOf(worlds.map(({ own }) => mean(own.map(worth))))
  const share = (/** @type {(one: ReturnType<typeof world>) => readonly Outcome[]} */ of) => ratioOf(worlds.map((one) => captured(of(one))))
  return {
    random: earned(({ moment }) => moment.random),
    policy: earned(({ value }) => value),
    oracle: earned(({ moment }) => moment.best),
    share: share(({ own }) => own),
    first: share(({ own }) => between(own, 0, FIRST)),
    // What the measure says of chance and of an oracle that were really played: nearly 0, and 1.
    randomShare: share(({ random }) => random),
    oracleShare: share(({ oracle }) => oracle),
    timeless: share(({ own }) => own.map((outcome) => ({ ...outcome, value: outcome.moment.timeless }))),
  }
}

/** Before the turn, just after it, and at the end. @param {readonly Outcome[][]} worlds */
function drift(worlds) {
  const share = (/** @type {number} */ from) => ratioOf(worlds.map((outcomes) => captured(between(outcomes, from, from + FIRST))))
  return { before: share(TURN - FIRST), after: share(TURN), end: share(HEAVY_DECISIONS - FIRST) }
}
