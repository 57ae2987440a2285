// @ts-check
// Many calls of generate() at once against a proxy that takes its time: how long they take, what that does to score(), and to memory.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

import { Bandits } from '@oo/bandits'
import { endWithUs } from '../support/reaper.mjs'
import { withHooks } from '../nats/torture/hooks.mjs'
import { after, scoreUntil } from '../torture/scoring.mjs'
import { withScratch } from '../torture/scratch.mjs'

const UPSTREAM = fileURLToPath(new URL('upstream.mjs', import.meta.url))
/** What the rounds that are measured may leave behind. */
const MOST_LEFT = 8 << 20
/** Rounds that do not count: code is compiled in them, and pools and buffers get the size that they keep. */
const WARM_UP = 3

/** @param {import('../support/state-dir.mjs').TestContext} t @param {number} upstreamMs */
async function startUpstream(t, upstreamMs) {
  const child = spawn(process.execPath, [UPSTREAM, String(upstreamMs)], { stdio: ['pipe', 'pipe', 'inherit'] })
  endWithUs(child)
  t.after(() => child.kill('SIGKILL'))
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  const { value: url } = await lines.next()
  /** What it has counted. @returns {Promise<{ requests: number, most: number, connections: number }>} */
  const end = async () => {
    child.stdin.end()
    return JSON.parse((await lines.next()).value)
  }
  return { url: String(url), end }
}

/** Collects garbage, whatever the flags of this process. @returns {() => void} */
function collector() {
  setFlagsFromString('--expose-gc')
  return runInNewContext('gc')
}

/** The memory of this process when there is no garbage in it. @param {() => void} collect */
async function settledMemory(collect) {
  for (let i = 0; i < 5; i++) {
    collect()
    await sleep(20)
  }
  return process.memoryUsage().rss
}

const megabytes = (/** @type {number} */ bytes) => Number((bytes / 2 ** 20).toFixed(1))

/**
 * @param {{ calls: number, cap: number, upstreamMs: number, rounds: number, quietMs?: number, isMeasured?: boolean }} settings `isMeasured`:
 * it fails when time or memory are not what they should be, for which the machine has to be left alone
 */
export const load = ({ calls, cap, upstreamMs, rounds, quietMs = 3000, isMeasured = true }) => withScratch((scratch) => withHooks(async (t) => {
  const upstream = await startUpstream(t, upstreamMs)
  const bandits = Bandits.open({ stateDir: join(scratch, 'state'), litellm: { url: upstream.url, masterKey: 'sk-load', maxConcurrent: cap } })
  t.after(() => bandits.close())
  const tasks = Array.from({ length: 50 }, (_task, i) => ({ id: `task-${i}`, content: `Task ${i}: ${'water the plants '.repeat(10)}` }))
  /** All of them at once; how long they take, in ms. */
  const round = async () => {
    const from = performance.now()
    const results = await Promise.all(Array.from({ length: calls }, (_call, i) => bandits.generate({ userId: `u${i}`, context: { tasks } })))
    for (const { candidates, attempts } of results) assert.deepEqual([candidates.length, attempts], [3, 1])
    return performance.now() - from
  }

  // Compiled, and with everybody in memory.
  await round()
  await scoreUntil(bandits, after(Math.min(quietMs, 1000)))
  const quiet = await scoreUntil(bandits, after(quietMs))
  let isOver = false
  const timed = round().finally(() => { isOver = true })
  const during = await scoreUntil(bandits, () => isOver)
  const tookMs = await timed
  const quietAgain = await scoreUntil(bandits, after(quietMs))

  // Without durations of score() in it.
  const collect = collector()
  for (let i = 0; i < WARM_UP; i++) await round()
  const before = await settledMemory(collect)
  let peak = before
  const watching = setInterval(() => { peak = Math.max(peak, process.memoryUsage().rss) }, 5)
  const times = []
  for (let i = 0; i < rounds; i++) times.push(await round())
  clearInterval(watching)
  const left = await settledMemory(collect) - before
  await bandits.close()

  const { requests, most, connections } = await upstream.end()
  assert.deepEqual([requests, most], [calls * (2 + WARM_UP + rounds), Math.min(cap, calls)])
  const slowest = Math.max(tookMs, ...times)
  const limitMs = Math.ceil(calls / cap) * upstreamMs + 1000
  if (isMeasured) {
    assert.ok(slowest <= limitMs, `${slowest} ms, over ${limitMs}`)
    assert.ok(left <= MOST_LEFT, `${megabytes(left)} MB are left of ${rounds} rounds`)
  }
  return {
    calls, cap, upstreamMs, most, connections, slowestMs: Math.round(slowest), limitMs, microseconds: { quiet, during, quietAgain },
    ratio: Number((during.p99 / quiet.p99).toFixed(2)), megabytes: { before: megabytes(before), peak: megabytes(peak), left: megabytes(left) }, rounds,
  }
}))
