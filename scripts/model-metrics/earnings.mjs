// @ts-check
// What outcomes were worth, world by world: the share of the way from a uniformly random tip (0) to the best one (1).
import { sum } from './statistics.mjs'

/** @import { Outcome } from './play.mjs' */
/** @import { Pair } from './statistics.mjs' */

/** Decisions that count as the first of a person. */
export const FIRST = 20

/** The captured part of the gap, and the gap. @param {readonly Outcome[]} outcomes @returns {Pair} */
export function captured(outcomes) {
  return {
    part: sum(outcomes.map(({ value, moment }) => value - moment.random)),
    whole: sum(outcomes.map(({ moment }) => moment.best - moment.random)),
  }
}

/** Those of each person's decisions from one up to another, the latter not included. @param {readonly Outcome[]} outcomes @param {number} from @param {number} to */
export function between(outcomes, from, to) {
  return outcomes.filter(({ turn }) => turn >= from && turn < to)
}
