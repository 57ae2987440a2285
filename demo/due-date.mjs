// @ts-check
// Todoist's DATE and DEADLINE cells. An export holds what the user typed, so only the plain forms are understood: ISO dates,
// "12 Jan", "Nov 3 2026 @ 18:00", "tomorrow at 9am", "monday", "in 3 days", and the usual "every …". Everything else is
// `unknown`, which counts as never overdue: a wrong guess would teach the bandit something false. "03/11/2026" is unknown
// as well, as nothing says whether the day or the month comes first.
import { dateOf, dayOf, daysInMonth, monthNumber, weekdayNumber, weekdayOf } from './calendar.mjs'

/**
 * @typedef {{ day: number, hour: number | null }} Due `hour` is null for a whole day.
 * @typedef {(day: number) => number} Recurrence the first occurrence after `day`
 * @typedef {{ kind: 'none' } | { kind: 'unknown' } | { kind: 'once', due: Due } | { kind: 'recurring', due: Due, next: Recurrence }} DueDate
 */

const SHORT_FORMS = new Map([['daily', 'day'], ['weekly', 'week'], ['monthly', 'month'], ['yearly', 'year']])

/**
 * @param {string} text the cell
 * @param {number} today the day on which relative words are read
 * @returns {DueDate}
 */
export function parseDueDate(text, today) {
  const { date, hour } = splitTime(text.trim().toLowerCase().replace(/\s+/g, ' '))
  if (date === '') return hour === null ? { kind: 'none' } : { kind: 'once', due: { day: today, hour } }
  const rule = parseRecurrence(date, today)
  if (rule) return { kind: 'recurring', due: { day: rule.first, hour }, next: rule.next }
  const day = parseDay(date, today)
  return day === undefined ? { kind: 'unknown' } : { kind: 'once', due: { day, hour } }
}

/** Cuts off "@ 18:00", "at 9am", "T18:00:00Z", "18:00". @param {string} text @returns {{ date: string, hour: number | null }} */
function splitTime(text) {
  const match =
    /^(?<date>.*?)(?:\s*(?:@|\bat)\s*|\s+|t|^)(?<hour>\d{1,2})(?::(?<minute>\d{2})(?::\d{2}(?:\.\d+)?)?)?\s*(?<half>am|pm)?z?$/.exec(text)
  const groups = match?.groups
  if (!match || !groups) return { date: text, hour: null }
  // A bare number is a time only after "@" or "at": in "jan 4" or "every 15" it is a day.
  const isTime = groups.minute !== undefined || groups.half !== undefined || /(?:@|\bat)\s*\d{1,2}$/.test(text)
  const hour = Number(groups.hour)
  if (!isTime || hour > (groups.half ? 12 : 23)) return { date: text, hour: null }
  const date = (groups.date ?? '').trim().replace(/,$/, '')
  if (groups.half) return { date, hour: (hour % 12) + (groups.half === 'pm' ? 12 : 0) }
  return { date, hour }
}

/** @param {string} text @param {number} today @returns {number | undefined} */
function parseDay(text, today) {
  if (text === 'today' || text === 'tod') return today
  if (text === 'tomorrow' || text === 'tom') return today + 1
  if (text === 'yesterday') return today - 1
  if (text === 'next week') return nextWeekday([1])(today)
  const inDays = /^in (\d{1,3}) (day|week)s?$/.exec(text)
  if (inDays) return today + Number(inDays[1]) * (inDays[2] === 'week' ? 7 : 1)
  const weekday = weekdayNumber(text.replace(/^(?:next|this) /, ''))
  if (weekday !== undefined) return nextWeekday([weekday])(text.startsWith('this') ? today - 1 : today)
  return parseDate(text, today)
}

