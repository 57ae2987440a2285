// @ts-check
// One decision as a person reads it: which tip, when, how it was received, and why the policy picked it.
import stringWidth from 'string-width'
import { contributions } from './feature-vector.mjs'
import { cell, signed, truncate, wrapWords } from './terminal.mjs'

/** @import { Decision } from './simulation.mjs' */
/** @import { Reaction } from './person.mjs' */
/** @import { Group } from './feature-vector.mjs' */
/** @import { Terminal } from './terminal.mjs' */

/** @type {Record<Reaction, string>} */
export const REACTION_NAMES = { done: 'done', helpful: 'helpful', snooze: 'snooze', not_helpful: 'not helpful', dismiss: 'dismiss' }

/** These differ from task to task, so these decide; the others are the same for all candidates of a moment. @type {readonly Group[]} */
const DECIDING = ['priority', 'overdue', 'age']
const INDENT = ' '.repeat(8)
const REACTION_WIDTH = 16
/** Below this the facts about a task go to the next line. */
const NARROW = 64

/**
 * @param {Decision} decision
 * @param {readonly string[]} labels the policy's feature labels
 * @param {Terminal} terminal
 * @returns {string[]} lines
 */
export function decisionLines(decision, labels, terminal) {
  return [headLine(decision, terminal), ...whyLines(decision, labels, terminal)]
}

/** @param {Decision} decision @param {Terminal} terminal */
function headLine(decision, { width, colors }) {
  const { hour, task, reaction, reward } = decision
  const outcome = `${REACTION_NAMES[reaction]} ${signed(reward, 1)}`
  const room = width - INDENT.length - REACTION_WIDTH - 1
  const facts = width < NARROW ? '' : ` (${factsOf(decision)})`
  const title = truncate([task.title, ...task.parents.toReversed()].join(' ‹ '), room - stringWidth(facts))
  const colour = reward > 0 ? colors.green : reward < 0 ? colors.red : colors.yellow
  return `  ${String(hour).padStart(2, '0')}:00 ${cell(`${colors.bold(title)}${colors.dim(facts)}`, room)} ${colour(outcome)}`
}

/** @param {Decision} decision */
function factsOf({ tip, task }) {
  const { isOverdue, taskAgeDays } = tip.features
  return [`p${5 - task.priority}`, `${taskAgeDays} d`, ...(isOverdue ? ['overdue'] : [])].join(', ')
}

/** @param {Decision} decision @param {readonly string[]} labels @param {Terminal} terminal */
function whyLines(decision, labels, { width, colors }) {
  const words = [...(width < NARROW ? [`${factsOf(decision)};`] : []), ...why(decision, labels)]
  return wrapWords(words, width - INDENT.length, ' ').map((line) => INDENT + colors.dim(line))
}

/** @param {Decision} decision @param {readonly string[]} labels @returns {string[]} words that stay together */
function why({ hour, dayOfWeek, tip, profile, choice, candidates }, labels) {
  const { exploring, propensity, score, theta } = choice
  const how = [exploring ? 'exploring: drawn' : `best of ${candidates},`, ...(exploring ? [`at random from ${candidates},`] : []), `propensity ${probability(propensity)};`]
  const groups = contributions(labels, theta, { hourOfDay: hour, dayOfWeek, ...tip.features, profile })
  const sum = [...groups.values()].reduce((total, value) => total + value, 0)
  const moment = sum - DECIDING.reduce((total, group) => total + (groups.get(group) ?? 0), 0)
  const parts = DECIDING.map((group) => ({ name: /** @type {string} */ (group), value: groups.get(group) ?? 0 }))
    .sort((a, b) => Math.abs(b.value) - Math.abs(a.value))
    // Under linucb-v1 the score has a bonus for what is not well known yet.
    .concat({ name: 'moment', value: moment }, { name: 'bonus', value: score - sum })
    .filter(({ value }) => signed(value) !== '0.00')
  if (parts.length === 0) return [...how, 'score 0:', theta.some((weight) => weight !== 0) ? 'nothing speaks for or against it' : 'nothing learned yet']
  return [...how, `score ${signed(score)} =`, ...parts.map(({ name, value }) => `${name} ${signed(value)}`)]
}

/** @param {number} value */
function probability(value) {
  return value < 0.01 ? value.toPrecision(1) : value.toFixed(2)
}
