// @ts-check
// `npm run bench:memory [-- --users N]`: what a user costs, as growth of the process (RSS), so that everything counts: native
// memory, JavaScript's maps and strings, allocators' slack. One fresh process for each engine and kind of history, in which
// N users appear, each with all three policies; before and after, garbage is collected and the package has written its files.
import { spawnSync } from 'node:child_process'
import { mkdirSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { conditions } from './conditions.mjs'
import { ExpertBandit } from './opponents/pure-js-expert.mjs'
import { contexts, random, reaction, uuid } from './workload.mjs'

/** @typedef {{ engine: 'package' | 'expert', tips: number, users: number, directory: string }} Job */

/** @type {import('../../index.d.ts').PolicyName[]} */
const POLICIES = ['linucb-v1', 'egreedy-v1', 'egreedy-v2']
/** Bytes a user, of the package, by how many tips its history holds. @type {Record<number, number>} */
const CEILINGS = { 0: 3 * 1024, 100: 8.5 * 1024 }
const CACHE = fileURLToPath(new URL('../../.cache/', import.meta.url))
const FIRST_USERS = 500

/** @param {Job} job */
function open({ engine, tips, directory }) {
  if (engine === 'expert') return new ExpertBandit()
  const { Bandits } = createRequire(import.meta.url)('@oo/bandits')
  return Bandits.open({ stateDir: directory, historySize: tips })
}

/**
 * Users with all three policies; with a history, each gets as many pulls as it holds, every one of a tip of its own. Without
 * one the expert, whose history cannot be turned off, is only rewarded.
 * @param {any} engine @param {Job} job @param {number} count @param {() => number} rng
 */
function addUsers(engine, { tips, engine: name }, count, rng) {
  const hours = contexts(1)
  for (let user = 0; user < count; user++) {
    const userId = uuid(rng)
    for (const policy of POLICIES) engine.reward({ userId, tipId: 'tip', reward: reaction(rng), features: { priority: 2, hourOfDay: 9 }, policy })
    const pulls = tips > 0 ? tips : name === 'expert' ? 0 : POLICIES.length
    for (let k = 0; k < pulls; k++)
      engine.score({ userId, candidates: [{ id: uuid(rng), features: { taskAgeDays: k } }], context: hours[k % 64], policy: POLICIES[k % 3] })
  }
}

/** @param {any} engine */
async function settledRss(engine) {
  await engine.checkpoint?.()
  for (let i = 0; i < 6; i++) {
    /** @type {any} */ (globalThis).gc()
    await sleep(100)
  }
  return process.memoryUsage().rss
}

/** @param {Job} job */
async function measure(job) {
  const rng = random(1)
  const engine = open(job)
  // So many that code is compiled, and pools and buffers have the size that they keep.
  addUsers(engine, job, FIRST_USERS, rng)
  const before = await settledRss(engine)
  addUsers(engine, job, job.users, rng)
  const after = await settledRss(engine)
  process.stdout.write(`${JSON.stringify({ bytesPerUser: (after - before) / job.users, health: engine.health?.().writer })}\n`, () =>
    process.kill(process.pid, 'SIGKILL'),
  )
}

/** @param {Job} job */
function inFreshProcess(job) {
  mkdirSync(job.directory, { recursive: true })
  // A small young generation: what is measured is what stays, not how much garbage there was room for.
  const args = ['--expose-gc', '--max-semi-space-size=1', fileURLToPath(import.meta.url), '--job', JSON.stringify(job)]
  const { stdout } = spawnSync(process.execPath, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] })
  rmSync(job.directory, { recursive: true, force: true })
  return JSON.parse(stdout)
}

const { values: options } = parseArgs({ options: { job: { type: 'string' }, users: { type: 'string', default: '20000' } } })
if (options.job === undefined) {
  const { cpu, system, node } = conditions()
  process.stdout.write(`${cpu}, ${system}, Node ${node}; growth of RSS per user, ${options.users} users with all three policies\n\n`)
  for (const engine of /** @type {const} */ (['package', 'expert']))
    for (const tips of [0, 100]) {
      const { bytesPerUser } = inFreshProcess({ engine, tips, users: Number(options.users), directory: join(CACHE, `memory-${process.pid}`) })
      const ceiling = engine === 'package' ? `   at most ${CEILINGS[tips]}: ${bytesPerUser <= CEILINGS[tips] ? 'met' : 'MISSED'}` : ''
      const what = tips > 0 ? `${tips} distinct 36-character tip ids` : 'no history'
      process.stdout.write(`  ${engine.padEnd(8)} ${what.padEnd(34)} ${bytesPerUser.toFixed(0).padStart(6)} B${ceiling}\n`)
    }
} else {
  await measure(JSON.parse(options.job))
}
