// @ts-check
// A synthetic population with known tastes, so that the best choice, the mean choice and every expected reward are known exactly.
//
// Four traits with two values each, all combinations alike often, and tastes drawn without looking at them. So where a policy
// serves one group worse than another, that comes from how the group uses it and not from what it likes:
//   activity  heavy: 120 decisions in 30 days; light: 24
//   tasks     many: 12 to 24 candidates a decision; few: 3 to 6
//   overdue   often: 60 % of the tasks; seldom: 15 %
//   hours     day: 7 to 18 o'clock; night: 19 to 2 o'clock
// A person likes a task by priority, age and being overdue, each with a weight of the person's own. Two weights move with the
// hour (urgent tasks are better received in the morning, old ones worse at night), which no policy here can express. To that
// come the hour, the weekend and a mood. A seed always makes the same people and days, so every policy meets the same.
import { weekdayOf } from '../../demo/calendar.mjs'
import { MOOD, expectedReward } from './reaction.mjs'
import { sequence } from './sequence.mjs'
import { mean } from './statistics.mjs'

/** @import { Candidate } from '@oo/bandits' */
/** @import { Sequence } from './sequence.mjs' */

/**
 * @typedef {typeof TRAITS} Traits
 * @typedef {{ [K in keyof Traits]: Traits[K][number] }} Group
 * @typedef {{ base: number, priority: number, age: number, overdue: number, morning: number, night: number }} Taste
 *
 * @typedef {object} Moment one decision to be made
 * @property {number} day
 * @property {number} hour
 * @property {number} dayOfWeek
 * @property {{ id: string, features: Features }[]} candidates
 * @property {number[]} likings of each candidate, without the mood
 * @property {number} mood the same whatever is shown
 * @property {number[]} expected reward of each candidate
 * @property {number} random mean over the candidates: what a uniform draw earns
 * @property {number} best the largest: what an oracle earns
 * @property {number} timeless what the best ranking earns that does not know the hour
 *
 * @typedef {{ seed: number, id: string, group: Group, moments: Moment[] }} Person `seed` is the world's
 *
 * @typedef {Required<NonNullable<Candidate['features']>>} Features
 * @typedef {{ hour: number, dayOfWeek: number, day: number }} Time
 * @typedef {{ morning: number, night: number }} Light how near the hour is to the morning and to the night, −1 to 1
 */

export const TRAITS = /** @type {const} */ ({
  activity: ['heavy', 'light'],
  tasks: ['many', 'few'],
  overdue: ['often', 'seldom'],
  hours: ['day', 'night'],
})
export const DAYS = 30
export const HEAVY_DECISIONS = 120
export const LIGHT_DECISIONS = 24
const START_DAY = 20_514 // Monday 2 March 2026, as in the demo
const WEEKEND = [0, 6]

/**
 * @param {number} seed
 * @param {number} copies people of each of the 16 groups
 * @param {{ turn?: boolean, only?: Partial<Group> }} [options] `turn`: halfway, everybody comes to dislike what they liked
 * @returns {Person[]}
 */
export function populate(seed, copies, { turn = false, only = {} } = {}) {
  const wanted = groups().filter((group) => Object.entries(only).every(([trait, value]) => group[/** @type {keyof Group} */ (trait)] === value))
  return wanted.flatMap((group) => Array.from({ length: copies }, (_copy, i) => person(seed, group, i, turn)))
}

/** Every combination of traits. @returns {Group[]} */
function groups() {
  const { activity, tasks, overdue, hours } = TRAITS
  return activity.flatMap((a) => tasks.flatMap((t) => overdue.flatMap((o) => hours.map((h) => ({ activity: a, tasks: t, overdue: o, hours: h })))))
}

