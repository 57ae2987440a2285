// @ts-check
// Eight worker threads share one engine that keeps few users in memory, so that each user is evicted time and again by somebody
// else's calls. Nothing is lost, nothing is learned twice, and the log's order gives the files to the last bit.

import assert from 'node:assert/strict'
import { join } from 'node:path'

import { Bandits } from '@oo/bandits'
import { random } from '../bench/workload.mjs'
import { startWorker } from '../support/worker.mjs'
import { keyOf, putTogether, readStateFiles } from './directory.mjs'
import { POLICIES } from './features.mjs'
import { brokenRules, readLog } from './log-reader.mjs'
import { quickPlace, withScratch } from './scratch.mjs'
import { difference, solves, start } from './standing.mjs'

const USERS = 200
const HOT = 16

/** Whole numbers, so that their sum is the same in any order. @param {number} i */
const valueOf = (i) => 1 + (i % 7)

/** @param {{ threads?: number, rewards: number, seed: number }} settings rewards of each thread */
export const sharedEngine = ({ threads = 8, rewards, seed }) => withScratch(async (scratch) => {
  const stateDir = join(scratch, 'state')
  const bandits = Bandits.open({ stateDir, seed: 1, maxHotUsers: HOT })
  // Each draws from its own seed what this draws again below.
  const script = `
    const { random } = await import(workerData.workload)
    const engine = Bandits.open({ stateDir, seed: 1, maxHotUsers: workerData.hot })
    const policies = ['linucb-v1', 'egreedy-v1', 'egreedy-v2']
    say('ready')
    await heard('go')
    const rng = random(workerData.seed)
    for (let i = 0; i < workerData.rewards; i++) {
      const userId = 'u' + Math.floor(rng() * workerData.users)
      const policy = policies[Math.floor(rng() * 3)]
      for (;;) {
        try {
          engine.reward({ userId, tipId: 't', reward: 1 + (i % 7), features: { priority: 1 + (i % 4), hourOfDay: i % 24 }, policy })
          break
        } catch (error) {
          // All that are in memory wait to be written.
          if (error.code !== 'ERR_BACKPRESSURE') throw error
          await engine.checkpoint()
        }
      }
      if (i % 3 === 0) engine.score({ userId, candidates: [{ id: 'a' }, { id: 'b', features: { isOverdue: true } }], policy })
      if (i % 500 === 0) await engine.flush()
    }
    await engine.close()
    say('done')
    process.exit()`
  const workload = new URL('../bench/workload.mjs', import.meta.url).href
  const workers = Array.from({ length: threads }, (_, k) => startWorker(script, { stateDir, workload, seed: seed + k, users: USERS, rewards, hot: HOT }))
  await Promise.all(workers.map((worker) => worker.said()))
  const finished = workers.map((worker) => worker.said())
  for (const worker of workers) worker.say('go')
  assert.deepEqual(await Promise.all(finished), workers.map(() => 'done'))
  const { users: hot, log: { droppedPulls } } = /** @type {any} */ (bandits.health())
  await bandits.close()

  /** @type {Map<string, { rewards: number, sum: number, pulls: number }>} */
  const expected = new Map()
  for (let k = 0; k < threads; k++) {
    const rng = random(seed + k)
    for (let i = 0; i < rewards; i++) {
      const key = keyOf(`u${Math.floor(rng() * USERS)}`, /** @type {string} */ (POLICIES[Math.floor(rng() * 3)]))
      const { rewards: before, sum, pulls } = expected.get(key) ?? { rewards: 0, sum: 0, pulls: 0 }
      expected.set(key, { rewards: before + 1, sum: sum + valueOf(i), pulls: pulls + (i % 3 === 0 ? 1 : 0) })
    }
  }
  const files = readStateFiles(stateDir)
  const lines = readLog(join(stateDir, 'log'))
  assert.deepEqual(brokenRules(lines).slice(0, 5), [])
  const { standings } = putTogether(new Map(), lines, [0, 0])
  const again = Bandits.open({ stateDir, seed: 1, maxHotUsers: HOT })
  let missing = 0
  for (const [key, { rewards: count, sum, pulls }] of expected) {
    const file = files.get(key)
    assert.ok(file, `no file of ${key}`)
    assert.deepEqual([file.standing.rewards, file.standing.sum], [count, sum], key)
    // A user for whom there was no room was scored and not counted, which health() counts.
    assert.ok(file.standing.pulls <= pulls, key)
    missing += pulls - file.standing.pulls
    assert.equal(difference(file.standing, standings.get(key) ?? start(file.policy)), undefined, `${key}: the file against the log`)
    const { theta, rewardCount } = again.stats(file.userId, file.policy)
    assert.ok(rewardCount === count && solves(theta, file.standing), key)
  }
  assert.equal(files.size, expected.size)
  assert.equal(missing, droppedPulls, 'pulls that nobody counts')
  assert.ok(again.health().users <= 4 * HOT && hot <= 4 * HOT, `${hot} users in memory where ${HOT} were allowed`)
  await again.close()
  return { threads, rewards: threads * rewards, users: USERS, hot: HOT, usersInMemory: hot, droppedPulls, seed }
}, quickPlace())
