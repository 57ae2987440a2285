// @ts-check
// `npm run bench:paired -- <A> <B>`: is build B slower than build A? Each is a package's directory or its `dist`. Both are loaded into each of some
// fresh processes and make the same calls, taking turns (ABBA). Prints for each kind of call the ratio of their times, B by A: the
// median over the processes with a 95 % interval.
//
//   --processes N    fresh processes a kind (default 11)
//   --rounds N       turns a process, of four blocks each (default 200)
//   --only TEXT      only the kinds whose name contains it
//   --limit X        ends with 1 where an interval lies above it (default 1.05)
//   --options JSON   options of B's engines, such as {"unknownKeys":"refuse"}
import { spawn } from 'node:child_process'
import { existsSync, mkdirSync, rmSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { conditions } from './conditions.mjs'
import { intervalName, median, medianInterval } from './statistics.mjs'

/** @typedef {import('./paired-child.mjs').Kind} Kind */
/** @typedef {import('./paired-child.mjs').Answer} Answer */

/** @type {Kind[]} */
const KINDS = [
  ...[1, 10, 100, 1000].map((n) => /** @type {const} */ ({ name: `score, n=${n}`, call: 'score', n, log: 'off' })),
  { name: 'score, n=10, logged', call: 'score', n: 10, log: 'on' },
  ...[10, 100].map((n) => /** @type {const} */ ({ name: `score of a prepared set, n=${n}`, call: 'score', n, log: 'off', prepared: true })),
  ...[1, 10].map((n) => /** @type {const} */ ({ name: `scoreMany of 32, n=${n}`, call: 'scoreMany', n, log: 'off' })),
  { name: 'prepare, n=100', call: 'prepare', n: 100, log: 'off' },
  { name: 'reward', call: 'reward', n: 1, log: 'on' },
  ...[3, 100].map((n) => /** @type {const} */ ({ name: `recommend, n=${n}`, call: 'recommend', n, log: 'on' })),
  { name: 'feedback', call: 'feedback', n: 3, log: 'on' },
]
const CHILD = fileURLToPath(new URL('./paired-child.mjs', import.meta.url))
// On a disk, where state belongs.
const WORK = fileURLToPath(new URL(`../../.cache/paired-${process.pid}/`, import.meta.url))
const CHILD_TIMEOUT_MS = 120_000

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    processes: { type: 'string', default: '11' }, rounds: { type: 'string', default: '200' }, only: { type: 'string', default: '' },
    limit: { type: 'string', default: '1.05' }, options: { type: 'string', default: '{}' },
  },
})

/** @param {string} text @param {string} name */
function wholeNumber(text, name) {
  const number = Number(text)
  if (!(Number.isInteger(number) && number > 0)) throw new Error(`--${name} takes a whole number from 1`)
  return number
}

/** The build's entry. @param {string} directory */
function entryOf(directory) {
  const entry = [join(directory, 'dist', 'index.js'), join(directory, 'index.js')].map((path) => resolve(path)).find(existsSync)
  if (entry === undefined) throw new Error(`${directory}: neither a package that was built nor its dist`)
  return entry
}

/** @param {import('./paired-child.mjs').Job} job @returns {Promise<Answer>} */
function measured(job) {
  mkdirSync(job.directory, { recursive: true })
  return new Promise((done, fail) => {
    const child = spawn(process.execPath, [CHILD, JSON.stringify(job)], { stdio: ['ignore', 'pipe', 'inherit'], timeout: CHILD_TIMEOUT_MS, killSignal: 'SIGKILL' })
    let text = ''
    child.stdout.setEncoding('utf8').on('data', (chunk) => (text += chunk))
    child.on('error', fail)
    child.on('close', (code, signal) => {
      rmSync(job.directory, { recursive: true, force: true })
      // Once it has answered it ends itself by a signal.
      if (text.endsWith('\n')) done(JSON.parse(text))
      else fail(new Error(`${job.kind.name}: the process ended with ${signal ?? code}`))
    })
  })
}

async function main() {
  if (positionals.length !== 2) throw new Error('npm run bench:paired -- <directory of build A> <directory of build B>')
  const [a, b] = positionals.map(entryOf)
  const [processes, rounds, limit] = [wholeNumber(values.processes, 'processes'), wholeNumber(values.rounds, 'rounds'), Number(values.limit)]
  const kinds = KINDS.filter(({ name }) => name.includes(values.only)).map((kind) => ({ ...kind, options: JSON.parse(values.options) }))
  const { cpu, cores, node, load } = conditions()
  process.stdout.write(`A ${a}\nB ${b}\n${cpu}, ${cores} cores, Node ${node}, load ${load.join(' ')}; B's time by A's: ${intervalName(processes)}\n`)
  let slower = 0
  const answers = new Map(kinds.map((kind) => [kind, /** @type {Answer[]} */ ([])]))
  // Kind by kind within each round of processes: no minute of a busy machine falls on one kind alone.
  for (let run = 0; run < processes; run++) {
    for (const kind of kinds) answers.get(kind)?.push(await measured({ kind, builds: [a, b], rounds, directory: join(WORK, String(run)), seed: run }))
  }
  for (const [{ name }, all] of answers) {
    const { median: ratio, low, high } = medianInterval(all.map((answer) => answer.ratio))
    const [ofA, ofB] = [0, 1].map((place) => median(all.map(({ ns }) => ns[place])))
    if (low > limit) slower++
    process.stdout.write(`  ${name.padEnd(30)} ${ratio.toFixed(3)} [${low.toFixed(3)}, ${high.toFixed(3)}]   ${ofA.toFixed(0)} → ${ofB.toFixed(0)} ns${low > limit ? `   SLOWER than ${limit}` : ''}\n`)
  }
  process.stdout.write(`load at the end ${conditions().load.join(' ')}\n`)
  if (slower > 0) process.exitCode = 1
}

try {
  await main()
} catch (error) {
  process.stderr.write(`bench:paired: ${/** @type {Error} */ (error).message}\n`)
  process.exitCode = 1
} finally {
  rmSync(WORK, { recursive: true, force: true })
}
