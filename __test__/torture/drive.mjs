// @ts-check
// The calls of script.mjs made on an engine in this process, with the oracle looking on.

import { BanditError } from '@oo/bandits'

/** @typedef {import('./oracle.mjs').Oracle} Oracle */

/**
 * Makes the next `count` calls; what is refused is counted by its code.
 * @param {import('@oo/bandits').Bandits} bandits
 * @param {Oracle} oracle
 * @param {Generator<import('./script.mjs').Call, never>} script
 * @param {number} count
 */
export function drive(bandits, oracle, script, count) {
  /** @type {{ [code: string]: number }} */
  const refused = {}
  let scored = 0
  let learned = 0
  for (let i = 0; i < count; i++) {
    const call = script.next().value
    const events = oracle.intend(call)
    try {
      if (call.kind === 'score' || call.kind === 'scoreMany') {
        const results = call.kind === 'score' ? [bandits.score(call.request)] : bandits.scoreMany(call.requests)
        for (const [k, event] of events.entries()) oracle.acknowledge(event, results[k], 0)
        scored++
      } else {
        if (call.kind === 'reward') bandits.reward(call.request)
        else bandits.reset(call.userId)
        oracle.acknowledge(/** @type {import('./oracle.mjs').Event} */ (events[0]))
        // A reset of somebody who is at the start changes nothing, and cannot fail.
        learned += call.kind === 'reward' ? 1 : 0
      }
    } catch (error) {
      if (!(error instanceof BanditError)) throw error
      const what = `${call.kind === 'scoreMany' ? 'score' : call.kind} ${error.code}`
      refused[what] = (refused[what] ?? 0) + 1
      for (const event of events) oracle.refuse(event)
    }
  }
  return { refused, scored, learned }
}

/** Everything that was acknowledged has to be there, pulls included: the engine lives or was closed. @param {Oracle} oracle */
export const nothingLost = (oracle) => oracle.endLife(() => true)
