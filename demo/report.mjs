// @ts-check
// The report on stdout: what was read, what was picked and why, what it earned, what was learned.
import { dayLabel, dateOf } from './calendar.mjs'
import { decisionLines, REACTION_NAMES } from './decision-lines.mjs'
import { REACTIONS } from './person.mjs'
import { rewardChart } from './reward-chart.mjs'
import { plainText } from './task-text.mjs'
import { cell, cellRight, signed, truncate, wrapWords } from './terminal.mjs'
import { thetaTable } from './theta-table.mjs'

/** @import { FeatureRecord, PolicyStats } from '@oo/bandits' */
/** @import { Options } from './options.mjs' */
/** @import { Decision, Month } from './simulation.mjs' */
/** @import { Terminal } from './terminal.mjs' */
/** @import { TodoistExport } from './todoist-csv.mjs' */

const LEGEND = [
  'p1 is the most urgent; d: days since the task was made; score: Σ θᵢxᵢ, here by feature.',
  'moment: what hour, weekday and profile add, the same for every task, so it cannot decide between them.',
]
const LEGEND_OF_LINUCB = ['bonus: what linucb-v1 adds for a task of a kind it knows little of.']

/** @param {TodoistExport} source @param {Options} options @param {Terminal} terminal @returns {string[]} */
export function introduction(source, options, { width, colors }) {
  const { tasks } = source
  const subTasks = tasks.filter((task) => task.indent > 1).length
  const recurring = tasks.filter((task) => task.due.kind === 'recurring').length
  const counts = `${plural(tasks.length, 'task')} (${plural(subTasks, 'sub-task')}, ${recurring} recurring), ${plural(source.sections, 'section')}, ${plural(source.notes, 'note')}`
  const headings = source.headings > 0 ? ` and ${plural(source.headings, 'heading')} (tasks that cannot be completed)` : ''
  const period = `${plural(options.days, 'day')} from ${dayLabel(options.startDay)} ${dateOf(options.startDay).year}`
  const lines = [
    colors.bold(truncate('@oo/bandits: the tip of the moment', width)),
    '',
    ...labelled('export', `${options.fileLabel}: ${counts}${headings}`, width),
    ...labelled('policy', `${options.policy}, seed ${options.seed}, ${period}`, width),
    ...labelled('person', 'Robin, simulated: urgent things in the morning, no old chores in the evening, and moods (demo/person.mjs)', width),
    ...labelled('ages', 'simulated, as an export does not say when a task was made', width),
  ]
  if (source.unknownDates.length > 0) lines.push(...labelled('note', `dates not understood and so never overdue: ${examples(source.unknownDates)}`, width))
  if (source.unknownPriorities > 0) lines.push(...labelled('note', `${plural(source.unknownPriorities, 'priority', 'priorities')} not 1 to 4, counted as none (p4)`, width))
  return lines
}

/** @param {readonly string[]} texts from the export */
function examples(texts) {
  const shown = texts.slice(0, 4).map((text) => `"${truncate(plainText(text), 24)}"`)
  return shown.join(', ') + (texts.length > shown.length ? ` and ${texts.length - shown.length} more` : '')
}

/**
 * The first and the last days in full.
 * @param {Month} month @param {Options} options @param {readonly string[]} labels @param {Terminal} terminal @returns {string[]}
 */
export function shownDays(month, options, labels, terminal) {
  const { days, startDay, show } = options
  /** @type {string[]} */
  const lines = []
  for (let day = 1; day <= days; day += 1) {
    if (day > show && day <= days - show) continue
    const title = `Day ${day}, ${dayLabel(startDay + day - 1)}`
    lines.push('', heading(day === 1 ? `${title}: nothing is known of Robin yet` : title, terminal))
    const decisions = month.decisions.filter((decision) => decision.day === startDay + day - 1)
    if (decisions.length === 0) lines.push('  no open tasks')
    lines.push(...decisions.flatMap((decision) => decisionLines(decision, labels, terminal)))
  }
  if (show > 0) {
    lines.push('', ...wrapWords([...LEGEND, ...(options.policy === 'linucb-v1' ? LEGEND_OF_LINUCB : [])].join(' ').split(' '), terminal.width - 2, ' ').map((line) => terminal.colors.dim(`  ${line}`)))
  }
  return lines
}

