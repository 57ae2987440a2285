// @ts-check
// One user's days: at every moment a chooser picks one of the open tasks, the person reacts, the chooser learns.
import { weekdayOf } from './calendar.mjs'
import { at } from './choosers.mjs'
import { dwell, hoursOf, react, REWARD } from './person.mjs'
import { profileOf } from './profile.mjs'
import { TaskList } from './task-list.mjs'

/** @import { ProfileFeatures } from '@oo/bandits' */
/** @import { Choice, Chooser } from './choosers.mjs' */
/** @import { Reaction } from './person.mjs' */
/** @import { TaskCandidate } from './task-list.mjs' */
/** @import { Task } from './todoist-csv.mjs' */

/**
 * @typedef {object} Decision
 * @property {number} day since 1970-01-01
 * @property {number} hour
 * @property {number} dayOfWeek
 * @property {TaskCandidate} tip
 * @property {Task} task
 * @property {number} candidates how many there were
 * @property {ProfileFeatures} profile
 * @property {Choice} choice
 * @property {Reaction} reaction
 * @property {number} reward
 * @property {number} dwellMs
 *
 * @typedef {object} Month
 * @property {Decision[]} decisions
 * @property {number[]} rewardByDay cumulative, with the 0 before the first day
 * @property {number[][]} thetaByDay at each day's end, with the start before the first
 * @property {number} idle moments without an open task
 *
 * @typedef {object} Scenario
 * @property {readonly Task[]} tasks
 * @property {number} startDay
 * @property {number} days
 * @property {number} seed
 */

/**
 * @param {Scenario} scenario
 * @param {Chooser} chooser
 * @param {(day: number, month: Month) => Promise<void> | void} [afterDay] called with 1, 2, … after each day
 * @returns {Promise<Month>}
 */
export async function simulate({ tasks, startDay, days, seed }, chooser, afterDay) {
  const list = new TaskList(tasks, startDay, seed)
  /** @type {Month} */
  const month = { decisions: [], rewardByDay: [0], thetaByDay: [chooser.theta()], idle: 0 }
  for (let day = startDay; day < startDay + days; day += 1) {
    let reward = at(month.rewardByDay, month.rewardByDay.length - 1)
    for (const hour of hoursOf(weekdayOf(day))) {
      const decision = decide(list, chooser, month.decisions, day, hour, seed)
      if (decision === undefined) month.idle += 1
      else month.decisions.push(decision)
      reward += decision?.reward ?? 0
    }
    month.rewardByDay.push(reward)
    month.thetaByDay.push(chooser.theta())
    await afterDay?.(day - startDay + 1, month)
  }
  return month
}

/**
 * @param {TaskList} list
 * @param {Chooser} chooser
 * @param {readonly Decision[]} past
 * @param {number} day
 * @param {number} hour
 * @param {number} seed
 * @returns {Decision | undefined} undefined when nothing is open
 */
function decide(list, chooser, past, day, hour, seed) {
  const open = list.open(day, hour)
  if (open.length === 0) return undefined
  const dayOfWeek = weekdayOf(day)
  const profile = profileOf(past, day)
  const occasion = { candidates: open.map(({ candidate }) => candidate), context: { hourOfDay: hour, dayOfWeek }, profile, day }
  const choice = chooser.choose(occasion)
  const { entry, candidate } = at(open, choice.index)
  const mood = [seed, candidate.id, day, hour]
  const reaction = react(candidate.features, { hour, dayOfWeek }, entry.task.labels, mood)
  chooser.learn(occasion, choice, REWARD[reaction])
  if (reaction === 'done') list.complete(entry, day)
  else list.rest(entry, day)
  return {
    day,
    hour,
    dayOfWeek,
    tip: candidate,
    task: entry.task,
    candidates: open.length,
    profile,
    choice,
    reaction,
    reward: REWARD[reaction],
    dwellMs: dwell(reaction, mood),
  }
}
