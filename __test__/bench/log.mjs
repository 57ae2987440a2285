// @ts-check
// `npm run bench:log [-- --seconds N --lines N]`: what it costs that nothing is lost. Ratios within one run:
//   reward() against a bare append (fs.writeSync) of a line of its size, taking turns;
//   score() of ten candidates against the same call on an engine whose log is off, taking turns;
//   a reward's share of one flush() that 64 of them wait for, against fdatasync of a file that got one line;
//   p99.9 of score() and reward() while the threads behind write as fast as they can, against a pause;
//   opening after a kill with so many lines that no state file has, and with none.
import { spawnSync } from 'node:child_process'
import { closeSync, fdatasyncSync, mkdirSync, openSync, readdirSync, readFileSync, rmSync, writeSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { setImmediate as turn, setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { conditions } from './conditions.mjs'
import { quantile } from './statistics.mjs'
import { say, timed, turns } from './turns.mjs'

const { Bandits } = createRequire(import.meta.url)('@oo/bandits')
const ROOT = fileURLToPath(new URL(`../../.cache/log-bench-${process.pid}/`, import.meta.url))
/** @type {import('../../index.d.ts').PolicyName[]} */
const POLICIES = ['linucb-v1', 'egreedy-v1', 'egreedy-v2']
const TIP = `task-1-${'x'.repeat(29)}`
const candidates = Array.from({ length: 10 }, (_, i) => ({
  id: `task-${i}-${'x'.repeat(29)}`,
  features: { isOverdue: i % 2 === 0, taskAgeDays: i * 1.5, priority: 1 + (i % 4) },
}))
const features = { isOverdue: true, taskAgeDays: 3, priority: 2, hourOfDay: 9 }

/** @param {string} userId @param {import('../../index.d.ts').PolicyName} [policy] */
const reward = (userId, policy = 'egreedy-v1') => ({ userId, tipId: TIP, reward: 1, features, dayOfWeek: 2, policy })
/** @param {string} userId @param {import('../../index.d.ts').PolicyName} [policy] */
const request = (userId, policy = 'egreedy-v1') => ({ userId, candidates, context: { hourOfDay: 9, dayOfWeek: 2 }, policy })

/** @param {string} name @param {object} [options] */
function open(name, options) {
  return Bandits.open({ stateDir: join(ROOT, name), seed: 1, ...options })
}

async function appends() {
  const bandits = open('append')
  for (let i = 0; i < 20; i++) bandits.reward(reward('user-1'))
  await bandits.flush()
  const [segment] = readdirSync(join(ROOT, 'append', 'log'))
  const lines = readFileSync(join(ROOT, 'append', 'log', segment), 'utf8').split('\n')
  const line = Buffer.from(`${lines.findLast((text) => text.includes('"reward"'))}\n`)
  const bare = openSync(join(ROOT, 'bare'), 'a')
  const { a, b, ratio } = await turns(
    41,
    () => timed(5000, () => bandits.reward(reward('user-1'))),
    () => timed(5000, () => writeSync(bare, line)),
    () => bandits.flush(),
  )
  say(`reward() against writeSync of ${line.length} bytes`, `${ratio.toFixed(2)} (${a.toFixed(0)} ns / ${b.toFixed(0)} ns)`, ratio <= 2.5, '≤ 2.5')
  await bandits.close()
  closeSync(bare)
}

async function scores() {
  const [on, off] = [open('on'), open('off', { log: 'off' })]
  for (const policy of POLICIES) {
    const asked = request('user-1', policy)
    const { a, b, ratio } = await turns(
      41,
      () => timed(5000, () => on.score(asked)),
      () => timed(5000, () => off.score(asked)),
      () => on.flush(),
    )
    say(`score() n=10 ${policy}, log on against off`, `${ratio.toFixed(2)} (${a.toFixed(0)} ns / ${b.toFixed(0)} ns)`, ratio <= 1.5, '≤ 1.5')
  }
  say('pulls dropped meanwhile', String(on.health().log.droppedPulls))
  await Promise.all([on.close(), off.close()])
}

async function flushes() {
  const bandits = open('flush')
  const bare = openSync(join(ROOT, 'bare-sync'), 'a')
  const line = Buffer.alloc(330, 'x')
  const shares = []
  for (let round = 0; round < 101; round++) {
    const start = process.hrtime.bigint()
    writeSync(bare, line)
    fdatasyncSync(bare)
    const one = Number(process.hrtime.bigint() - start)
    const before = process.hrtime.bigint()
    await Promise.all(
      Array.from({ length: 64 }, (_, i) => {
        bandits.reward(reward(`user-${i}`))
        return bandits.flush()
      }),
    )
    shares.push({ one, share: Number(process.hrtime.bigint() - before) / 64 })
  }
  const ratio = quantile(shares.slice(1).map(({ one, share }) => one / share), 0.5)
  const [share, one] = [quantile(shares.map((s) => s.share), 0.5), quantile(shares.map((s) => s.one), 0.5)]
  say('one of 64 rewards under a shared flush, of an fdatasync', `1/${ratio.toFixed(1)} (${(share / 1000).toFixed(1)} µs / ${(one / 1000).toFixed(0)} µs)`, ratio >= 15, '≤ 1/15')
  await bandits.close()
  closeSync(bare)
}

/** Latencies of single calls, `perSecond` of them. @param {any} bandits @param {number} seconds @param {(i: number) => void} load */
async function latencies(bandits, seconds, load) {
  /** @type {{ score: number[], reward: number[] }} */
  const seen = { score: [], reward: [] }
  const end = performance.now() + seconds * 1000
  let calls = 0
  for (let i = 0; performance.now() < end; i++) {
    // Other users' calls in between: they are what there is to write.
    for (let k = 0; k < 20; k++) load(calls++)
    for (const kind of /** @type {const} */ (['score', 'reward'])) {
      const asked = kind === 'score' ? request('probe') : reward('probe')
      const start = process.hrtime.bigint()
      bandits[kind](asked)
      seen[kind].push(Number(process.hrtime.bigint() - start))
    }
    if (i % 10 === 0) await turn()
  }
  return { seen, calls, seconds }
}

/** @param {number} seconds */
async function tails(seconds) {
  const bandits = open('tail')
  const users = 2000
  for (let i = 0; i < users; i++) bandits.reward(reward(`user-${i}`))
  await bandits.checkpoint()
  const idle = await latencies(bandits, Math.min(seconds, 20), () => {})
  await bandits.checkpoint()
  const before = bandits.health().writer.filesWritten
  const busy = await latencies(bandits, seconds, (i) => {
    bandits.reward(reward(`user-${(i * 7919) % users}`))
  })
  const files = bandits.health().writer.filesWritten - before
  say('meanwhile: rewards / state files written', `${(busy.calls / seconds).toFixed(0)}/s / ${(files / seconds).toFixed(0)}/s over ${seconds} s`)
  for (const kind of /** @type {const} */ (['score', 'reward'])) {
    const [rest, under] = [quantile(idle.seen[kind], 0.999), quantile(busy.seen[kind], 0.999)]
    say(`p99.9 of ${kind}(), threads writing against at rest`, `${(under / rest).toFixed(2)} (${(under / 1000).toFixed(1)} µs / ${(rest / 1000).toFixed(1)} µs)`, under / rest <= 1.5, 'aim ≤ 1.5')
  }
  await bandits.close()
}

/** In a child: lines for 10,000 users that no file has, then the end of the process. @param {number} lines */
async function leaveTail(lines) {
  const bandits = Bandits.open({ stateDir: join(process.env.BENCH_ROOT ?? ROOT, 'recovery') })
  for (let i = 0; i < lines; i++) {
    const [userId, policy] = [`user-${(i * 7919) % 10_000}`, POLICIES[Math.floor(i / 10_000) % 3]]
    if (i % 2 === 0) bandits.score({ ...request(userId, policy), candidates: candidates.slice(0, 3) })
    else bandits.reward(reward(userId, policy))
    if (i % 20_000 === 0) await sleep(1)
  }
  await bandits.flush()
  process.kill(process.pid, 'SIGKILL')
}

/** @param {number} lines */
async function recovery(lines) {
  const child = spawnSync(process.execPath, [fileURLToPath(import.meta.url), '--leave', String(lines)], {
    env: { ...process.env, BENCH_ROOT: ROOT },
    stdio: ['ignore', 'inherit', 'inherit'],
  })
  if (child.signal !== 'SIGKILL') throw new Error(`the child ended by itself: ${child.status}`)
  const start = performance.now()
  const bandits = open('recovery')
  const took = performance.now() - start
  const { recovery: seen } = bandits
  say(`open with a tail of ${seen.lines} lines, ${seen.applied} not in files`, `${(took / 1000).toFixed(2)} s`, took <= 5000, '≤ 5 s')
  await bandits.close()
  const again = performance.now()
  const clean = open('recovery')
  say(`open with an empty tail, ${seen.users} users on disk`, `${(performance.now() - again).toFixed(1)} ms, ${clean.recovery.segments} segments read`)
  await clean.close()
}

const { values: options } = parseArgs({
  options: { seconds: { type: 'string', default: '60' }, lines: { type: 'string', default: '1000000' }, leave: { type: 'string' } },
})
if (options.leave === undefined) {
  const { cpu, system, node } = conditions()
  process.stdout.write(`${cpu}, ${system}, Node ${node}\n\n`)
  mkdirSync(ROOT, { recursive: true })
  try {
    await appends()
    await scores()
    await flushes()
    await tails(Number(options.seconds))
    await recovery(Number(options.lines))
  } finally {
    rmSync(ROOT, { recursive: true, force: true })
  }
} else await leaveTail(Number(options.leave))