/**
 * @param {{ policy: Month, random: Month, stats: PolicyStats, history: readonly FeatureRecord[] }} results
 * @param {Terminal} terminal
 * @returns {string[]}
 */
export function summary({ policy, random, stats, history }, terminal) {
  return [
    '',
    heading('Reward, added up day by day', terminal),
    ...rewardChart({ name: stats.policy, rewardByDay: policy.rewardByDay }, { name: 'random', rewardByDay: random.rewardByDay }, terminal),
    '',
    heading('How θ moved', terminal),
    ...thetaTable(stats.featureLabels, policy.thetaByDay, terminal),
    '',
    heading('Totals', terminal),
    ...totals(policy, random, stats.policy, terminal),
    ...engineLines(stats, history, terminal),
  ]
}

/** The only lines that differ from run to run. @param {{ score: number[], reward: number[] }} timings µs @param {Terminal} terminal @returns {string[]} */
export function timingLines({ score, reward }, { width }) {
  return labelled('time', `score() ${median(score).toFixed(1)} µs, reward() ${median(reward).toFixed(1)} µs: the medians of ${score.length} calls`, width)
}

/** @param {Month} policy @param {Month} random @param {string} name @param {Terminal} terminal */
function totals(policy, random, name, { colors }) {
  const months = [policy.decisions, random.decisions]
  const row = (/** @type {string} */ label, /** @type {(decisions: readonly Decision[]) => string} */ value) =>
    `  ${cell(label, 18)}${months.map((decisions) => cellRight(value(decisions), 12)).join('')}`
  const total = (/** @type {readonly Decision[]} */ decisions) => decisions.reduce((sum, { reward }) => sum + reward, 0)
  const lines = [
    colors.dim(`  ${cell('', 18)}${cellRight(name, 12)}${cellRight('random', 12)}`),
    row('decisions', (decisions) => String(decisions.length)),
    colors.bold(row('reward', (decisions) => signed(total(decisions), 1))),
    row('reward a decision', (decisions) => signed(total(decisions) / Math.max(1, decisions.length))),
    ...REACTIONS.map((reaction) => row(`  ${REACTION_NAMES[reaction]}`, (decisions) => String(decisions.filter((decision) => decision.reaction === reaction).length))),
  ]
  if (policy.idle > 0) lines.push(`  ${plural(policy.idle, 'moment')} without an open task`)
  return lines
}

/** What the engine itself says. @param {PolicyStats} stats @param {readonly FeatureRecord[]} history @param {Terminal} terminal */
function engineLines(stats, history, { width }) {
  const explored = history.filter(({ exploring }) => exploring).length
  const counts = `${plural(stats.pulls, 'pull')}, ${plural(stats.rewardCount, 'reward')}`
  return [
    '',
    ...labelled('stats()', `${counts}, sum ${signed(stats.cumulativeReward, 1)}, mean ${signed(stats.estimatedMeanReward)}, explored ${(stats.explorationRate * 100).toFixed(1)} %`, width),
    ...labelled('features()', `remembers the last ${plural(history.length, 'decision')}, ${explored} of them exploring`, width),
  ]
}

/** @param {string} text @param {Terminal} terminal */
function heading(text, { width, colors }) {
  return colors.bold(colors.cyan(truncate(text, width)))
}

/** @param {string} label @param {string} text @param {number} width */
function labelled(label, text, width) {
  return wrapWords(text.split(' '), width - 14, ' ').map((line, i) => truncate(`  ${cell(i === 0 ? label : '', 12)}${line}`, width))
}

/** @param {number} count @param {string} one @param {string} [many] */
function plural(count, one, many = `${one}s`) {
  return `${count} ${count === 1 ? one : many}`
}

/** @param {readonly number[]} values */
function median(values) {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.floor(sorted.length / 2)] ?? 0
}
