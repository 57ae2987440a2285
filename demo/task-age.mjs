// @ts-check
// When a task was made is not in the export, so the demo makes it up: 0 to 40 days before the first day, young ones more
// often than old ones, derived from the task alone, so that the same export always gets the same ages under every seed.
import { draw } from './draw.mjs'

const OLDEST_DAYS = 40

/** @param {string} identity of the task @returns {number} whole days */
export function simulatedAge(identity) {
  return Math.floor((OLDEST_DAYS + 1) * draw('age', identity) ** 2)
}
