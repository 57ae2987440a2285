// @ts-check
// Two processes on one directory: the second is refused and told by whom, waits when it is asked to, and takes over at once from
// one that was killed, with everything that it had acknowledged.

import assert from 'node:assert/strict'
import { join } from 'node:path'
import { setImmediate as nextTurn } from 'node:timers/promises'

import { Bandits } from '@oo/bandits'
import { Child, now, PULL_MARGIN_MS } from './child.mjs'
import { Oracle } from './oracle.mjs'
import { withScratch } from './scratch.mjs'
import { verify } from './verify.mjs'

const USERS = 50

/** @param {{ turns: number, seed: number }} settings */
export const twoProcesses = ({ turns, seed }) => withScratch(async (scratch) => {
  const stateDir = join(scratch, 'state')
  const oracle = new Oracle()
  const tally = { turns: 0, waited: 0, slowestTakeoverMs: 0, seed }
  for (let turn = 0; turn < turns; turn++) {
    const holder = new Child({ stateDir, seed: seed + turn, users: USERS }, oracle)
    await holder.until(({ returned }) => returned > 200)
    assert.throws(() => Bandits.open({ stateDir }), (error) => isLocked(error, holder.process.pid))
    await assert.rejects(Bandits.openAsync({ stateDir, lockTimeoutMs: 20 }), (error) => isLocked(error, holder.process.pid))
    // Half of the time somebody waits for the directory while its holder is killed.
    const waiting = turn % 2 === 0 ? Bandits.openAsync({ stateDir, lockTimeoutMs: 30_000 }) : undefined
    if (waiting !== undefined) await nextTurn()
    const at = await holder.kill()
    oracle.endLife(({ kind, at: when }) => kind !== 'pull' || /** @type {number} */ (when) < at - PULL_MARGIN_MS, at)
    const began = now()
    // Without somebody who waits, open() has to do at once.
    const bandits = waiting === undefined ? Bandits.open({ stateDir }) : await waiting
    if (waiting === undefined) tally.slowestTakeoverMs = Math.max(tally.slowestTakeoverMs, Math.round(now() - began))
    else tally.waited++
    await bandits.close()
    const { problems } = await verify(stateDir, oracle, { seed: 1 })
    assert.deepEqual(problems.slice(0, 10), [])
    tally.turns++
  }
  return tally
})

/** @param {any} error @param {number | undefined} pid */
function isLocked(error, pid) {
  assert.equal(error.code, 'ERR_STATE_LOCKED')
  assert.equal(error.retryable, true)
  assert.match(error.message, new RegExp(`process ${pid}\\b`))
  return true
}
