// @ts-check
// `npm run bench:insight [-- --lines N --rounds N]`: how long operators' questions take on a log of a million lines (half of them decisions of
// ten candidates and three policies, three in ten reactions, one in ten pulls, one in ten rewards), and what that does to score(): its p50 and
// p99 at rest and while analytics() is answered, taking turns in one run. Some 40,000 calls a second on
// an event loop that is busy otherwise: as fast as they can, they alone would double the log in seconds, which analytics() would then read.
import { mkdirSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { setImmediate as turn } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { writeLog } from '../support/large-log.mjs'
import { conditions } from './conditions.mjs'
import { median, quantile } from './statistics.mjs'
import { say } from './turns.mjs'

const { Bandits } = createRequire(import.meta.url)('@oo/bandits')
const ROOT = fileURLToPath(new URL(`../../.cache/insight-bench-${process.pid}/`, import.meta.url))
const LIMIT_S = 5
const LIMIT_RATIO = 1.5
const REST_MS = 4000
const BURST = 10
const PAUSE_MS = 0.2

const candidates = Array.from({ length: 10 }, (_, i) => ({ id: `task-${i}-${'x'.repeat(29)}`, features: { isOverdue: i % 2 === 0, taskAgeDays: i * 1.5, priority: 1 + (i % 4) } }))

/** Nanoseconds of single calls of score(), until `isOver`. @param {any} bandits @param {() => boolean} isOver */
async function latencies(bandits, isOver) {
  const seen = []
  for (let i = 0; !isOver(); i++) {
    const request = { userId: `probe-${i % 200}`, candidates, context: { hourOfDay: i % 24, dayOfWeek: 2 } }
    const start = process.hrtime.bigint()
    bandits.score(request)
    seen.push(Number(process.hrtime.bigint() - start))
    if (i % BURST === BURST - 1) for (const next = performance.now() + PAUSE_MS; performance.now() < next; ) await turn()
  }
  return seen
}

/** @param {() => Promise<any>} ask */
async function seconds(ask) {
  const [start, before] = [performance.now(), process.cpuUsage()]
  const answer = await ask()
  const { user, system: kernel } = process.cpuUsage(before)
  // On a machine that others use, too, the processor's seconds say more than the clock's.
  return { s: (performance.now() - start) / 1000, cpu: `${((user + kernel) / 1e6).toFixed(2)} s of a processor`, answer }
}

const { values } = parseArgs({ options: { lines: { type: 'string', default: '1000000' }, rounds: { type: 'string', default: '5' } } })
const { cpu, system, node, load } = conditions()
process.stdout.write(`${cpu}, ${system}, Node ${node}, load ${load.join(' ')}\n\n`)
mkdirSync(ROOT, { recursive: true })
try {
  const made = await seconds(async () => writeLog(ROOT, { lines: Number(values.lines) }))
  say('a log of so many lines', `${made.answer.lines} lines, ${(made.answer.bytes / 1e6).toFixed(0)} MB`)
  const bandits = Bandits.open({ stateDir: ROOT, logRetentionBytes: 1e12, logRetentionDays: 400 })
  await latencies(bandits, ((end) => () => performance.now() > end)(performance.now() + 2000))
  const isWhole = Number(values.lines) >= 1e6
  for (const by of ['day', 'promptVersion']) {
    const { s, cpu: used, answer } = await seconds(() => bandits.analytics({ by }))
    say(`analytics by ${by}, alone`, `${s.toFixed(2)} s, ${used}, ${answer.totals.decisions} decisions`, s <= LIMIT_S, isWhole ? `≤ ${LIMIT_S} s` : undefined)
  }
  const quality = await seconds(() => bandits.dataQuality())
  say('dataQuality', `${quality.s.toFixed(2)} s, ${quality.cpu}`)
  const simulated = await seconds(() => bandits.simulate({ policy: 'egreedy-v2' }))
  say('simulate egreedy-v2', `${simulated.s.toFixed(2)} s, ${simulated.cpu}, ${simulated.answer.accepted} accepted`)
  const first = await seconds(() => bandits.decisions({ limit: 100 }))
  say('decisions, the first page', `${(first.s * 1000).toFixed(0)} ms`)
  const last = { after: `1.${Math.floor(Number(values.lines) / 10)}`, limit: 100 }
  const deep = await seconds(() => bandits.decisions(last))
  say('decisions, a page nine tenths down', `${(deep.s * 1000).toFixed(0)} ms, ${deep.answer.decisions.length} rows`)
  const person = await seconds(() => bandits.decisions({ userId: 'user-17', limit: 500 }))
  say('decisions, all of one user', `${(person.s * 1000).toFixed(0)} ms, ${person.answer.decisions.length} rows`)

  const rounds = []
  for (let round = 0; round < Number(values.rounds); round++) {
    const end = performance.now() + REST_MS
    const rest = await latencies(bandits, () => performance.now() > end)
    let isOver = false
    const asked = seconds(() => bandits.analytics()).finally(() => {
      isOver = true
    })
    const busy = await latencies(bandits, () => isOver)
    rounds.push({ rest, busy, s: (await asked).s })
  }
  const busiest = median(rounds.map(({ s }) => s))
  say('analytics by day, while score() is called', `${busiest.toFixed(2)} s`, busiest <= LIMIT_S, isWhole ? `≤ ${LIMIT_S} s` : undefined)
  for (const [name, share] of /** @type {const} */ ([['p50', 0.5], ['p99', 0.99]])) {
    const [rest, busy] = [median(rounds.map((r) => quantile(r.rest, share))), median(rounds.map((r) => quantile(r.busy, share)))]
    const ratio = median(rounds.map((r) => quantile(r.busy, share) / quantile(r.rest, share)))
    const limit = name === 'p99' ? `≤ ${LIMIT_RATIO}` : undefined
    say(`score() ${name}, meanwhile against at rest`, `${ratio.toFixed(2)} (${(busy / 1000).toFixed(2)} µs / ${(rest / 1000).toFixed(2)} µs)`, ratio <= LIMIT_RATIO, limit)
  }
  await bandits.close()
} finally {
  rmSync(join(ROOT), { recursive: true, force: true })
}