/** ISO, or a day and a month name in either order with or without a year. @param {string} text @param {number} today */
function parseDate(text, today) {
  const iso = /^(\d{4})-(\d{2})-(\d{2})$/.exec(text)
  if (iso) return dayOf(Number(iso[1]), Number(iso[2]), Number(iso[3]))
  const words = text.replace(/,/g, ' ').split(' ').filter(Boolean)
  const year = words.length === 3 && /^\d{4}$/.test(words[2] ?? '') ? Number(words.pop()) : undefined
  if (words.length !== 2) return undefined
  const [first = '', second = ''] = words
  const month = monthNumber(first) ?? monthNumber(second)
  const dayOfMonth = Number(/^(\d{1,2})(?:st|nd|rd|th|\.)?$/.exec(monthNumber(first) === undefined ? first : second)?.[1])
  if (month === undefined || Number.isNaN(dayOfMonth)) return undefined
  return year === undefined ? nearest(month, dayOfMonth, today) : dayOf(year, month, dayOfMonth)
}

/** Todoist leaves the year out where it seems obvious: take the one nearest to today. @param {number} month @param {number} dayOfMonth @param {number} today */
function nearest(month, dayOfMonth, today) {
  const { year } = dateOf(today)
  const days = [year - 1, year, year + 1].map((y) => dayOf(y, month, dayOfMonth)).filter((day) => day !== undefined)
  return days.sort((a, b) => Math.abs(a - today) - Math.abs(b - today))[0]
}

/**
 * Exports leave out when a recurrence started, so Todoist's own importer starts it at the first fitting day from today; so do we.
 * @param {string} text @param {number} today @returns {{ first: number, next: Recurrence } | undefined}
 */
function parseRecurrence(text, today) {
  const what = SHORT_FORMS.get(text) ?? /^(?:every!?|ev!?) (.+)$/.exec(text)?.[1]
  if (what === undefined) return undefined
  const interval = /^(?:(\d{1,3}|other) )?(day|week|month|year)s?$/.exec(what)
  if (interval) {
    const every = interval[1] === undefined ? 1 : interval[1] === 'other' ? 2 : Math.max(1, Number(interval[1]))
    return { first: today, next: afterInterval(every, interval[2] ?? 'day') }
  }
  const next = nextOfKind(what)
  return next && { first: next(today - 1), next }
}

/** @param {string} what @returns {Recurrence | undefined} */
function nextOfKind(what) {
  if (what === 'weekday' || what === 'workday') return nextWeekday([1, 2, 3, 4, 5])
  if (what === 'weekend') return nextWeekday([6])
  const weekdays = what.split(/,| and | /).filter(Boolean).map(weekdayNumber)
  if (weekdays.length > 0 && weekdays.every((day) => day !== undefined)) return nextWeekday(weekdays)
  const monthDay = Number(/^(\d{1,2})(?:st|nd|rd|th)?$/.exec(what)?.[1])
  if (monthDay >= 1 && monthDay <= 31) return nextMonthDay(monthDay)
  return undefined
}

/** @param {number} every @param {string} unit @returns {Recurrence} */
function afterInterval(every, unit) {
  if (unit === 'day' || unit === 'week') return (day) => day + every * (unit === 'week' ? 7 : 1)
  const months = every * (unit === 'year' ? 12 : 1)
  return (day) => {
    const { year, month, dayOfMonth } = dateOf(day)
    return clampedDay(year, month + months, dayOfMonth)
  }
}

/** @param {number[]} weekdays @returns {Recurrence} */
function nextWeekday(weekdays) {
  return (day) => {
    let next = day + 1
    while (!weekdays.includes(weekdayOf(next))) next += 1
    return next
  }
}

/** @param {number} monthDay @returns {Recurrence} */
function nextMonthDay(monthDay) {
  return (day) => {
    const { year, month } = dateOf(day)
    const thisMonth = clampedDay(year, month, monthDay)
    return thisMonth > day ? thisMonth : clampedDay(year, month + 1, monthDay)
  }
}

/** The 31st of a month of 30 days is its 30th. @param {number} year @param {number} month may exceed 12 @param {number} dayOfMonth */
function clampedDay(year, month, dayOfMonth) {
  const realYear = year + Math.floor((month - 1) / 12)
  const realMonth = ((month - 1) % 12) + 1
  const day = dayOf(realYear, realMonth, Math.min(dayOfMonth, daysInMonth(realYear, realMonth)))
  if (day === undefined) throw new RangeError(`no such day: ${realYear}-${realMonth}-${dayOfMonth}`)
  return day
}
