// @ts-check
// What the API knows of the user's last 30 days; `egreedy-v2` has features for it.

/** @import { ProfileFeatures } from '@oo/bandits' */
/** @import { Decision } from './simulation.mjs' */

const WINDOW_DAYS = 30

/**
 * @param {readonly Decision[]} decisions
 * @param {number} day
 * @returns {ProfileFeatures}
 */
export function profileOf(decisions, day) {
  const recent = decisions.slice(decisions.findLastIndex((decision) => decision.day <= day - WINDOW_DAYS) + 1)
  if (recent.length === 0) return { tipVolume30d: 0 }
  const share = (/** @type {string} */ reaction) => recent.filter((decision) => decision.reaction === reaction).length / recent.length
  return {
    completionRate30d: share('done'),
    dismissRate30d: share('dismiss'),
    meanDwellMs30d: recent.reduce((sum, decision) => sum + decision.dwellMs, 0) / recent.length,
    preferredHour: preferredHour(recent),
    tipVolume30d: recent.length,
  }
}

/** The hour at which most was done, the earliest of equals; null when nothing was. @param {readonly Decision[]} decisions */
function preferredHour(decisions) {
  /** @type {Map<number, number>} */
  const done = new Map()
  for (const { hour, reaction } of decisions) if (reaction === 'done') done.set(hour, (done.get(hour) ?? 0) + 1)
  return [...done].sort(([h1, n1], [h2, n2]) => n2 - n1 || h1 - h2)[0]?.[0] ?? null
}
