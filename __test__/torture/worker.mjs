// @ts-check
// The child that gets killed. It makes the calls of script.mjs and tells its parent, on descriptor 3 and before it goes on, what
// it is about to do and what came of it: writeSync, so that no word overtakes the call that it is about.
//
//   o / O        about to open / opened
//   i            about to make the next call
//   a            it returned
//   s E I S T    it returned, a score: exploring 0 or 1, index, score, time (ms of the monotonic clock that the parent reads, too)
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
 * @property {number} [restartEvery] bursts between close() and open()
 * @property {import('./script.mjs').Mix} [mix]
 * @property {boolean} [watchDrops] asks health() after each score whether it was dropped; not with scoreMany, where it would not be known which
 */

/** @type {Life} */
const life = JSON.parse(process.argv[2] ?? '{}')
const { stateDir, seed, users, names = userIds(users), options = {}, calls = Infinity, linger = false, burst = 50, flushEvery = 0, checkpointEvery = 0, restartEvery = 0, mix, watchDrops = false } = life

/** @param {string} word */
const say = (word) => writeSync(3, `${word}\n`)
const now = () => Number(process.hrtime.bigint()) / 1e6

function open() {
  say('o')
  const engine = Bandits.open({ seed, ...options, stateDir })
  say('O')
  return engine
}

/** @param {unknown} error */
function refused(error) {
  if (!(error instanceof BanditError)) throw error
  say(`r ${error.code}`)
  return error
}

/** @param {Bandits} engine @param {import('./script.mjs').Call} call */
function make(engine, call) {
  if (call.kind === 'reward') engine.reward(call.request)
  else if (call.kind === 'reset') engine.reset(call.userId)
  else return call.kind === 'score' ? [engine.score(call.request)] : engine.scoreMany(call.requests)
  return []
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
        const results = make(engine, call)
        if (results.length === 0) say('a')
        else if (isDropped()) say('d')
        else for (const { exploring, index, score } of results) say(`s ${exploring ? 1 : 0} ${index} ${score} ${now()}`)
      } catch (error) {
        // Writing is behind: what it waits for is the disk.
        if (refused(error).code === 'ERR_BACKPRESSURE') await engine.flush()
      }
      returned++
    }
    const flushed = returned
    if (flushEvery > 0 && round % flushEvery === 0) void engine.flush().then(() => say(`f ${flushed}`), refused)
    if (checkpointEvery > 0 && round % checkpointEvery === 0) void engine.checkpoint().then(() => say(`f ${flushed}`), refused)
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
