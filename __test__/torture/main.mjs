// @ts-check
// The torture tests at any size: node __test__/torture/main.mjs [what] [--size N] …, and 'all' for the sizes that a release has
// to stand. Prints one line of figures for each, and ends with 1 when anything was lost, doubled or wrong.

import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'

import { decisionTorture } from '../decisions/torture.mjs'
import { command, runAll } from './command.mjs'
import { cutEverywhere } from './cut.mjs'
import { eraseUnderKill, eraseUnderPowerCut } from './erase.mjs'
import { exchangeTorture } from './exchange.mjs'
import { failingCalls } from './faults.mjs'
import { flipBits } from './flips.mjs'
import { judgesCanTell } from './judges.mjs'
import { killTorture } from './kill.mjs'
import { powerCuts } from './power.mjs'
import { twoProcesses } from './processes.mjs'
import { replayCleanRun, replayKilledRun } from './replay.mjs'
import * as resources from './resources.mjs'
import { sharedEngine } from './threads.mjs'
import { manyUsers } from './users.mjs'

const USAGE = `usage: node __test__/torture/main.mjs [what] [options]
  kill      --cycles 1000    kill -9 of a child at work (--on DIRECTORY, else in memory)
  power     --cuts 200       power cuts of an ext4 file system (root)
  cut       --lines 40       the last segment cut at every byte
  flips     --flips 10000    one bit flipped in what the package wrote
  decisions --decisions 100000  each final reward is learned from once, with kill -9, restarts and changes of policies
  erase     --cycles 100 --cuts 50 --megabytes 96  both while people are erased; a fifth of the cuts with a log so large
  resources                  full disk, no descriptors, read-only, removed (partly root)
  faults    --step 1         the n-th system call fails (strace)
  processes --turns 40       two processes on one directory
  threads   --rewards 50000  eight threads share an engine (rewards of each)
  users     --users 1000000 --hot 50000 (--on DIRECTORY, which a million files have to fit into)
  exchange  --turns 40       the Python service on the same directory (REFERENCE_DIR)
  judges                     that the judges can tell right from wrong
  replay    --cycles 50      state files from the log alone
  all                        everything, at these sizes
  --seed N  for all of them; drawn and printed where it is not given`

const { what = 'kill', values, size, seed, refuse } = command(USAGE, ['cycles', 'cuts', 'decisions', 'lines', 'flips', 'step', 'turns', 'rewards', 'users', 'hot', 'megabytes', 'on'])

/** @param {string} name @returns {(done: number) => void} */
function progress(name) {
  let last = performance.now()
  return (done) => {
    if (performance.now() - last < 10_000) return
    last = performance.now()
    process.stderr.write(`torture: ${name}: ${done} …\n`)
  }
}

/** Descriptors are used up in a process of its own, whose limit is low. */
async function lowLimit() {
  const script = `import { descriptorsUsedUp } from ${JSON.stringify(new URL('resources.mjs', import.meta.url).href)}
    console.log(JSON.stringify(await descriptorsUsedUp(${seed})))`
  const { status, stdout, stderr } = spawnSync('sh', ['-c', 'ulimit -n 128; exec "$0" --input-type=module --eval "$1"', process.execPath, script], { encoding: 'utf8', cwd: fileURLToPath(new URL('../..', import.meta.url)) })
  if (status !== 0) throw new Error(stderr)
  return JSON.parse(stdout)
}

/** @type {Record<string, import('./command.mjs').Torture[]>} */
const TESTS = {
  judges: [['judges', () => judgesCanTell({ seed })]],
  kill: [['kill -9', () => killTorture({ cycles: size('cycles', 1000), seed, onCycle: progress('kill -9'), ...(values['on'] && { place: values['on'] }) })]],
  power: [['power cuts', () => powerCuts({ cuts: size('cuts', 200), seed, onCycle: progress('power cuts') })]],
  cut: [['segment cut at every byte', () => cutEverywhere({ lines: size('lines', 40), seed })]],
  flips: [['bit flips', () => flipBits({ flips: size('flips', 10_000), seed, onFlip: progress('bit flips') })]],
  resources: [
    ['disk full', () => resources.diskFull(seed)],
    ['open on a full disk', () => resources.openOnFullDisk(seed)],
    ['no descriptors', lowLimit],
    ['read-only', () => resources.readOnly(seed)],
    ['disk gone', () => resources.diskGone(seed)],
    ['directory removed', () => resources.directoryRemoved(seed)],
  ],
  decisions: [['decisions', () => decisionTorture({ decisions: size('decisions', 100_000), seed, onLife: progress('decisions') })]],
  erase: [
    ['kill -9 of erasures', () => eraseUnderKill({ cycles: size('cycles', 100), seed })],
    ['power cuts of erasures', () => eraseUnderPowerCut({ cycles: size('cuts', 50), seed })],
    ['power cuts of long erasures', () => eraseUnderPowerCut({ cycles: Math.ceil(size('cuts', 50) / 5), seed, megabytes: size('megabytes', 96) })],
  ],
  faults: [['failing system calls', () => failingCalls({ seed, step: Math.max(1, size('step', 1)), onRun: progress('failing system calls') })]],
  processes: [['two processes', () => twoProcesses({ turns: size('turns', 40), seed })]],
  threads: [['eight threads', () => sharedEngine({ rewards: size('rewards', 50_000), seed })]],
  users: [['many users', () => manyUsers({ users: size('users', 1_000_000), hot: size('hot', 50_000), onPoint: (line) => process.stderr.write(`torture: ${line}\n`), under: values['on'] })]],
  exchange: [['the service in turns', () => exchangeTorture({ turns: size('turns', 40), seed })]],
  replay: [
    ['replay of clean lives', () => replayCleanRun({ lives: 5, calls: 2000, seed })],
    ['replay of killed lives', () => replayKilledRun({ cycles: size('cycles', 50), seed })],
  ],
}

const chosen = what === 'all' ? Object.values(TESTS).flat() : TESTS[what]
await runAll(chosen ?? refuse(), seed)
