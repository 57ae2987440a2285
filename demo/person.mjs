// @ts-check
// The simulated person. The bandit never sees this file's numbers, only the reactions.
//
// Robin starts the day with what is urgent and has no patience for it late in the evening; likes fresh tasks and is annoyed by
// old chores, most of all in the evening; is glad of a reminder of something overdue in the morning, and would rather not hear
// of it at night; is at their best around ten; at weekends wants to be left alone except for things at home. On top comes
// a mood, which is chance. The features are linear in what the policies can express only in part: there is no feature
// for "urgent AND morning", so a policy learns the average of it.
import { draw, drawNormal } from './draw.mjs'

/**
 * @typedef {'done' | 'helpful' | 'snooze' | 'not_helpful' | 'dismiss'} Reaction
 * @typedef {{ priority: number, taskAgeDays: number, isOverdue: boolean }} Shown the features of the task
 * @typedef {{ hour: number, dayOfWeek: number }} Moment
 */

/** @type {Readonly<Record<Reaction, number>>} */
export const REWARD = { done: 1, helpful: 0.5, snooze: 0, not_helpful: -0.5, dismiss: -1 }
export const REACTIONS = /** @type {Reaction[]} */ (Object.keys(REWARD))

/** How pleased Robin must at least be for each reaction, best first. @type {[Reaction, number][]} */
const THRESHOLDS = [
  ['done', 0.55],
  ['helpful', 0.25],
  ['snooze', -0.1],
  ['not_helpful', -0.5],
]
const MOOD = 0.35
const HOME_LABELS = ['home', 'family', 'garden', 'errands', 'personal']

/** The hours at which Robin looks at the tip. @param {number} dayOfWeek @returns {readonly number[]} */
export function hoursOf(dayOfWeek) {
  return isWeekend(dayOfWeek) ? [10, 15, 20] : [8, 10, 13, 16, 19, 21]
}

/** How pleased Robin is on average with this tip at this moment. @param {Shown} shown @param {Moment} moment @param {readonly string[]} labels */
export function liking({ priority, taskAgeDays, isOverdue }, { hour, dayOfWeek }, labels) {
  const urgency = (priority - 1) / 3
  const age = Math.min(taskAgeDays, 30) / 30
  const morning = hour < 12
  const evening = hour >= 18
  let value = 0.2 + 0.15 * Math.cos((2 * Math.PI * (hour - 10)) / 24)
  value += morning ? 0.8 * urgency : evening ? 0.1 * urgency : 0.5 * urgency
  value -= evening ? 0.9 * age : 0.5 * age
  if (isOverdue) value += morning ? 0.3 : evening ? -0.15 : 0.15
  if (isWeekend(dayOfWeek)) value += labels.some((label) => HOME_LABELS.includes(label.toLowerCase())) ? 0.1 : -0.2
  return value
}

/**
 * @param {Shown} shown
 * @param {Moment} moment
 * @param {readonly string[]} labels
 * @param {readonly (string | number)[]} occasion names the mood's draw
 * @returns {Reaction}
 */
export function react(shown, moment, labels, occasion) {
  const pleased = liking(shown, moment, labels) + MOOD * drawNormal('mood', ...occasion)
  return THRESHOLDS.find(([, least]) => pleased >= least)?.[0] ?? 'dismiss'
}

/** How long Robin looked at it, in ms: longer when it was of use. @param {Reaction} reaction @param {readonly (string | number)[]} occasion */
export function dwell(reaction, occasion) {
  return Math.round((REWARD[reaction] + 1.5) * 20_000 * (0.5 + draw('dwell', ...occasion)))
}

/** @param {number} dayOfWeek 0 is Sunday */
function isWeekend(dayOfWeek) {
  return dayOfWeek === 0 || dayOfWeek === 6
}
