// @ts-check
// What another policy would have earned, from this policy's decisions alone, against what it would really have earned.
//
// Importance weighting gives a decision the weight π(a)/p: how likely the other policy was to show what was shown, over how
// likely this one was (its logged propensity). It needs p > 0 for whatever the other policy might show.
import { at } from './play.mjs'
import { mean, meanOf, sum } from './statistics.mjs'

/** @import { Moment } from './population.mjs' */
/** @import { Outcome } from './play.mjs' */

/** Each a probability for every candidate. @type {readonly { name: string, of: (moment: Moment) => number[] }[]} */
const TARGETS = [
  { name: 'a uniformly random tip', of: ({ candidates }) => candidates.map(() => 1 / candidates.length) },
  { name: 'the most urgent task first', of: mostUrgent },
]

/** The first of the candidates of the highest priority. @param {Moment} moment */
function mostUrgent({ candidates }) {
  const priorities = candidates.map(({ features }) => features.priority)
  const first = priorities.indexOf(Math.max(...priorities))
  return candidates.map((_candidate, i) => Number(i === first))
}

/** @param {readonly Outcome[][]} worlds */
export function weighting(worlds) {
  return TARGETS.map(({ name, of }) => {
    const estimates = worlds.map((outcomes) => estimateFrom(outcomes, of))
    const over = (/** @type {(one: typeof estimates[number]) => number} */ value) => meanOf(estimates.map(value))
    const rmse = (/** @type {(one: typeof estimates[number]) => number} */ error) => Math.sqrt(mean(estimates.map((one) => error(one) ** 2)))
    return {
      name,
      truth: over(({ truth }) => truth),
      ips: over(({ ips }) => ips),
      snips: over(({ snips }) => snips),
      ipsError: rmse(({ ips, truth }) => ips - truth),
      snipsError: rmse(({ snips, truth }) => snips - truth),
      weight: over(({ weight }) => weight),
      effective: over(({ effective }) => effective),
      covered: mean(estimates.map(({ covered }) => Number(covered))),
    }
  })
}

/** @param {readonly Outcome[]} outcomes @param {(moment: Moment) => number[]} target */
function estimateFrom(outcomes, target) {
  const chances = outcomes.map(({ moment }) => target(moment))
  const weights = outcomes.map(({ index, propensity }, i) => at(at(chances, i), index) / propensity)
  const weighted = outcomes.map(({ reward }, i) => reward * at(weights, i))
  const truth = mean(outcomes.map(({ moment }, i) => sum(moment.expected.map((value, k) => value * at(at(chances, i), k)))))
  const ips = meanOf(weighted)
  return {
    truth,
    ips: ips.value,
    snips: sum(weighted) / sum(weights),
    weight: mean(weights),
    // Kish: so many decisions of the target's own would say as much; as a share of those logged.
    effective: sum(weights) ** 2 / sum(weights.map((weight) => weight ** 2)) / outcomes.length,
    covered: Math.abs(ips.value - truth) <= ips.half,
  }
}
