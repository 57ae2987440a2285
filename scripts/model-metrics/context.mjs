// @ts-check
// What the hour, the day and the profile do to the ranking: the same decision asked again under every other hour and day, and
// under other profiles.
import { bestIndex } from './engine.mjs'
import { play } from './play.mjs'
import { ratioOf, sum } from './statistics.mjs'

/** @import { Bandits, ProfileFeatures } from '@oo/bandits' */
/** @import { Person } from './population.mjs' */

/** After so many rewards the question is put. */
const PROBED = [5, 20, 100]
export const HOURS_OF_WEEK = 24 * 7
const CONTEXTS = Array.from({ length: HOURS_OF_WEEK }, (_context, i) => ({ hourOfDay: i % 24, dayOfWeek: Math.floor(i / 24) }))
/** Nothing known, nothing done, everything at its most. @type {(ProfileFeatures | null)[]} */
const PROFILES = [
  null,
  { completionRate30d: 0, dismissRate30d: 0, meanDwellMs30d: 0, preferredHour: 0, tipVolume30d: 0 },
  { completionRate30d: 1, dismissRate30d: 1, meanDwellMs30d: 600_000, preferredHour: 12, tipVolume30d: 100 },
]

/**
 * What was asked after so many rewards: of how many decisions; how many had another best task in some context, or under some
 * profile; and how many pairs of decision and context had.
 * @typedef {{ rewards: number, decisions: number, byContext: number, contexts: number, byProfile: number }} Probe
 */

/** @param {Bandits} bandits @param {readonly Person[]} people with more decisions than are probed @returns {Probe[]} */
export function probe(bandits, people) {
  const probes = PROBED.map((rewards) => ({ rewards, decisions: 0, byContext: 0, contexts: 0, byProfile: 0 }))
  for (const person of people) {
    play(bandits, person, {
      before: (moment, turn, profileFeatures) => {
        const found = probes.find(({ rewards }) => rewards === turn)
        if (found === undefined) return
        const candidates = bandits.prepare(moment.candidates)
        const request = { userId: person.id, candidates, context: { hourOfDay: moment.hour, dayOfWeek: moment.dayOfWeek }, profileFeatures }
        const best = bestIndex(bandits, request)
        const others = CONTEXTS.filter((context) => bestIndex(bandits, { ...request, context }) !== best).length
        found.decisions += 1
        found.byContext += Number(others > 0)
        found.contexts += others
        found.byProfile += Number(PROFILES.some((profile) => bestIndex(bandits, { ...request, profileFeatures: profile }) !== best))
      },
    })
  }
  return probes
}

/** @param {readonly Probe[][]} worlds */
export function summarise(worlds) {
  return PROBED.map((rewards, i) => {
    const probes = worlds.flatMap((world) => world[i] ?? [])
    const share = (/** @type {(probe: Probe) => number} */ part, each = 1) => ratioOf(probes.map((one) => ({ part: part(one), whole: one.decisions * each })))
    return {
      rewards,
      decisions: sum(probes.map(({ decisions }) => decisions)),
      byContext: share(({ byContext }) => byContext),
      contexts: share(({ contexts }) => contexts, CONTEXTS.length - 1),
      byProfile: share(({ byProfile }) => byProfile),
    }
  })
}
