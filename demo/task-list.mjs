// @ts-check
// The open tasks of one simulated user over time: ages grow, due dates pass, done tasks leave, recurring ones come back
// when they are next due, and for a done one-off a new one of its kind is written down some days later (an export holds only
// what was open on one day; a real list gets new tasks all the time).
//
// A task whose tip got a reaction rests until the next day, done or not: an API that shows the same tip all day long is broken.
import { draw } from './draw.mjs'

/** @import { Candidate } from '@oo/bandits' */
/** @import { Due } from './due-date.mjs' */
/** @import { Task } from './todoist-csv.mjs' */

/**
 * @typedef {object} Entry
 * @property {Task} task
 * @property {string} id of this incarnation
 * @property {number} round how often it came back
 * @property {number} createdDay
 * @property {number} fromDay shown from this day on
 * @property {Due | null} due
 */

/** @typedef {Candidate & { features: { isOverdue: boolean, taskAgeDays: number, priority: number } }} TaskCandidate */

export class TaskList {
  #entries
  #seed

  /**
   * @param {readonly Task[]} tasks
   * @param {number} startDay
   * @param {number} seed
   */
  constructor(tasks, startDay, seed) {
    this.#seed = seed
    /** @type {Entry[]} */
    this.#entries = tasks.map((task) => ({
      task,
      id: task.key,
      round: 0,
      createdDay: startDay - task.ageDays,
      fromDay: startDay,
      due: task.due.kind === 'once' || task.due.kind === 'recurring' ? task.due.due : null,
    }))
  }

  /** What could be shown now. @param {number} day @param {number} hour @returns {{ entry: Entry, candidate: TaskCandidate }[]} */
  open(day, hour) {
    return this.#entries.filter((entry) => entry.fromDay <= day).map((entry) => ({ entry, candidate: toCandidate(entry, day, hour) }))
  }

  /** It got a reaction: not again today. @param {Entry} entry @param {number} day */
  rest(entry, day) {
    entry.fromDay = day + 1
  }

  /** It is done: it leaves, and comes back later as a young task. @param {Entry} entry @param {number} day */
  complete(entry, day) {
    const { task } = entry
    const delay = 2 + Math.floor(9 * draw('return', this.#seed, entry.id))
    entry.round += 1
    entry.id = `${task.key}.${entry.round}`
    if (task.due.kind === 'recurring') {
      const next = task.due.next(Math.max(day, entry.due?.day ?? day))
      entry.due = { day: next, hour: task.due.due.hour }
      entry.fromDay = next
    } else {
      entry.fromDay = day + delay
      entry.due = task.due.kind === 'once' ? { day: entry.fromDay + Math.floor(8 * draw('due', this.#seed, entry.id)), hour: task.due.due.hour } : null
    }
    entry.createdDay = entry.fromDay
  }
}

/** @param {Entry} entry @param {number} day @param {number} hour @returns {TaskCandidate} */
function toCandidate({ task, id, createdDay, due }, day, hour) {
  return {
    id,
    content: [...task.parents, task.title].join(' › '),
    source: 'todoist',
    sourceId: task.key,
    features: { isOverdue: isOverdue(due, day, hour), taskAgeDays: day - createdDay, priority: task.priority },
  }
}

/** @param {Due | null} due @param {number} day @param {number} hour */
function isOverdue(due, day, hour) {
  if (due === null) return false
  return day > due.day || (day === due.day && due.hour !== null && hour > due.hour)
}
