// @ts-check
// Old segments of the interaction log: removed once they are old or the log is large, and never before the state files have all.

import assert from 'node:assert/strict'
import { rmSync, statSync, utimesSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'

import { killed, killedUnmarked } from './support/killed.mjs'
import { eventsIn, segmentsIn } from './support/log-lines.mjs'
import { rewardOnce } from './support/standing.mjs'
import { emptyDirectory, namesIn, openEngine } from './support/state-dir.mjs'

const DAY_S = 24 * 3600

/**
 * One start with one reward; the log's thread has looked after its segments when it ends.
 * @param {import('./support/state-dir.mjs').TestContext} t
 * @param {import('@oo/bandits').BanditsOptions} options
 */
async function startOnce(t, options) {
  const bandits = openEngine(t, options)
  rewardOnce(bandits, 'u')
  await bandits.flush()
  await bandits.close()
}

/** @param {string} stateDir */
const epochs = (stateDir) => segmentsIn(stateDir).map((name) => Number(name.split('-')[0]))

test('by age: those last written to so many days ago', async (t) => {
  const stateDir = emptyDirectory(t)
  for (let i = 0; i < 6; i++) await startOnce(t, { stateDir })
  const now = Date.now() / 1000
  for (const [i, name] of segmentsIn(stateDir).entries()) utimesSync(join(stateDir, 'log', name), now, now - (40 - 5 * i) * DAY_S)
  // 40, 35, 30, 25, 20 and 15 days.
  await startOnce(t, { stateDir, logRetentionDays: 32 })
  assert.deepEqual(epochs(stateDir), [3, 4, 5, 6, 7])
  await startOnce(t, { stateDir, logRetentionDays: 22 })
  assert.deepEqual(epochs(stateDir), [5, 6, 7, 8])
  assert.equal(openEngine(t, { stateDir }).stats('u').rewardCount, 8)
})

test('by size: the oldest first', async (t) => {
  const stateDir = emptyDirectory(t)
  for (let i = 0; i < 5; i++) await startOnce(t, { stateDir })
  assert.deepEqual(epochs(stateDir), [1, 2, 3, 4, 5])
  const bandits = openEngine(t, { stateDir })
  const each = bandits.health().log.bytes / 6
  await bandits.close()
  await startOnce(t, { stateDir, logRetentionBytes: Math.round(4.5 * each) })
  const left = epochs(stateDir)
  assert.ok(left.length >= 3 && left.length <= 5, left.join())
  assert.deepEqual(left, [3, 4, 5, 6, 7].slice(-left.length))
  await startOnce(t, { stateDir, logRetentionBytes: 0 })
  // What the last start wrote goes when its state files are known to be complete: at the next look.
  assert.deepEqual(epochs(stateDir), [7, 8])
  assert.equal(openEngine(t, { stateDir }).stats('u').rewardCount, 7)
})

test('what the state files do not have stays, however old or large', async (t) => {
  const stateDir = await killedUnmarked(t, "const engine = Bandits.open({ stateDir }); for (let i = 0; i < 20; i++) reward(engine, 'u' + i)")
  for (const name of namesIn(stateDir)) rmSync(join(stateDir, name))
  for (const name of segmentsIn(stateDir)) utimesSync(join(stateDir, 'log', name), 1e9, 1e9)
  killed(t, "const engine = Bandits.open({ stateDir, logRetentionDays: 0, logRetentionBytes: 0 }); await engine.flush()", stateDir)
  const bandits = openEngine(t, { stateDir, logRetentionDays: 0, logRetentionBytes: 0 })
  for (let i = 0; i < 20; i++) assert.equal(bandits.stats(`u${i}`).rewardCount, 1)
  await bandits.close()
  assert.ok(eventsIn(stateDir).length <= 20)
})

test('a segment is followed by another one while rewards come without a pause', async (t) => {
  const stateDir = emptyDirectory(t)
  const bandits = openEngine(t, { stateDir })
  const request = { userId: 'u', tipId: '\u0001'.repeat(512), reward: 1, features: {} }
  // 200 MB, each line 3.3 kB; whoever has to wait for the disk does it without asking for a flush, which would be a pause.
  for (let i = 0; i < 60_000; ) {
    try {
      for (; i < 60_000; i++) bandits.reward(request)
    } catch (error) {
      assert.equal(/** @type {import('@oo/bandits').BanditError} */ (error).code, 'ERR_BACKPRESSURE')
      await turn()
    }
  }
  await bandits.close()
  const sizes = segmentsIn(stateDir).map((name) => statSync(join(stateDir, 'log', name)).size)
  // How much comes before the next segment is a matter of when the log's thread is run.
  assert.ok(sizes.filter((size) => size > 20 << 20).length >= 2, `${sizes} bytes`)
})
