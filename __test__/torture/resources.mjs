// @ts-check
// What runs out or is taken away while the engine is at work: score() goes on, reward() says what is wrong and has not happened,
// health() says so, and when the fault is over everything that was acknowledged is there.

import assert from 'node:assert/strict'
import { closeSync, existsSync, openSync, rmSync, statfsSync, writeFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'

import { Bandits } from '@oo/bandits'
import { until } from '../support/until.mjs'
import { drive, nothingLost } from './drive.mjs'
import { POLICIES } from './features.mjs'
import { PowerSupply, withTmpfs } from './mounts.mjs'
import { Oracle } from './oracle.mjs'
import { withScratch } from './scratch.mjs'
import { callsOf, userIds } from './script.mjs'
import { verify } from './verify.mjs'

const USERS = 40
const LOUD = /ERR_STATE_IO|ERR_BACKPRESSURE/
/** @typedef {{ [what: string]: number }} Refused */

/** @param {Refused} refused @param {string} when */
function assertTyped(refused, when) {
  for (const what of Object.keys(refused)) assert.match(what, /^(reward|reset) (ERR_STATE_IO|ERR_BACKPRESSURE)$/, when)
}

/** @param {string} stateDir @param {Oracle} oracle @param {object} [options] */
async function assertNothingLost(stateDir, oracle, options) {
  nothingLost(oracle)
  const { problems } = await verify(stateDir, oracle, options, { faults: true })
  assert.deepEqual(problems.slice(0, 10), [], `${problems.length} problems`)
}

/** @param {number} seed */
const script = (seed) => callsOf({ seed, users: userIds(USERS) })

/** An engine that has everybody in memory: whom it would have to read first it can neither score nor teach when nothing can be read. @param {string} stateDir @param {number} seed @param {Oracle} oracle */
function openWarm(stateDir, seed, oracle) {
  const bandits = Bandits.open({ stateDir, seed })
  const calls = script(seed)
  drive(bandits, oracle, calls, 300)
  for (const userId of userIds(USERS)) {
    const request = { userId, candidates: [{ id: `warm-${seed}`, features: { isOverdue: false, taskAgeDays: 0, priority: 1 } }], context: { hourOfDay: 12, dayOfWeek: 0 }, policy: POLICIES[0] }
    const [event] = oracle.intend({ kind: 'score', request })
    if (event !== undefined) oracle.acknowledge(event, bandits.score(request), 0)
  }
  return { bandits, calls }
}

/** A disk that is full, for long enough that memory has to hold out, and then is not. @param {number} seed */
export const diskFull = (seed) => withScratch((scratch) => withTmpfs(scratch, '8m', async (stateDir) => {
  const oracle = new Oracle()
  const { bandits, calls } = openWarm(stateDir, seed, oracle)
  await bandits.checkpoint()
  const filler = join(stateDir, 'filler')
  fill(filler)
  const { refused, scored, learned } = drive(bandits, oracle, calls, 6000)
  assertTyped(refused, 'disk full')
  assert.ok(Object.keys(refused).some((what) => LOUD.test(what)), `nothing was refused on a full disk: ${scored} scored, ${learned} learned`)
  assert.equal(Object.keys(refused).some((what) => what.startsWith('score')), false)
  assert.ok(scored > 1000)
  assert.equal(bandits.health().ok, false)
  assert.ok(log(bandits).errors > 0 && log(bandits).lastError !== null)
  await assert.rejects(bandits.flush(), { name: 'BanditError' })
  rmSync(filler)
  await until(() => drive(bandits, oracle, calls, 20).learned > 0, 'rewards are taken again')
  await until(() => bandits.flush().then(() => true, () => false), 'flush() resolves again')
  drive(bandits, oracle, calls, 200)
  await until(() => !log(bandits).failing && bandits.health().writer.failing === false, 'health() is well again')
  await bandits.close()
  await assertNothingLost(stateDir, oracle, { seed: 1 })
  return { scored, learned, refused }
}))

/** Everything that is left of it. @param {string} filler */
function fill(filler) {
  const fd = openSync(filler, 'w')
  const block = Buffer.alloc(4096)
  try {
    for (;;) writeSync(fd, block)
  } catch (error) {
    assert.equal(/** @type {NodeJS.ErrnoException} */ (error).code, 'ENOSPC')
  } finally {
    closeSync(fd)
  }
  assert.equal(statfsSync(filler).bavail, 0)
}

/** @param {Bandits} bandits @returns {any} */
const log = (bandits) => /** @type {any} */ (bandits.health()).log

/** A full disk from the beginning, and one that is full when it is opened again. @param {number} seed */
export const openOnFullDisk = (seed) => withScratch((scratch) => withTmpfs(scratch, '1m', async (mount) => {
  const stateDir = join(mount, 'state')
  const oracle = new Oracle()
  const calls = script(seed)
  const bandits = Bandits.open({ stateDir, seed })
  drive(bandits, oracle, calls, 200)
  await bandits.close()
  const filler = join(mount, 'filler')
  fill(filler)
  const { refused } = openRefused({ stateDir, seed })
  rmSync(filler)
  await assertNothingLost(stateDir, oracle, { seed: 1 })
  return { open: refused }
}))

/** open() may refuse, with a typed error. @param {import('@oo/bandits').BanditsOptions} options */
function openRefused(options) {
  try {
    void Bandits.open(options).close().catch(() => undefined)
    return { refused: 'opened' }
  } catch (error) {
    assert.equal(/** @type {Error} */ (error).name, 'BanditError', String(error))
    assert.match(/** @type {any} */ (error).code, /^ERR_STATE_IO$/)
    return { refused: /** @type {any} */ (error).code }
  }
}

/**
 * No descriptor left in this process. Whoever calls this lowered the limit, or there would be a million to open.
 * @param {number} seed
 */
export const descriptorsUsedUp = (seed) => withScratch(async (scratch) => {
  const stateDir = join(scratch, 'state')
  const oracle = new Oracle()
  const { bandits, calls } = openWarm(stateDir, seed, oracle)
  await bandits.checkpoint()
  const held = useUp()
  const { refused, scored, learned } = drive(bandits, oracle, calls, 1000)
  assertTyped(refused, 'no descriptors')
  // Files cannot be written: after a moment health() says so.
  await until(() => !bandits.health().ok, 'health() says that files cannot be written')
  const other = openRefused({ stateDir: join(scratch, 'other'), seed })
  for (const fd of held) closeSync(fd)
  await until(() => bandits.checkpoint().then(() => true, () => false), 'checkpoint() resolves again')
  drive(bandits, oracle, calls, 100)
  assert.equal(bandits.health().ok, true)
  await bandits.close()
  await assertNothingLost(stateDir, oracle, { seed: 1 })
  return { scored, learned, refused, opened: held.length, open: other.refused }
})

function useUp() {
  /** @type {number[]} */
  const held = []
  for (;;) {
    try {
      held.push(openSync('/dev/null', 'r'))
    } catch (error) {
      assert.equal(/** @type {NodeJS.ErrnoException} */ (error).code, 'EMFILE')
      return held
    }
    assert.ok(held.length < 5000, 'the limit on open files was not lowered')
  }
}

/** A file system that was mounted again read-only before open(). @param {number} seed */
export const readOnly = (seed) => withScratch((scratch) => withTmpfs(scratch, '8m', async (mount) => {
  const { run } = await import('./skip.mjs')
  const stateDir = join(mount, 'state')
  const oracle = new Oracle()
  const bandits = Bandits.open({ stateDir, seed })
  drive(bandits, oracle, script(seed), 300)
  await bandits.close()
  run('mount', ['-o', 'remount,ro', mount])
  const { refused } = openRefused({ stateDir, seed })
  assert.equal(refused, 'ERR_STATE_IO')
  run('mount', ['-o', 'remount,rw', mount])
  await assertNothingLost(stateDir, oracle, { seed: 1 })
  return { open: refused }
}))

/** A disk that answers everything with EIO from some moment on. @param {number} seed */
export const diskGone = (seed) => withScratch(async (scratch) => {
  const supply = await PowerSupply.plug(scratch, 64)
  try {
    const stateDir = join(supply.mountPoint, 'state')
    const oracle = new Oracle()
    const { bandits, calls } = openWarm(stateDir, seed, oracle)
    await bandits.checkpoint()
    nothingLost(oracle)
    await supply.cut()
    const { refused, scored, learned } = drive(bandits, oracle, calls, 1000)
    assertTyped(refused, 'disk gone')
    assert.equal(learned, 0, 'rewards were acknowledged that no disk took')
    assert.ok(scored > 100)
    await until(() => !bandits.health().ok && log(bandits).errors > 0, 'health() says that the disk is gone')
    await assert.rejects(bandits.flush(), { code: 'ERR_STATE_IO' })
    await assert.rejects(bandits.close(), { code: 'ERR_STATE_IO' })
    supply.unmount()
    supply.mount()
    oracle.endLife(() => false)
    const { problems } = await verify(stateDir, oracle, { seed: 1 }, { faults: true })
    assert.deepEqual(problems.slice(0, 10), [])
    return { scored, refused }
  } finally {
    await supply.unplug()
  }
})

/** The directory is removed while the engine has it: what was in it is gone, and no later call may be acknowledged for long without being kept. @param {number} seed */
export const directoryRemoved = (seed) => withScratch(async (scratch) => {
  const stateDir = join(scratch, 'state')
  const oracle = new Oracle()
  const { bandits, calls } = openWarm(stateDir, seed, oracle)
  await bandits.checkpoint()
  rmSync(stateDir, { recursive: true })
  const first = drive(bandits, oracle, calls, 1000)
  assertTyped(first.refused, 'directory removed')
  assert.ok(first.scored > 300)
  // The state files say so first. The log has its segment open, and looks after it with the next sync, at most a second later.
  await until(() => !bandits.health().ok && /** @type {any} */ (bandits.health()).log.failing, 'health() says that the directory is gone')
  const later = drive(bandits, oracle, calls, 1000)
  assertTyped(later.refused, 'directory removed')
  assert.ok(later.scored > 300)
  assert.equal(later.learned, 0, 'rewards are acknowledged that go to a directory that is no more')
  const closing = await bandits.close().then(() => 'resolved', (error) => error.code)
  if (closing === 'resolved') {
    // It made the directory anew from memory: then all of it has to be there.
    await assertNothingLost(stateDir, oracle, { seed: 1 })
  } else {
    assert.equal(closing, 'ERR_STATE_IO')
    assert.equal(existsSync(stateDir), false)
  }
  return { acknowledgedAtOnce: first.learned, acknowledgedLater: later.learned, refused: later.refused, close: closing }
})

/** Where rights forbid new files: the log's own descriptor still writes. Not for root, whom rights do not bind. @param {number} seed @param {string} stateDir */
export async function withoutRights(seed, stateDir) {
  const { chmodSync } = await import('node:fs')
  const oracle = new Oracle()
  const { bandits, calls } = openWarm(stateDir, seed, oracle)
  await bandits.checkpoint()
  for (const directory of [stateDir, join(stateDir, 'log')]) chmodSync(directory, 0o500)
  assert.throws(() => writeFileSync(join(stateDir, 'probe'), ''), { code: 'EACCES' })
  const { refused, scored, learned } = drive(bandits, oracle, calls, 1000)
  assertTyped(refused, 'no rights')
  await until(() => !bandits.health().ok, 'health() says that files cannot be written')
  for (const directory of [stateDir, join(stateDir, 'log')]) chmodSync(directory, 0o700)
  await until(() => bandits.checkpoint().then(() => true, () => false), 'checkpoint() resolves again')
  await bandits.close()
  await assertNothingLost(stateDir, oracle, { seed: 1 })
  return { scored, learned, refused }
}
