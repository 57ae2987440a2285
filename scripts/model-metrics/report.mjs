// @ts-check
// The measured figures of one policy as Markdown, for its card.
import { HOURS_OF_WEEK } from './context.mjs'
import { FIRST } from './earnings.mjs'
import { EPSILON } from './engine.mjs'
import { count, estimate, figure, residue, table } from './format.mjs'
import { DELAY, LOST, TURN } from './measure.mjs'
import { DAYS, HEAVY_DECISIONS, LIGHT_DECISIONS } from './population.mjs'

/** @import { Metrics } from './measure.mjs' */

/** What the traits of the population are called in a card. @type {Record<string, string>} */
const TRAIT_NAMES = { activity: 'use', tasks: 'tasks', overdue: 'overdue', hours: 'hours' }

/** @param {Metrics} metrics */
export function render(metrics) {
  return [size(metrics), earnings(metrics), propensities(metrics), context(metrics), weighting(metrics), disturbances(metrics), fairness(metrics)].join('\n\n')
}

/** @param {Metrics} metrics */
function size({ size: { lists, worlds, copies }, learning }) {
  const people = 16 * copies
  return (
    `${lists} months with the sample list (seeds 1–${lists}). ${worlds} populations (seeds 1–${worlds}) of ${people} people: ` +
    `${count(learning.decisions)} decisions. “±” is the 95 % interval over months or populations.`
  )
}

/** @param {Metrics} metrics */
function earnings({ policy, list, population }) {
  const row = (/** @type {string} */ name, /** @type {Metrics['list']} */ { random, policy: own, oracle, share, first }) => {
    return [name, ...[random, own, oracle, share, first].map(estimate)]
  }
  const header = ['mean reward of a decision', 'random', policy, 'oracle', 'share of the gap', `the same, first ${FIRST} decisions`]
  return [
    '### Reward',
    table(header, [row('sample list', list), row('population', population)]),
    `The best ranking that does not know the hour: ${estimate(population.timeless)} of the gap in the population.`,
  ].join('\n\n')
}

/** @param {Metrics} metrics */
function propensities({ policy, calibration, learning }) {
  const title = '### Exploration and propensities'
  if (policy === 'linucb-v1') {
    const rows = calibration.map(({ n, draws, shown }) => [String(n), count(draws), String(shown)])
    return [title, table(['candidates', 'same request, times', 'different tips shown'], rows), 'Random choices while learning: none.'].join('\n\n')
  }
  const rows = calibration.map(({ n, draws, fit, sumError }) => {
    const fits = fit === null ? ['—', '—', '—'] : [`${figure(fit.statistic)} (${fit.freedom})`, figure(fit.p), figure(fit.deviation)]
    return [String(n), count(draws), ...fits, residue(sumError)]
  })
  const { explored, exploredZ, bestZ } = learning
  return [
    title,
    table(['candidates', 'same request, times', 'χ² (degrees of freedom)', 'p', 'largest deviation of a share', 'Σ propensities − 1'], rows),
    `While learning: explored in ${figure(explored)} of the decisions (expected ${EPSILON}; ${figure(exploredZ)} standard errors off); ` +
      `showed its best ${figure(Math.abs(bestZ))} standard errors ${bestZ < 0 ? 'less' : 'more'} often than the propensities say.`,
  ].join('\n\n')
}

/** @param {Metrics} metrics */
function context({ policy, context: probes, withoutContext, population, contextGain }) {
  const header = ['after', 'decisions', 'another best task at another hour or day', 'all pairs of decision and other hour or day']
  const profile = policy === 'egreedy-v2'
  const rows = probes.map(({ rewards, decisions, byContext, contexts, byProfile }) => {
    const shares = profile ? [byContext, contexts, byProfile] : [byContext, contexts]
    return [`${rewards} rewards`, count(decisions), ...shares.map(estimate)]
  })
  return [
    '### What hour, day and profile change',
    table(profile ? [...header, 'another best task under another profile'] : header, rows),
    `Decisions of heavy users, asked again at all ${HOURS_OF_WEEK} hours of the week${profile ? ' and under three other profiles' : ''}; shares of them.`,
    table(
      ['share of the gap, population', 'overall'],
      [
        ['told the real hour and day', estimate(population.share)],
        ['told noon of day 0 at every decision', estimate(withoutContext)],
        ['gain', estimate(contextGain)],
      ].map(([name = '', value = '']) => [profile ? name.replace(' and day', ', day and profile').replace('day 0', 'day 0 and no profile') : name, value]),
    ),
  ].join('\n\n')
}

/** @param {Metrics} metrics */
function weighting({ policy, weighting: targets }) {
  const rows = targets.map(({ name, truth, ips, ipsError, snips, snipsError, weight, effective, covered }) => [
    name,
    ...[truth, ips].map(estimate),
    figure(ipsError),
    estimate(snips),
    figure(snipsError),
    estimate(weight),
    policy === 'linucb-v1' ? '—' : estimate(effective),
    figure(covered),
  ])
  const estimates = ['true value', 'IPS', 'its RMS error', 'SNIPS', 'its RMS error']
  const checks = ['mean weight (should be 1)', 'effective sample size, share', 'truth within the 95 % interval of IPS']
  return ['### Importance weighting', table(['another policy', ...estimates, ...checks], rows)].join('\n\n')
}

/** @param {Metrics} metrics */
function disturbances({ drift, delayed, delayCost, population }) {
  const row = (/** @type {string} */ name, /** @type {Metrics['drift']['as']} */ { before, after, end }) => [name, ...[before, after, end].map(estimate)]
  const span = (/** @type {number} */ from) => `decisions ${from + 1}–${from + FIRST}`
  return [
    '### Drift, late and lost rewards',
    table(
      ['share of the gap, heavy users', span(TURN - FIRST), span(TURN), span(HEAVY_DECISIONS - FIRST)],
      [row('tastes stay', drift.none), row(`tastes turn round before decision ${TURN + 1}`, drift.as), row('the same, and `reset()` at that moment', drift.reset)],
    ),
    table(
      ['share of the gap, everybody', 'overall'],
      [
        ['rewards at once', estimate(population.share)],
        [`rewards ${DELAY} decisions late, ${100 * LOST} % of them lost`, estimate(delayed)],
        ['cost', estimate(delayCost)],
      ],
    ),
  ].join('\n\n')
}

/** @param {Metrics} metrics */
function fairness({ groups, equal }) {
  const rows = groups.map(({ name, labels, first, second, gap }) => {
    const shares = [first, second].map((share, i) => `${labels[i]}: ${estimate(share)}`)
    return [groupName(name), ...shares, estimate(gap)]
  })
  return [
    '### Fairness',
    table(['share of the gap by', 'group', 'group', 'difference'], rows),
    `Heavy: ${HEAVY_DECISIONS} decisions in ${DAYS} days, light: ${LIGHT_DECISIONS}. Many: 12 to 24 tasks, few: 3 to 6. ` +
      'Often: 60 % of the tasks are overdue, seldom: 15 %. Day: 7 to 18 o’clock, night: 19 to 2.',
    table(
      ['equal treatment', 'largest difference'],
      [
        [`θ of ${equal.users} users with different ids and the same ${equal.rewards} rewards`, residue(equal.theta)],
        ['their scores of 10 tasks', residue(equal.scores)],
        ['θ of a user without rewards, before and after these', residue(equal.bystander)],
      ],
    ),
  ].join('\n\n')
}

/** @param {string} trait may go on after a comma */
function groupName(trait) {
  const [name = '', ...rest] = trait.split(', ')
  return [TRAIT_NAMES[name] ?? name, ...rest].join(', ')
}
