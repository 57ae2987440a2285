// @ts-check
// The torture tests at a size for every run: `npm run torture` has them at any other. What each is about stands in its file in
// torture/. TORTURE_SEED repeats a run's draws; moments in time are the machine's.

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { chmodSync, chownSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'

import { cutEverywhere } from './torture/cut.mjs'
import { eraseUnderKill, eraseUnderPowerCut } from './torture/erase.mjs'
import { exchangeTorture } from './torture/exchange.mjs'
import { failingCalls } from './torture/faults.mjs'
import { flipBits } from './torture/flips.mjs'
import { judgesCanTell } from './torture/judges.mjs'
import { killTorture } from './torture/kill.mjs'
import { powerCuts } from './torture/power.mjs'
import { twoProcesses } from './torture/processes.mjs'
import { replayCleanRun, replayKilledRun } from './torture/replay.mjs'
import * as resources from './torture/resources.mjs'
import { withScratch } from './torture/scratch.mjs'
import { isRoot, orSkip } from './torture/skip.mjs'
import { sharedEngine } from './torture/threads.mjs'
import { manyUsers } from './torture/users.mjs'

const seed = Number(process.env['TORTURE_SEED'] ?? Math.floor(Math.random() * 1e9))

/** @param {string} name @param {() => Promise<object>} work */
function torture(name, work) {
  test(name, async (t) => {
    t.diagnostic(`TORTURE_SEED=${seed}`)
    const figures = await orSkip(name, work, (why) => t.skip(why))
    if (figures !== undefined) t.diagnostic(JSON.stringify(figures))
  })
}

/**
 * In a process of its own, which an injured limit or another user does not follow back here.
 * @param {string} call of resources.mjs
 * @param {{ shell?: string, uid?: number }} how
 */
function apart(call, { shell = '', uid }) {
  const script = `import * as resources from ${JSON.stringify(new URL('torture/resources.mjs', import.meta.url).href)}
    console.log(JSON.stringify(await resources.${call}))`
  const { status, stdout, stderr } = spawnSync('sh', ['-c', `${shell} exec "$0" --input-type=module --eval "$1"`, process.execPath, script], { encoding: 'utf8', uid, gid: uid })
  assert.equal(status, 0, stderr)
  return JSON.parse(stdout)
}

torture('the judges can tell right from wrong', () => judgesCanTell({ seed }))

describe('processes that die', () => {
  torture('kill -9 at random moments', () => killTorture({ cycles: 12, seed }))
  torture('kill -9 while people are erased', () => eraseUnderKill({ cycles: 6, seed }))
  torture('two processes on one directory', () => twoProcesses({ turns: 4, seed }))
})

describe('disks that lie and die', () => {
  torture('power cuts', () => powerCuts({ cuts: 3, seed }))
  torture('power cuts while people are erased', () => eraseUnderPowerCut({ cycles: 2, seed }))
  torture('the last segment cut at every byte', () => cutEverywhere({ lines: 40, everyByteOf: 4, seed }))
  torture('bits flipped anywhere', () => flipBits({ flips: 300, seed }))
  torture('the n-th system call fails', () => failingCalls({ seed, step: 23 }))
})

describe('what runs out', () => {
  torture('a full disk', () => resources.diskFull(seed))
  torture('open() on a full disk', () => resources.openOnFullDisk(seed))
  torture('no descriptors left', async () => apart(`descriptorsUsedUp(${seed})`, { shell: 'ulimit -n 128;' }))
  torture('a read-only file system', () => resources.readOnly(seed))
  torture('a disk that answers with errors only', () => resources.diskGone(seed))
  torture('the directory is removed', () => resources.directoryRemoved(seed))
  torture('no rights to the directory', () => withScratch(async (scratch) => {
    const stateDir = join(scratch, 'state')
    mkdirSync(stateDir, { mode: 0o700 })
    // Rights do not bind root.
    const uid = isRoot() ? 65_534 : undefined
    if (uid !== undefined) {
      chmodSync(scratch, 0o755)
      chownSync(stateDir, uid, uid)
    }
    return apart(`withoutRights(${seed}, ${JSON.stringify(stateDir)})`, { uid })
  }))
})

describe('many at once', () => {
  torture('eight threads share an engine and a small hot set', () => sharedEngine({ rewards: 1000, seed }))
  torture('thousands of users through a small hot set', () => manyUsers({ users: 5000, hot: 200 }))
})

describe('taking turns', () => {
  torture('with the Python service, its resets and torn files', () => exchangeTorture({ turns: 6, seed }))
})

describe('replay', () => {
  torture('of clean lives, byte for byte', () => replayCleanRun({ lives: 3, calls: 400, seed }))
  torture('of killed lives', () => replayKilledRun({ cycles: 3, seed }))
})
