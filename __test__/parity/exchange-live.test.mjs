// @ts-check
// The package and the real service take turns on one STATE_DIR, with random calls; the service alone makes every call on a
// second directory. Needs REFERENCE_DIR (a directory with serving/main.py) and Python. A failure prints the seed; set
// EXCHANGE_SEED to see it again (the package's own exploration is seeded by it too).

import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { test } from 'node:test'

import { Bandits } from '@oo/bandits'

import { missing } from '../../scripts/obtained.mjs'
import { startDriver } from './driver.mjs'
import { assertAllClose, assertClose, POLICIES, replay, Tally } from './replay.mjs'
import { assertSameBits, assertSameState, readState, scratch, startingState, stateFileNames, SUFFIX } from './state-files.mjs'

/** @typedef {import('./replay.mjs').PolicyName} PolicyName */
/** @typedef {{ shared: string, pure: string, touched: Set<string>, tally: Tally, seed: number }} Run */

const USERS = ['user1', 'bob@example.com', 'Жанна', '名前', 'team.a/b', 'x²', 'L'.repeat(150), 'only pulled', '7', '..']
const TURNS = 12
const CALLS_PER_TURN = 150
/** @type {(userId: string, policy: PolicyName) => string} */
const fileName = (userId, policy) => `${userId.replace(/[^\p{L}\p{N}]/gu, '_')}${SUFFIX[policy]}.json`

const referenceDir = process.env['REFERENCE_DIR']
const SKIP = referenceDir ? false : missing('exchange-live: skipped, REFERENCE_DIR is not set (a directory with serving/main.py)')

test('the package and the service take turns on one directory', { skip: SKIP }, async (t) => {
  assert.ok(referenceDir)
  assert.ok(existsSync(join(referenceDir, 'serving', 'main.py')), 'REFERENCE_DIR has no serving/main.py')
  const seed = Number(process.env['EXCHANGE_SEED'] ?? Math.floor(Math.random() * 2 ** 32))
  t.diagnostic(`EXCHANGE_SEED=${seed}`)
  const driver = await startDriver(resolve(referenceDir), seed)
  if (driver === null) return t.skip('no Python')
  t.after(() => driver.close())

  const directory = scratch(t)
  /** @type {Run} */
  const run = { shared: join(directory, 'shared'), pure: join(directory, 'pure'), touched: new Set(), tally: new Tally(), seed }
  for (let turn = 0; turn < TURNS; turn++) {
    const before = turn === 0 ? new Map() : readAll(run.shared)
    run.touched.clear()
    if (turn % 2 === 0) await serviceTurn(driver, run, `turn ${turn} (service)`)
    else await packageTurn(driver, run, `turn ${turn} (package)`)
    await compareDirectories(driver, run, before, `after turn ${turn}`)
  }
  t.diagnostic(`${run.tally.calls} calls by the package, ${run.tally.nearTies} near ties`)
})

/**
 * A call drawn by the driver, with `touched` kept: users that were trained or reset, so whose numbers may change.
 * @param {import('./driver.mjs').Driver} driver
 * @param {Run} run
 * @param {number} i
 */
async function drawCall(driver, { touched }, i) {
  const user = /** @type {string} */ (USERS[i % USERS.length])
  const call = await driver.ask({ draw: user, resets: user === '7' ? 12 : 1 })
  if (user === 'only pulled' && call.op !== 'score') return null
  if (call.op === 'reward') touched.add(fileName(user, call.policy))
  if (call.op === 'reset') for (const policy of POLICIES) touched.add(fileName(user, policy))
  return call
}

/**
 * The service makes the same call on both directories, exploring alike.
 * @param {import('./driver.mjs').Driver} driver
 * @param {Run} run
 * @param {string} what
 */
async function serviceTurn(driver, run, what) {
  for (let i = 0; i < CALLS_PER_TURN; i++) {
    const call = await drawCall(driver, run, i)
    if (call === null) continue
    const pure = await driver.ask({ ...call, directory: run.pure })
    const shared = await driver.ask({ ...call, directory: run.shared })
    const at = `${what} #${i} ${call.op} ${call.policy} ${call.user_id}`
    if (call.op === 'score') {
      assertAllClose(shared.candidate_scores, pure.candidate_scores, at)
      assertClose(shared.response.score, pure.response.score, at)
      assert.equal(shared.exploring, pure.exploring, at)
      if (pure.exploring) run.tally.explore(call.user_id, call.policy)
    } else if (call.op === 'stats') {
      assertAllClose(shared.response.theta, pure.response.theta, at)
    } else if (call.op === 'reset') {
      run.tally.reset(call.user_id)
    }
  }
}

/**
 * The package makes the calls on the shared directory, the service on its own.
 * @param {import('./driver.mjs').Driver} driver
 * @param {Run} run
 * @param {string} what
 */
async function packageTurn(driver, run, what) {
  const bandits = Bandits.open({ stateDir: run.shared, seed: run.seed })
  try {
    for (let i = 0; i < CALLS_PER_TURN; i++) {
      const call = await drawCall(driver, run, i)
      if (call === null) continue
      const op = await driver.ask({ ...call, directory: run.pure })
      replay(bandits, call.user_id, op, run.tally, `${what} #${i} ${call.user_id}`)
    }
  } finally {
    await bandits.close()
  }
}

/**
 * The same users with the same numbers in both directories; those that nobody trained in this turn, to the bit as before it.
 * @param {import('./driver.mjs').Driver} driver
 * @param {Run} run
 * @param {Map<string, import('./state-files.mjs').State>} before
 * @param {string} what
 */
async function compareDirectories(driver, run, before, what) {
  const shared = readAll(run.shared)
  const pure = readAll(run.pure)
  assert.equal(await driver.ask({ check: run.shared }), shared.size, `${what}: the service reads every file`)
  const known = new Map(USERS.flatMap((user) => POLICIES.map((policy) => [fileName(user, policy), { user, policy }])))
  for (const name of new Set([...shared.keys(), ...pure.keys()])) {
    const owner = known.get(name)
    assert.ok(owner, `${what}: nobody's file ${name}`)
    const actual = shared.get(name)
    assert.ok(actual, `${what}: ${name} is missing`)
    const expected = pure.get(name) ?? startingState(actual.b.length) // reset: the package may leave a starting state
    const exploreCount = run.tally.explored(owner.user, owner.policy)
    assertSameState(actual, expected, { what: `${what} ${name}`, exploreCount })
    const old = before.get(name)
    if (old !== undefined && !run.touched.has(name)) assertSameBits(actual, old, `${what} ${name}`)
  }
}

/** @param {string} directory */
const readAll = (directory) => new Map(stateFileNames(directory).map((name) => [name, readState(join(directory, name))]))
