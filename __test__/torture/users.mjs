// @ts-check
// Many users through a small hot set: memory stays flat, and everybody is there afterwards.

import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setImmediate as nextTurn } from 'node:timers/promises'

import { Bandits } from '@oo/bandits'
import { withScratch } from './scratch.mjs'

const POINTS = 20
/** What may come on top after the first fifth, of what was there by then: caches of the allocator, not users. */
const ALLOWED_GROWTH = 1.25
const ALLOWED_MIB = 24

function residentMiB() {
  try {
    const pages = /VmRSS:\s+(\d+) kB/.exec(readFileSync('/proc/self/status', 'utf8'))?.[1]
    return Number(pages) / 1024
  } catch {
    return process.memoryUsage.rss() / (1 << 20)
  }
}

/**
 * @param {{ users: number, hot?: number, onPoint?: (line: string) => void, under?: string }} settings
 */
export const manyUsers = ({ users, hot, onPoint, under }) => withScratch(async (scratch) => {
  const stateDir = join(scratch, 'state')
  const began = performance.now()
  let bandits = Bandits.open({ stateDir, seed: 1, historySize: 5, ...(hot !== undefined && { maxHotUsers: hot }) })
  /** @type {number[]} */
  const curve = []
  const step = Math.ceil(users / POINTS)
  let slowest = 0
  for (let i = 0; i < users; i++) {
    const userId = `person-${i}`
    bandits.score({ userId, candidates: [{ id: 'a' }, { id: 'b', features: { isOverdue: true, priority: 3 } }] })
    const before = performance.now()
    for (;;) {
      try {
        bandits.reward({ userId, tipId: 'b', reward: 1 + (i % 5), features: { isOverdue: true, priority: 3, hourOfDay: i % 24 } })
        break
      } catch (error) {
        if (/** @type {any} */ (error).code !== 'ERR_BACKPRESSURE') throw error
        await bandits.flush()
      }
    }
    slowest = Math.max(slowest, performance.now() - before)
    if (i % 100 === 99) await nextTurn()
    if ((i + 1) % step === 0 || i + 1 === users) {
      curve.push(residentMiB())
      const { users: inMemory, writer } = bandits.health()
      onPoint?.(`${i + 1} users: RSS ${residentMiB().toFixed(0)} MiB, ${inMemory} in memory, ${writer.dirtyUsers} dirty, ${((performance.now() - began) / 1000).toFixed(1)} s`)
    }
  }
  const { evictedUsers, log: { droppedPulls } } = /** @type {any} */ (bandits.health())
  await bandits.close()
  const filledMs = performance.now() - began
  const opening = performance.now()
  bandits = Bandits.open({ stateDir, seed: 1, historySize: 5, ...(hot !== undefined && { maxHotUsers: hot }) })
  const openMs = performance.now() - opening
  let counted = 0
  for (let i = 0; i < users; i++) {
    const { rewardCount, cumulativeReward, pulls } = bandits.stats(`person-${i}`)
    if (rewardCount !== 1 || cumulativeReward !== 1 + (i % 5) || pulls > 1) assert.fail(`person-${i}: ${rewardCount} rewards of ${cumulativeReward}, ${pulls} pulls`)
    counted += pulls
  }
  // Whoever came while everybody in memory waited to be written was scored, and that is counted instead.
  assert.equal(counted + droppedPulls, users)
  const afterReading = residentMiB()
  await bandits.close()
  assert.equal(readdirSync(stateDir).filter((name) => name.endsWith('.json')).length, users)
  if (hot !== undefined && hot <= users / 5) {
    // The hot set, which may be a quarter over, and what waits to be written have to be full once; from there on nothing may grow.
    const full = curve.findIndex((_rss, i) => (i + 1) * step >= Math.max(2 * hot, users / 5))
    const base = /** @type {number} */ (curve[full])
    const highest = Math.max(...curve.slice(full), afterReading)
    assert.ok(highest <= Math.max(ALLOWED_GROWTH * base, base + ALLOWED_MIB), `RSS grew from ${base.toFixed(0)} to ${highest.toFixed(0)} MiB: ${curve.map(Math.round)}`)
  }
  return { users, hot, evictedUsers, droppedPulls, rssMiB: curve.map(Math.round), afterReadingMiB: Math.round(afterReading), fillSeconds: Math.round(filledMs / 1000), openMs: Math.round(openMs), slowestRewardMs: Math.round(slowest) }
}, under)