/** @param {number} seed @param {Group} group @param {number} copy @param {boolean} turn @returns {Person} */
function person(seed, group, copy, turn) {
  const id = [...Object.values(group), copy].join('-')
  const chance = sequence('person', seed, id)
  const taste = tasteOf(chance)
  const turned = { ...taste, priority: -taste.priority, age: -taste.age, overdue: -taste.overdue, morning: -taste.morning, night: -taste.night }
  const decisions = group.activity === 'heavy' ? HEAVY_DECISIONS : LIGHT_DECISIONS
  const times = Array.from({ length: decisions }, (_decision, i) => timeOf(chance, group, i, decisions))
  const lights = times.map(({ hour }) => lightOf(hour))
  const usual = { morning: mean(lights.map(({ morning }) => morning)), night: mean(lights.map(({ night }) => night)) }
  const moments = times.map((time, i) => momentOf(chance, group, turn && i >= decisions / 2 ? turned : taste, time, usual))
  return { seed, id, group, moments }
}

/** @param {Sequence} chance @returns {Taste} */
function tasteOf(chance) {
  return {
    base: chance.normal(0.1, 0.1),
    priority: chance.normal(0.5, 0.35),
    age: chance.normal(-0.5, 0.4),
    overdue: chance.normal(0.15, 0.3),
    morning: chance.normal(0.35, 0.15),
    night: chance.normal(-0.2, 0.15),
  }
}

/** @param {Sequence} chance @param {Group} group @param {number} i @param {number} decisions @returns {Time} */
function timeOf(chance, group, i, decisions) {
  const day = START_DAY + Math.floor((i * DAYS) / decisions)
  const hour = group.hours === 'day' ? chance.whole(7, 12) : chance.whole(19, 8) % 24
  return { day, hour, dayOfWeek: weekdayOf(day) }
}

/**
 * @param {Sequence} chance
 * @param {Group} group
 * @param {Taste} taste
 * @param {Time} time
 * @param {Light} usual mean over the person's decisions
 * @returns {Moment}
 */
function momentOf(chance, group, taste, time, usual) {
  const length = group.tasks === 'many' ? chance.whole(12, 13) : chance.whole(3, 4)
  const candidates = Array.from({ length }, (_candidate, i) => ({ id: `task-${i}`, features: featuresOf(chance, group) }))
  const likings = candidates.map(({ features }) => liking(taste, features, time))
  const expected = likings.map(expectedReward)
  const averages = candidates.map(({ features }) => ranking(taste, features, usual))
  const timeless = expected[averages.indexOf(Math.max(...averages))] ?? 0
  return { ...time, candidates, likings, mood: chance.normal(0, MOOD), expected, random: mean(expected), best: Math.max(...expected), timeless }
}

/** @param {Sequence} chance @param {Group} group @returns {Features} */
function featuresOf(chance, group) {
  const isOverdue = chance.uniform() < (group.overdue === 'often' ? 0.6 : 0.15)
  // Young tasks more often than old ones, as in the demo; tenths of a day, so that hardly two tasks are equal.
  const taskAgeDays = Math.round(400 * chance.uniform() ** 2) / 10
  const rank = chance.uniform()
  const priority = 1 + [0.4, 0.7, 0.9].filter((share) => rank >= share).length
  return { isOverdue, taskAgeDays, priority }
}

/** @param {Taste} taste @param {Features} features @param {Time} time */
function liking(taste, features, { hour, dayOfWeek }) {
  const common = taste.base + 0.15 * Math.cos((2 * Math.PI * (hour - 10)) / 24) - (WEEKEND.includes(dayOfWeek) ? 0.1 : 0)
  return common + ranking(taste, features, lightOf(hour))
}

/** The part of the liking that differs between tasks. @param {Taste} taste @param {Features} features @param {Light} light */
function ranking(taste, { isOverdue, taskAgeDays, priority }, { morning, night }) {
  const urgent = (taste.priority + taste.morning * morning) * ((priority - 1) / 3)
  const old = (taste.age + taste.night * night) * (Math.min(taskAgeDays, 30) / 30)
  return urgent + old + taste.overdue * Number(isOverdue)
}

/** @param {number} hour @returns {Light} */
function lightOf(hour) {
  return { morning: Math.cos((2 * Math.PI * (hour - 9)) / 24), night: Math.cos((2 * Math.PI * (hour - 22)) / 24) }
}
