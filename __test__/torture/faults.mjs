// @ts-check
// The n-th system call of a kind fails, for every n until a run is through without a fault: what was acknowledged is there when
// the directory is opened again, and what was refused is not. strace puts the errors in, into calls on the state directory only.

import { existsSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'

import { Child } from './child.mjs'
import { Oracle } from './oracle.mjs'
import { withScratch } from './scratch.mjs'
import { hasProgram, run, skip } from './skip.mjs'
import { verify } from './verify.mjs'

const USERS = 5
/** A call and how it fails. A short write is not among them: strace can say that a part was written, but then it was not. */
const FAULTS = /** @type {[string, string][]} */ ([
  ['openat', 'error=ENOSPC'], ['openat', 'error=EMFILE'], ['openat', 'error=EIO'],
  ['write', 'error=ENOSPC'], ['write', 'error=EIO'], ['write', 'error=EINTR'],
  ['fdatasync', 'error=EIO'], ['fdatasync', 'error=ENOSPC'], ['fsync', 'error=EIO'],
  ['renameat,renameat2', 'error=EIO'], ['renameat,renameat2', 'error=ENOSPC'],
  ['mkdirat,mkdir', 'error=ENOSPC'], ['unlinkat,unlink', 'error=EIO'], ['flock', 'error=EINTR'],
  ['fstat,newfstatat,statx', 'error=EIO'], ['read', 'error=EIO'], ['getdents64', 'error=EIO'],
])
/** No run takes more calls of a kind than this. */
const MOST = 400

/**
 * @param {{ seed: number, step?: number, onRun?: (done: number) => void }} settings every `step`-th call is made to fail
 */
export async function failingCalls({ seed, step = 1, onRun }) {
  if (!hasProgram('strace')) skip('strace is not here; the Rust tests put faults into a disk of their own')
  const tally = { runs: 0, injected: 0, refusals: 0, opensRefused: 0, rewards: 0, seed, perCall: /** @type {Record<string, number>} */ ({}) }
  await withScratch(async (scratch) => {
    try {
      run('strace', ['-f', '-o', join(scratch, 'probe'), '-e', 'inject=fsync:error=EIO:when=1', 'true'])
    } catch (error) {
      skip(`strace may not trace here: ${String(error).split('\n')[0]}`)
    }
    for (const [k, [calls, outcome]] of FAULTS.entries()) {
      // The first call, and with larger steps some of those behind it, others with another seed.
      for (let n = 1; n <= MOST; n += n === 1 && step > 1 ? 1 + ((seed + k) % step) : step) {
        const hits = await oneRun(scratch, calls, outcome, n, seed + tally.runs, tally)
        onRun?.(tally.runs)
        if (hits === 0) break
        tally.injected += hits
        tally.perCall[`${calls}:${outcome}`] = n
      }
    }
  })
  if (tally.injected === 0) throw new Error('strace put no error in: the test proves nothing')
  return tally
}

/**
 * @param {string} scratch @param {string} calls @param {string} outcome @param {number} n @param {number} seed
 * @param {{ runs: number, refusals: number, opensRefused: number, rewards: number }} tally
 * @returns {Promise<number>} how many calls were made to fail
 */
async function oneRun(scratch, calls, outcome, n, seed, tally) {
  const stateDir = join(scratch, 'state')
  rmSync(stateDir, { recursive: true, force: true })
  const trace = join(scratch, 'trace')
  const segments = [1, 2, 3].map((epoch) => join(stateDir, 'log', `${String(epoch).padStart(10, '0')}-${'0'.repeat(16)}.jsonl`))
  const places = [stateDir, join(stateDir, 'log'), join(stateDir, '.state.tmp'), join(stateDir, '.lock'), join(stateDir, '.epoch'), join(stateDir, '.epoch.tmp'), ...segments].flatMap((path) => ['-P', path])
  const strace = ['strace', '-f', '-qq', '-o', trace, ...places, '-e', `trace=${calls}`, '-e', `inject=${calls}:${outcome}:when=${n}`]
  const oracle = new Oracle()
  const child = new Child({ stateDir, users: USERS, seed, calls: 40, burst: 5, flushEvery: 1, checkpointEvery: 3, restartEvery: 3 }, oracle, { prefix: strace })
  const { code, signal } = await child.end()
  const where = `${calls} ${outcome} at call ${n}, seed ${seed}`
  tally.runs++
  tally.rewards += child.acknowledgedRewards
  tally.refusals += [...child.refusals.values()].reduce((sum, count) => sum + count, 0)
  if (signal !== null || (code !== 0 && child.failure === undefined)) throw new Error(`${where}: the child ended with ${code ?? signal}: ${child.stderr}`)
  // open() and close() may fail, too, as a typed error.
  if (child.failure !== undefined) {
    if (!child.failure.startsWith('ERR_STATE_IO ')) throw new Error(`${where}: ${child.failure}`)
    tally.opensRefused++
  }
  for (const refused of child.refusals.keys()) if (refused !== 'ERR_STATE_IO') throw new Error(`${where}: refused with ${refused}`)
  // Pulls that nobody waited for may be gone with an engine that could not be closed.
  oracle.endLife(({ kind }) => kind !== 'pull' || child.phase === 'closed')
  const injected = existsSync(trace) ? readFileSync(trace, 'utf8').split('\n').filter((line) => line.includes('(INJECTED)')).length : 0
  if (!existsSync(stateDir)) return injected
  const { problems } = await verify(stateDir, oracle, { seed: 1 }, { faults: true })
  if (problems.length > 0) throw new Error(`${where}: ${problems.length} problems:\n  ${problems.slice(0, 10).join('\n  ')}\n${readFileSync(trace, 'utf8').split('\n').filter((line) => line.includes('(INJECTED)')).join('\n')}`)
  return injected
}
