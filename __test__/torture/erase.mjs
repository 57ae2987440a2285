// @ts-check
// kill -9, or a power cut, of a child that erases people: who was erased is in no file, not even in part; who was being erased is
// gone after the next open() or still there whole; everybody else is as before.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

import { Bandits } from '@oo/bandits'
import { random } from '../bench/workload.mjs'
import { spin } from './child.mjs'
import { PowerSupply } from './mounts.mjs'
import { withScratch } from './scratch.mjs'

const WORKER = fileURLToPath(new URL('erase-worker.mjs', import.meta.url))
const PEOPLE = 60
/** What reward() acknowledged so long before a power cut is there, whatever is erased: synced once a second, and a sync takes time. */
const SURELY_SYNCED_MS = 2000

/** @param {{ cycles: number, seed: number }} settings */
export const eraseUnderKill = ({ cycles, seed }) => withScratch((scratch) => eraseTorture({ cycles, seed, stateDir: join(scratch, 'state'), end: async (child) => { child.kill('SIGKILL') } }))

/**
 * What only reward() acknowledged may be missing then, but of the last second alone. With `megabytes` the log has so many before anybody
 * is erased, which makes erasures last, and each life goes on for some seconds.
 * @param {{ cycles: number, seed: number, megabytes?: number }} settings
 */
export const eraseUnderPowerCut = ({ cycles, seed, megabytes = 0 }) => withScratch(async (scratch) => {
  const supply = await PowerSupply.plug(scratch, 256 + 4 * megabytes)
  try {
    return await eraseTorture({
      cycles, seed, megabytes, stateDir: join(supply.mountPoint, 'state'), isPowerCut: true,
      end: async (child, ended) => {
        await supply.cut()
        child.kill('SIGKILL')
        await ended
        supply.unmount()
        supply.mount()
      },
    })
  } finally {
    await supply.unplug()
  }
})

/**
 * @param {{ cycles: number, seed: number, stateDir: string, megabytes?: number, isPowerCut?: boolean, end: (child: import('node:child_process').ChildProcess, ended: Promise<unknown>) => Promise<void> }} settings
 */
async function eraseTorture({ cycles, seed, stateDir, megabytes = 0, isPowerCut = false, end }) {
  const rng = random(seed)
  /** @type {Map<string, number>} rewards of each since erased */
  const rewards = new Map()
  const tally = { cycles: 0, erased: 0, underWay: 0, completedByOpen: 0, surelySynced: 0, seed }
  for (; tally.cycles < cycles; tally.cycles++) {
    const life = JSON.stringify({ stateDir, seed: seed + tally.cycles, life: tally.cycles, people: PEOPLE, megabytes })
    const child = spawn(process.execPath, [WORKER, life], { stdio: ['ignore', 'inherit', 'inherit', 'pipe'] })
    const ended = once(child, 'close')
    /** @type {Set<string>} */
    const underWay = new Set()
    /** @type {Map<string, { before: number, at: number[] }>} rewards from before this life, and when those of it were said */
    const said = new Map([...rewards].map(([userId, before]) => [userId, { before, at: [] }]))
    let words = 0
    let rest = ''
    let isOver = false
    /** @type {string | undefined} */
    let failure
    const enough = 10 + Math.floor(rng() * 400)
    const until = performance.now() + (megabytes > 0 ? 3000 + rng() * 4000 : 0)
    /** @type {() => void} */
    let onEnough = () => {}
    const reached = new Promise((resolve) => { onEnough = () => resolve(undefined) })
    const pipe = /** @type {import('node:stream').Readable} */ (child.stdio[3])
    pipe.setEncoding('utf8').on('data', (/** @type {string} */ text) => {
      const lines = (rest + text).split('\n')
      rest = lines.pop() ?? ''
      for (const line of lines) {
        const userId = line.slice(2)
        words++
        if (line[0] === '+') {
          rewards.set(userId, (rewards.get(userId) ?? 0) + 1)
          const known = said.get(userId) ?? { before: 0, at: [] }
          said.set(userId, { ...known, at: [...known.at, performance.now()] })
        }
        else if (line[0] === 'e') underWay.add(userId)
        else if (line[0] === '!') failure = line
        // After a cut of the power nothing is on disk any more, whatever is said.
        else if (!isOver) {
          underWay.delete(userId)
          rewards.delete(userId)
          said.delete(userId)
          tally.erased++
        }
      }
      if (words >= enough && performance.now() >= until) onEnough()
    })
    await Promise.race([reached, ended])
    spin(rng() * 3)
    isOver = isPowerCut
    const cutAt = performance.now()
    await end(child, ended)
    await ended
    if (failure !== undefined && !isPowerCut) throw new Error(`cycle ${tally.cycles}: ${failure}`)
    tally.underWay += underWay.size

    const at = `cycle ${tally.cycles}, seed ${seed}`
    const known = new Set(rewards.keys())
    for (let i = 0; i < PEOPLE; i++) {
      const userId = `person-${i}`
      if (!known.has(userId) && !underWay.has(userId)) assertNowhere(stateDir, userId, `${at}, before open()`)
    }
    let bandits = Bandits.open({ stateDir, seed: 1 })
    await bandits.checkpoint()
    // An erasure that goes on at open() is done when the engine is closed.
    await bandits.close()
    bandits = Bandits.open({ stateDir, seed: 1 })
    for (let i = 0; i < PEOPLE; i++) {
      const userId = `person-${i}`
      const { rewardCount } = bandits.stats(userId)
      const expected = rewards.get(userId) ?? 0
      const isGone = rewardCount === 0 && bandits.features(userId).history.length === 0
      // One reward may be in flight; a power cut may take those since the last sync.
      const isWhole = isPowerCut ? rewardCount <= expected + 1 : rewardCount === expected || rewardCount === expected + 1
      const { before, at: times } = said.get(userId) ?? { before: 0, at: [] }
      const surely = before + times.filter((time) => time < cutAt - SURELY_SYNCED_MS).length
      tally.surelySynced += surely - before
      if (isPowerCut && !underWay.has(userId) && rewardCount < surely) throw new Error(`${at}: ${userId} has ${rewardCount} rewards, and ${surely} were acknowledged ${SURELY_SYNCED_MS} ms before the power was cut`)
      if (underWay.has(userId) && isGone) tally.completedByOpen++
      else if (!isWhole) throw new Error(`${at}: ${userId} has ${rewardCount} rewards instead of ${expected}${underWay.has(userId) ? ' or, being erased, none' : ''}`)
      if (rewardCount > 0) rewards.set(userId, rewardCount)
      else rewards.delete(userId)
      if (rewardCount === 0 && expected > 0 && underWay.has(userId)) assertNowhere(stateDir, userId, `${at}, after open()`)
    }
    await bandits.close()
  }
  return tally
}

/** @param {string} stateDir @param {string} userId @param {string} at */
function assertNowhere(stateDir, userId, at) {
  if (!existsSync(stateDir)) return
  for (const name of /** @type {string[]} */ (readdirSync(stateDir, { recursive: true }))) {
    const path = join(stateDir, name)
    if (!statSync(path).isFile()) continue
    const text = readFileSync(path, 'utf8')
    for (const trace of [`"${userId}"`, `"seen-by-${userId}"`]) if (text.includes(trace)) throw new Error(`${at}: ${trace} is in ${name}: ${text.slice(Math.max(0, text.indexOf(trace) - 80), text.indexOf(trace) + 80)}`)
  }
}
