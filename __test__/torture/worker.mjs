// @ts-check
// The child that gets killed. It makes the calls of script.mjs and tells its parent, on descriptor 3 and before it goes on, what
// it is about to do and what came of it: writeSync, so that no word overtakes the call that it is about.
//
//   o / O        about to open / opened
//   i            about to make the next call
//   a            it returned
//   s E I S T    it returned, a score: exploring 0 or 1, index, score, time (ms of the monotonic clock that the parent reads, too)
//   D E I S …    it returned, a decision: exploring 0 or 1, then index and score of each policy's choice, in the order of DECIDING
//   r CODE       it was refused with this code: not applied
//   d            it returned, a score of which nothing is remembered: no room in memory, and health() has counted it
//   f N          flush() has resolved that was called when N calls had returned
//   c / C        about to close / closed
//   ! TEXT       what must not happen

import { writeSync } from 'node:fs'
import { setImmediate as nextTurn } from 'node:timers/promises'

import { BanditError, Bandits } from '@oo/bandits'
import { callsOf, userIds } from './script.mjs'

/**
 * @typedef {object} Life
 * @property {string} stateDir
 * @property {number} seed of the calls
 * @property {number} users how many
 * @property {string[]} [names] instead of those of script.mjs
 * @property {import('@oo/bandits').BanditsOptions} [options]
 * @property {number} [calls] ends by itself, with close(), after so many; else only by force
 * @property {boolean} [linger] after its calls it stays, with the engine open, until it is killed
 * @property {number} [burst] calls between two turns of the event loop
 * @property {number} [flushEvery] bursts between two flush()
 * @property {number} [checkpointEvery] bursts between two checkpoint()
 * @property {boolean} [patient] goes on when a checkpoint() is over, not meanwhile
 * @property {number} [restartEvery] bursts between close() and open()
 * @property {import('./script.mjs').Mix} [mix]
 * @property {boolean} [watchDrops] asks health() after each score whether it was dropped; not with scoreMany, where it would not be known which
 */

/** @type {Life} */
const life = JSON.parse(process.argv[2] ?? '{}')
const { stateDir, seed, users, names = userIds(users), options = {}, calls = Infinity, linger = false, burst = 50, flushEvery = 0, checkpointEvery = 0, patient = false, restartEvery = 0, mix, watchDrops = false } = life

/** @param {string} word */
const say = (word) => writeSync(3, `${word}\n`)
const now = () => Number(process.hrtime.bigint()) / 1e6

function open() {
  say('o')
  const engine = Bandits.open({ seed, ...options, stateDir })
  say('O')
  // What it is already; then a file and a line say so.
  if (mix?.recommend) engine.setPolicy('egreedy-v1', { mode: 'active' })
  return engine
}

/** @param {unknown} error */
function refused(error) {
  if (!(error instanceof BanditError)) throw error
  say(`r ${error.code}`)
  return error
}

/** The ids of this process's decisions and when they were made; undefined where one was refused. @type {({ id: string, at: number } | undefined)[]} */
const decided = []

/** @param {Bandits} engine @param {Omit<import('@oo/bandits').ScoreRequest, 'policy'>} request */
function decide(engine, request) {
  // Refused or not, it counts.
  const place = decided.push(undefined) - 1
  const { decisionId, exploring, index, score, shadows } = engine.recommend(request)
  decided[place] = { id: decisionId, at: Date.now() }
  const ids = /** @type {import('@oo/bandits').Candidate[]} */ (request.candidates).map(({ id }) => id)
  return `D ${exploring ? 1 : 0} ${index} ${score} ${shadows.map((shadow) => `${ids.indexOf(shadow.tipId)} ${shadow.score}`).join(' ')}`
}

/** Makes a call. @param {Bandits} engine @param {import('./script.mjs').Call} call @returns {string[]} what is to be said of it */
function make(engine, call) {
  if (call.kind === 'recommend') return [decide(engine, call.request)]
  if (call.kind === 'score' || call.kind === 'scoreMany') {
    const results = call.kind === 'score' ? [engine.score(call.request)] : engine.scoreMany(call.requests)
    return results.map(({ exploring, index, score }) => `s ${exploring ? 1 : 0} ${index} ${score} ${now()}`)
  }
  if (call.kind === 'reward') engine.reward(call.request)
  else if (call.kind === 'reset') engine.reset(call.userId)
  else {
    const { id, at } = decided[call.decision] ?? { id: 'none', at: 0 }
    engine.feedback({ decisionId: id, reward: call.reward, at: at + call.at })
  }
  return ['a']
}

async function main() {
  let engine = open()
  let returned = 0
  let dropped = 0
  const isDropped = () => watchDrops && dropped !== (dropped = engine.health().log.droppedPulls)
  const script = callsOf({ seed, users: names, ...(mix && { mix }) })
  for (let round = 1; returned < calls; round++) {
    for (let i = 0; i < burst && returned < calls; i++) {
      const call = script.next().value
      say('i')
      try {
        const words = make(engine, call)
        if (words[0]?.startsWith('s') && isDropped()) say('d')
        else words.forEach(say)
      } catch (error) {
        // Writing is behind: what it waits for is the disk.
        if (refused(error).code === 'ERR_BACKPRESSURE') await engine.flush()
      }
      returned++
    }
    const flushed = returned
    if (flushEvery > 0 && round % flushEvery === 0) void engine.flush().then(() => say(`f ${flushed}`), refused)
    if (checkpointEvery > 0 && round % checkpointEvery === 0) {
      const saved = engine.checkpoint().then(() => say(`f ${flushed}`), refused)
      if (patient) await saved
    }
    if (restartEvery > 0 && round % restartEvery === 0) {
      say('c')
      await engine.close()
      say('C')
      engine = open()
      dropped = 0
    }
    await nextTurn()
  }
  if (linger) {
    setInterval(() => engine.health(), 1000)
    return
  }
  say('c')
  await engine.close()
  say('C')
}

try {
  await main()
} catch (error) {
  say(`! ${error instanceof Error ? `${/** @type {any} */ (error).code ?? ''} ${error.stack}` : String(error)}`.replaceAll('\n', ' | '))
  process.exitCode = 1
}
