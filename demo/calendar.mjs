// @ts-check
// Days as plain numbers (days since 1970-01-01), so that nothing depends on the machine's time zone.

const MS_PER_DAY = 86_400_000
const WEEKDAYS = ['Sun', 'Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat']
const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec']

/**
 * The day with this date, or undefined when there is none (31 February).
 * @param {number} year
 * @param {number} month 1–12
 * @param {number} dayOfMonth
 */
export function dayOf(year, month, dayOfMonth) {
  const day = Math.floor(Date.UTC(year, month - 1, dayOfMonth) / MS_PER_DAY)
  const date = dateOf(day)
  return date.year === year && date.month === month && date.dayOfMonth === dayOfMonth ? day : undefined
}

/** @param {number} day */
export function dateOf(day) {
  const date = new Date(day * MS_PER_DAY)
  return { year: date.getUTCFullYear(), month: date.getUTCMonth() + 1, dayOfMonth: date.getUTCDate() }
}

/** 0 (Sunday) to 6, as `Date.getDay()` counts. @param {number} day */
export function weekdayOf(day) {
  return new Date(day * MS_PER_DAY).getUTCDay()
}

/** @param {number} year @param {number} month 1–12 */
export function daysInMonth(year, month) {
  return new Date(Date.UTC(year, month, 0)).getUTCDate()
}

/** @param {string} text `YYYY-MM-DD` @returns {number | undefined} */
export function parseIsoDay(text) {
  const match = /^(\d{4})-(\d{2})-(\d{2})$/.exec(text)
  return match ? dayOf(Number(match[1]), Number(match[2]), Number(match[3])) : undefined
}

/** `Mon 2 Mar`. @param {number} day */
export function dayLabel(day) {
  const { month, dayOfMonth } = dateOf(day)
  return `${WEEKDAYS[weekdayOf(day)]} ${dayOfMonth} ${MONTHS[month - 1]}`
}

/** 1–12 for an English month name or its first three letters, else undefined. @param {string} text */
export function monthNumber(text) {
  return nameIndex(text, ['january', 'february', 'march', 'april', 'may', 'june', 'july', 'august', 'september', 'october', 'november', 'december'], 1)
}

/** 0–6 for an English weekday name or its first letters, else undefined. @param {string} text */
export function weekdayNumber(text) {
  return nameIndex(text, ['sunday', 'monday', 'tuesday', 'wednesday', 'thursday', 'friday', 'saturday'], 0)
}

/** @param {string} text @param {string[]} names @param {number} first */
function nameIndex(text, names, first) {
  const wanted = text.toLowerCase().replace(/\.$/, '')
  const index = wanted.length < 3 ? -1 : names.findIndex((name) => name.startsWith(wanted))
  return index < 0 ? undefined : index + first
}
