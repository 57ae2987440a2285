// @ts-check
// `npm run bench`: this package against its opponents. Each scenario runs in fresh processes, in a random order of all of
// them, so that no minute of a busy machine falls on one scenario alone.
//
//   --quick          a few scenarios, few samples: proves that the bench works, not how fast anything is
//   --processes N    fresh processes per scenario (default 11)
//   --only TEXT      only the scenarios whose group or name contains it
//   --subject NAME   measures another engine in the package's place; package-logged: with the interaction log on
//   --out FILE       where the JSON goes
import { spawn } from 'node:child_process'
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { conditions } from './conditions.mjs'
import { engineNamed } from './engines.mjs'
import { floors, summarise, tables } from './report.mjs'
import { QUICK_SCENARIOS, SCENARIOS } from './scenarios.mjs'
import { findService } from './service.mjs'
import { installSqlite, sqliteWorks } from './sqlite.mjs'
import { intervalName } from './statistics.mjs'

/** @typedef {import('./scenarios.mjs').Scenario} Scenario */
/** @typedef {import('./measure.mjs').Answer} Answer */
/** @typedef {import('./measure.mjs').Job} Job */

const CHILD_TIMEOUT_MS = 120_000
// On a disk, where state belongs; a /tmp may be memory.
const CACHE = fileURLToPath(new URL('../../.cache/', import.meta.url))
const WORK = join(CACHE, `bench-${process.pid}`)

const { values: options } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false }, processes: { type: 'string' }, only: { type: 'string', default: '' },
    subject: { type: 'string', default: 'package' }, out: { type: 'string', default: join(CACHE, 'bench.json') },
  },
})
const { quick, subject } = options
const processes = Number(options.processes ?? (quick ? 2 : 11))
if (!(Number.isInteger(processes) && processes > 0)) throw new Error('--processes takes a whole number from 1')

/** Opponents that are not here, and why. @type {Map<string, string>} */
const missing = new Map()

/** @returns {Promise<Job['service']>} */
async function service() {
  const found = findService(process.env['REFERENCE_DIR'])
  if ('missing' in found) return void missing.set('service', found.missing)
  const { pythonEnv } = await import('../../scripts/python-env.mjs')
  const environment = await pythonEnv('reference')
  if (environment === null) return void missing.set('service', 'no Python environment')
  return { python: environment.python, directory: found.directory }
}

/** @param {Job} job @returns {Promise<Answer>} */
function runChild(job) {
  mkdirSync(job.directory, { recursive: true })
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [fileURLToPath(new URL('./child.mjs', import.meta.url)), JSON.stringify(job)], {
      stdio: ['ignore', 'pipe', 'inherit'], timeout: CHILD_TIMEOUT_MS, killSignal: 'SIGKILL',
    })
    let text = ''
    child.stdout.setEncoding('utf8').on('data', (chunk) => (text += chunk))
    child.on('error', reject)
    child.on('close', (code, signal) => {
      rmSync(job.directory, { recursive: true, force: true })
      // Once it has answered it ends itself by a signal.
      if (text.endsWith('\n')) resolve(JSON.parse(text))
      else reject(new Error(`${job.scenario.group}: ${job.scenario.id}: the process ended with ${signal ?? code}`))
    })
  })
}

/** @template T @param {T[]} list @returns {T[]} */
function shuffled(list) {
  const copy = [...list]
  for (let i = copy.length - 1; i > 0; i--) {
    const j = Math.floor(Math.random() * (i + 1))
    ;[copy[i], copy[j]] = [copy[j], copy[i]]
  }
  return copy
}

/** The scenarios without the opponents that are missing. */
function chosenScenarios() {
  return (quick ? QUICK_SCENARIOS : SCENARIOS)
    .filter(({ group, id }) => `${group} ${id}`.includes(options.only))
    .map((scenario) => ({ ...scenario, opponents: scenario.opponents.filter((name) => name !== subject && !missing.has(name)) }))
    .filter(({ opponents }) => opponents.length > 0)
}

async function main() {
  try {
    const probe = await engineNamed(subject).create(join(WORK, 'probe'))
    await probe.close?.()
  } catch (error) {
    process.stderr.write(`bench: ${subject} cannot be loaded (has it been built? npm run build): ${/** @type {Error} */ (error).message}\n`)
    process.exit(1)
  }
  if (quick ? !sqliteWorks() : false) missing.set('sqlite', 'not installed, and a quick run installs nothing')
  else {
    const reason = installSqlite()
    if (reason !== null) missing.set('sqlite', reason)
  }
  const running = await service()
  for (const [name, reason] of missing) process.stdout.write(`skipped: opponent ${name}: ${reason}\n`)

  const before = conditions()
  process.stdout.write(
    `${before.cpu}, ${before.cores} cores, ${before.system}, Node ${before.node}, load ${before.load.join(' ')}\n` +
      `${processes} fresh processes per scenario; ratio = opponent's time / ${subject}'s time, median of processes (${intervalName(processes)});\n` +
      `the package writes its state behind to files in .cache while it is measured; its interaction log, which no opponent has, is off\n` +
      `(--subject package-logged: on)\n\n`,
  )
  const scenarios = chosenScenarios()
  const answers = new Map(scenarios.map((scenario) => [scenario, /** @type {Answer[]} */ ([])]))
  const jobs = shuffled(scenarios.flatMap((scenario) => Array.from({ length: processes }, (_, run) => ({ scenario, run }))))
  const start = Date.now()
  for (const [done, { scenario, run }] of jobs.entries()) {
    if (process.stderr.isTTY) process.stderr.write(`\r${done}/${jobs.length}, ${Math.round((Date.now() - start) / 1000)} s\x1b[K`)
    const job = { scenario, subject, directory: join(WORK, String(done)), rounds: quick ? 11 : 41, warmMs: quick ? 60 : 120, seed: 1000 * run, service: running }
    answers.get(scenario)?.push(await runChild(job))
  }
  if (process.stderr.isTTY) process.stderr.write('\r\x1b[K')

  const summaries = scenarios.map((scenario) => summarise(scenario, subject, answers.get(scenario) ?? []))
  const after = conditions()
  process.stdout.write(`${tables(summaries, subject)}\n\n`)
  process.stdout.write(quick ? 'A quick run: it proves that the bench works; floors are not judged.\n' : `${floors(summaries)}\n`)
  process.stdout.write(`\n${Math.round((Date.now() - start) / 1000)} s, load at the end ${after.load.join(' ')}\n`)
  writeFileSync(options.out, `${JSON.stringify({ quick, subject, conditions: { before, after }, missing: Object.fromEntries(missing), scenarios: summaries }, null, 1)}\n`)
  process.stdout.write(`written: ${relative(process.cwd(), options.out)}\n`)
}

try {
  await main()
} finally {
  rmSync(WORK, { recursive: true, force: true })
}
