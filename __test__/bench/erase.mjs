// @ts-check
// `npm run bench:erase [-- --megabytes N --seconds N]`: what others feel of an erasure. One user's lines are in every segment of a log of N MB
// (64; `npm run bench:erase:full` 1,024), so all of it is written anew. In one run, at the same load of pulls and rewards:
//   flush() after 20 rewards, one after the other, and begun every 5 ms whether or not the one before is done: p50, p99, and the ratio of the p99
//   during the erasure to that without. A stall of 40 ms, as when ext4 frees a file of 32 MiB, meets one flush of the first kind and eight of the second;
//   how long a pull is in no line: score(), then looking until the segment has it;
//   how long the erasure takes.
import { mkdirSync, openSync, closeSync, readdirSync, readSync, rmSync, statSync, fstatSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { setImmediate as turn, setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { conditions } from './conditions.mjs'
import { quantile } from './statistics.mjs'
import { say } from './turns.mjs'

const { Bandits } = createRequire(import.meta.url)('@oo/bandits')
const ROOT = fileURLToPath(new URL(`../../.cache/erase-bench-${process.pid}/`, import.meta.url))
const LOG = join(ROOT, 'state', 'log')
const PERSON = 'the-person'
const ANOTHER = 'another-person'
const FLUSH_EVERY_MS = 5
const PROBE_EVERY_MS = 50
/** Before each flush. */
const REWARDS = 20

const { values: options } = parseArgs({ options: { megabytes: { type: 'string', default: '64' }, seconds: { type: 'string', default: '5' } } })
const bytes = Number(options.megabytes) * 2 ** 20
const candidates = Array.from({ length: 10 }, (_, i) => ({ id: `task-${i}-${'x'.repeat(29)}`, features: { taskAgeDays: i * 1.5, priority: 1 + (i % 4) } }))

const segments = () => readdirSync(LOG).filter((name) => name.endsWith('.jsonl')).sort()
const size = () => segments().reduce((sum, name) => sum + statSync(join(LOG, name)).size, 0)

/** Decisions until the log has its size; every five hundredth is that of one of two people. @param {any} bandits */
async function fill(bandits) {
  for (let n = 0; ; n++) {
    bandits.recommend({ userId: n % 500 === 0 ? (n % 1000 === 0 ? PERSON : ANOTHER) : `user-${n % 500}`, candidates, context: { hourOfDay: n % 24, dayOfWeek: n % 7 } })
    if (n % 2000 === 0) {
      await bandits.flush()
      if (bandits.health().log.bytes >= bytes) break
    }
  }
  for (let i = 0; i < 3; i++) await bandits.checkpoint()
}

/** Reads what came to the log, segment after segment, to see when a line is there. */
class Tail {
  name = ''
  descriptor = -1
  at = 0

  /** Whether it has this text now; looks at what is new. @param {string} text */
  has(text) {
    // First what segments there are: what was written before the newest of them was begun is read with those before it.
    const names = segments()
    if (this.name === '') this.open(names.at(-1) ?? '', true)
    for (;;) {
      if (this.reads(text)) return true
      // An erasure puts another file in the place of one that is not written to any more; the one that is open stays as it was.
      const next = names.find((name) => name > this.name)
      if (next === undefined) return false
      this.open(next, false)
    }
  }

  /** Reads on to the end. @param {string} text */
  reads(text) {
    const room = Buffer.alloc(2 ** 20)
    for (;;) {
      const read = readSync(this.descriptor, room, 0, room.length, this.at)
      if (room.subarray(0, read).includes(text)) return true
      if (read < room.length) {
        // A line may come in two parts.
        this.at += Math.max(0, read - 4096)
        return false
      }
      this.at += read - 4096
    }
  }

  /** @param {string} name @param {boolean} isFirst */
  open(name, isFirst) {
    this.close()
    this.name = name
    this.descriptor = openSync(join(LOG, name), 'r')
    this.at = isFirst ? Math.max(0, fstatSync(this.descriptor).size - 2 ** 20) : 0
  }

  close() {
    if (this.descriptor >= 0) closeSync(this.descriptor)
  }
}

/**
 * Flushes until it is over: one after the other, or one every few milliseconds, whether or not the one before is done: while one waits for
 * seconds, so do the next ones. @param {any} bandits @param {boolean} everyFewMs @param {() => boolean} isOver
 */
async function measure(bandits, everyFewMs, isOver) {
  /** @type {{ flush: number[], line: number[] }} in ms */
  const seen = { flush: [], line: [] }
  /** @type {Promise<void>[]} */
  const flushes = []
  const tail = new Tail()
  const probe = async () => {
    for (let n = 0; !isOver(); n++) {
      const id = `probe-${process.pid}-${n}-${Math.random()}`
      bandits.score({ userId: 'user-1', candidates: [{ id }] })
      const scored = performance.now()
      while (!tail.has(id)) await turn()
      seen.line.push(performance.now() - scored)
      await sleep(PROBE_EVERY_MS)
    }
  }
  const flush = async () => {
    const begun = performance.now()
    await bandits.flush()
    seen.flush.push(performance.now() - begun)
  }
  const probing = probe()
  for (let n = 0, due = performance.now(); !isOver(); n++, due += FLUSH_EVERY_MS) {
    if (everyFewMs) await sleep(due - performance.now())
    for (let i = 0; i < REWARDS; i++) bandits.reward({ userId: `user-${(n * 31 + i) % 500}`, tipId: 'tip', reward: 1, features: { priority: 2 } })
    const flushing = flush()
    if (everyFewMs) flushes.push(flushing)
    else await flushing
  }
  await Promise.all([...flushes, probing])
  tail.close()
  return seen
}

/** The same without and during an erasure of the person, who has lines in every segment. @param {any} bandits @param {boolean} everyFewMs */
async function compare(bandits, everyFewMs) {
  const [before, count] = [size(), segments().length]
  const end = performance.now() + Number(options.seconds) * 1000
  const without = await measure(bandits, everyFewMs, () => performance.now() > end)
  let isDone = false
  const begun = performance.now()
  const erase = async () => {
    await bandits.erase(everyFewMs ? ANOTHER : PERSON)
    isDone = true
  }
  const erased = erase()
  const during = await measure(bandits, everyFewMs, () => isDone)
  await erased
  const took = (performance.now() - begun) / 1000
  process.stdout.write(`\n${everyFewMs ? `A flush() begun every ${FLUSH_EVERY_MS} ms` : 'One flush() after the other'}\n`)
  say(`erase() of a log of ${(before / 2 ** 20).toFixed(0)} MiB in ${count} segments`, `${took.toFixed(2)} s, ${(before / 2 ** 20 / took).toFixed(0)} MiB/s`)
  const ms = (/** @type {number[]} */ values, /** @type {number} */ q) => `${quantile(values, q).toFixed(2)} ms`
  for (const [what, values] of /** @type {const} */ ([['without', without], ['during', during]])) {
    say(`flush() ${what} an erasure, p50 / p99 / longest`, `${ms(values.flush, 0.5)} / ${ms(values.flush, 0.99)} / ${ms(values.flush, 1)} of ${values.flush.length}`)
    say(`a pull in no line, ${what}, p50 / p99`, `${ms(values.line, 0.5)} / ${ms(values.line, 0.99)} of ${values.line.length}`)
  }
  const ratio = quantile(during.flush, 0.99) / quantile(without.flush, 0.99)
  say('p99 of flush() during against without', ratio.toFixed(2), ratio <= 3, '≤ 3')
  if (during.flush.length < 100) process.stdout.write(`only ${during.flush.length} flushes during the erasure: take a larger log\n`)
}

mkdirSync(ROOT, { recursive: true })
try {
  const { cpu, system, node } = conditions()
  process.stdout.write(`${cpu}, ${system}, Node ${node}\n\n`)
  const bandits = Bandits.open({ stateDir: join(ROOT, 'state'), seed: 1, logRetentionBytes: 2 ** 40 })
  await fill(bandits)
  await compare(bandits, false)
  await compare(bandits, true)
  await bandits.close()
} finally {
  rmSync(ROOT, { recursive: true, force: true })
}
