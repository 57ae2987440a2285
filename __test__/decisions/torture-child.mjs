// @ts-check
// The child that torture.mjs kills. It makes the calls that it was given and tells its parent, on descriptor 3 and before it goes
// on, what it is about to do and what came of it: writeSync, so that no word overtakes the call that it is about.
//
//   o / O        about to open / opened
//   i            about to make the next call
//   d ID I P,… T it returned, a decision: its id, the place of what is shown, the policies that chose, when it was made
//   f A R P,…    it returned, a reaction: applied and revision as 0 or 1, the policies that learn
//   a            it returned, anything else
//   r CODE       it was refused with this code: not applied
//   e N          so many users have left memory in this life
//   C            closed
//   ! TEXT       what must not happen

import { readFileSync, writeSync } from 'node:fs'
import { setImmediate as nextTurn } from 'node:timers/promises'

import { BanditError, Bandits } from '@oo/bandits'

/** @typedef {import('./torture-calls.mjs').Call} Call */
/** @typedef {{ stateDir: string, options: import('@oo/bandits').BanditsOptions, calls: Call[], decided: Record<number, { id: string, at: number }>, close: boolean }} Life */

/** Calls between two turns of the event loop. */
const BURST = 25

/** @type {Life} */
const { stateDir, options, calls, decided, close } = JSON.parse(readFileSync(String(process.argv[2]), 'utf8'))

/** @param {string} word */
const say = (word) => writeSync(3, `${word}\n`)

/** @param {Bandits} engine @param {Call} call */
async function make(engine, call) {
  if (call.kind === 'recommend') {
    const { decisionId, index, policy, shadows } = engine.recommend(call.request)
    const at = Date.now()
    decided[call.slot] = { id: decisionId, at }
    return `d ${decisionId} ${index} ${[policy, ...shadows.map((shadow) => shadow.policy)]} ${at}`
  }
  if (call.kind === 'feedback') {
    const decision = decided[call.slot]
    if (decision === undefined) return 'r NEVER'
    const { applied, revision, policies } = engine.feedback({ decisionId: decision.id, reward: call.reward, at: decision.at + call.at })
    return `f ${Number(applied)} ${Number(revision)} ${policies}`
  }
  if (call.kind === 'reset') engine.reset(call.userId)
  else if (call.kind === 'setPolicy') engine.setPolicy(call.policy, call.change)
  else await engine.checkpoint()
  return 'a'
}

async function main() {
  say('o')
  const engine = Bandits.open({ ...options, stateDir })
  say('O')
  for (const [i, call] of calls.entries()) {
    say('i')
    let answer
    try {
      answer = await make(engine, call)
    } catch (error) {
      if (!(error instanceof BanditError)) throw error
      answer = `r ${error.code}`
    }
    say(answer)
    // Writing is behind: what it waits for is the disk.
    if (answer === 'r ERR_BACKPRESSURE') await engine.checkpoint()
    if (i % BURST === 0) {
      say(`e ${engine.health().evictedUsers}`)
      await nextTurn()
    }
  }
  if (close) {
    await engine.close()
    say('C')
  } else {
    // Stays until it is killed.
    setInterval(() => engine.health(), 1000)
  }
}

try {
  await main()
} catch (error) {
  say(`! ${error instanceof Error ? `${/** @type {any} */ (error).code ?? ''} ${error.stack}` : String(error)}`.replaceAll('\n', ' | '))
  process.exitCode = 1
}
