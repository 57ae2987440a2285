// @ts-check
// Todoist's CSV, as "Export as a template" and the files of a backup have it, into tasks.
//
// Columns are found by name, because exports of different years have different ones (DESCRIPTION, DURATION, DEADLINE,
// IS_COLLAPSED came later; DUE_DATE was DATE once). TYPE says what a row is: `task`, `section`, `note` (a comment on the task
// above; its DATE is when it was written), `project_note`, `meta` (view settings); blank rows stand between.
// PRIORITY counts from 1 = p1 = most urgent; an empty cell means p1, as Todoist's importer has it. The API, and so the
// bandit, counts the other way: 4 is the most urgent.
import { CsvError, parse } from 'csv-parse/sync'
import { DemoError } from './demo-error.mjs'
import { parseDueDate } from './due-date.mjs'
import { readContent } from './task-text.mjs'
import { simulatedAge } from './task-age.mjs'

/** @import { DueDate } from './due-date.mjs' */

/**
 * @typedef {object} Task
 * @property {string} key unique within the export
 * @property {string} title without labels and markdown
 * @property {string[]} parents their titles, the outermost first; empty for a task of the first level
 * @property {string | null} section
 * @property {string[]} labels
 * @property {number} priority as the API counts: 1 (none) to 4 (most urgent)
 * @property {number} indent 1 for a task, 2 and more for a sub-task
 * @property {string} description
 * @property {string[]} notes
 * @property {DueDate} due
 * @property {number} ageDays age on the first day
 */

/**
 * @typedef {object} TodoistExport
 * @property {Task[]} tasks
 * @property {number} sections
 * @property {number} notes
 * @property {string[]} unknownDates cells that were not understood, each once
 * @property {number} unknownPriorities how many cells were none of 1 to 4
 * @property {number} headings tasks that cannot be completed ("* …") and so are no tips
 */

/** @typedef {Record<string, string | undefined>} Row */
/** @typedef {{ section: string | null, parents: Task[], last: Task | null }} Position where in the project a row stands */

const REQUIRED = ['TYPE', 'CONTENT', 'PRIORITY']

/**
 * @param {string} text
 * @param {number} startDay the day from which relative dates and ages are counted
 * @param {string} [name] of the file, for messages
 * @returns {TodoistExport}
 */
export function parseTodoistCsv(text, startDay, name = 'the export') {
  /** @type {TodoistExport} */
  const result = { tasks: [], sections: 0, notes: 0, unknownDates: [], unknownPriorities: 0, headings: 0 }
  /** @type {Position} */
  const position = { section: null, parents: [], last: null }
  for (const row of readRows(text, name)) {
    const content = row.CONTENT ?? ''
    switch ((row.TYPE ?? '').trim().toLowerCase()) {
      case 'task':
        if (content.trim() !== '') addTask(result, position, row, startDay)
        break
      case 'section':
        result.sections += 1
        position.section = readContent(content).title
        position.parents = []
        break
      case 'note':
        result.notes += 1
        if (position.last) addNote(position.last, row, startDay)
        break
      default: // meta, project_note, blank rows and what later versions may add
    }
  }
  if (result.tasks.length === 0) throw new DemoError(`${name} has no tasks.`)
  return result
}

/** @param {string} text @param {string} name @returns {Row[]} */
function readRows(text, name) {
  if (text.replace(/^\ufeff/, '').trim() === '') throw new DemoError(`${name} is empty.`)
  const options = {
    bom: true,
    delimiter: delimiterOf(text),
    // An editor or a script may have written some of the lines. Left to itself, csv-parse takes the first line end for that of all rows.
    record_delimiter: ['\r\n', '\n', '\r'],
    trim: true,
    relax_column_count: true,
    skip_empty_lines: true,
  }
  try {
    /** @type {string[]} */
    let header = []
    const columns = (/** @type {string[]} */ cells) => (header = cells.map((cell) => cell.trim().toUpperCase()))
    /** @type {Row[]} */
    const rows = parse(text, { ...options, columns })
    const missing = REQUIRED.filter((column) => !header.includes(column))
    if (missing.length > 0) throw new DemoError(`${name} is not a Todoist export: it has no column ${missing.join(', ')}.`)
    return rows
  } catch (error) {
    if (error instanceof CsvError) throw new DemoError(`${name} is not a readable CSV file: ${error.message}.`)
    throw error
  }
}

/** A spreadsheet may have saved it with semicolons or tabs. @param {string} text */
function delimiterOf(text) {
  const header = text.slice(0, 2000).split(/[\r\n]/, 1)[0] ?? ''
  return [',', ';', '\t'].find((delimiter) => header.includes(delimiter)) ?? ','
}

/**
 * @param {TodoistExport} result
 * @param {Position} position
 * @param {Row} row
 * @param {number} startDay
 */
function addTask(result, position, row, startDay) {
  const raw = (row.CONTENT ?? '').trim()
  const isHeading = /^\*\s/u.test(raw)
  const { title, labels } = readContent(isHeading ? raw.slice(1) : raw)
  const indent = Math.min(Math.max(1, Math.trunc(Number(row.INDENT)) || 1), position.parents.length + 1)
  position.parents.length = indent - 1
  const key = `task-${result.tasks.length + result.headings + 1}`
  /** @type {Task} */
  const task = {
    key,
    title,
    parents: position.parents.map((parent) => parent.title),
    section: position.section,
    labels,
    priority: readPriority(row.PRIORITY ?? '', result),
    indent,
    description: (row.DESCRIPTION ?? '').trim(),
    notes: [],
    due: readDue(row, startDay, result),
    ageDays: simulatedAge(`${key} ${title}`),
  }
  position.parents.push(task)
  position.last = task
  if (isHeading) result.headings += 1
  else result.tasks.push(task)
}

/** @param {Task} task @param {Row} row @param {number} startDay */
function addNote(task, row, startDay) {
  task.notes.push((row.CONTENT ?? '').trim())
  const written = parseDueDate(row.DATE ?? '', startDay)
  // A comment proves that the task was there when it was written.
  if (written.kind === 'once') task.ageDays = Math.max(task.ageDays, startDay - written.due.day)
}

/** The API's priority: 5 − the CSV's. @param {string} cell @param {TodoistExport} result */
function readPriority(cell, result) {
  const text = cell.trim().toLowerCase().replace(/^p/, '')
  if (text === '') return 4
  if (/^[1-4]$/.test(text)) return 5 - Number(text)
  result.unknownPriorities += 1
  return 1
}

/** The earlier of date and deadline. @param {Row} row @param {number} startDay @param {TodoistExport} result @returns {DueDate} */
function readDue(row, startDay, result) {
  const date = readDate(row.DATE ?? row.DUE_DATE ?? '', startDay, result)
  const deadline = readDate(row.DEADLINE ?? '', startDay, result)
  if (deadline.kind !== 'once') return date
  return date.kind === 'recurring' || (date.kind === 'once' && date.due.day <= deadline.due.day) ? date : deadline
}

/** @param {string} cell @param {number} startDay @param {TodoistExport} result */
function readDate(cell, startDay, result) {
  const due = parseDueDate(cell, startDay)
  if (due.kind === 'unknown' && !result.unknownDates.includes(cell.trim())) result.unknownDates.push(cell.trim())
  return due
}
