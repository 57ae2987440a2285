// @ts-check
// The Python service and the package take turns on one directory, and neither leaves it as the other would wish: the package is
// killed, the service removes files (its reset) and tears one (it writes in place, and died).

import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync, truncateSync } from 'node:fs'
import { join, resolve } from 'node:path'

import { BanditError, Bandits } from '@oo/bandits'
import { random } from '../bench/workload.mjs'
import { startDriver } from '../parity/driver.mjs'
import { camelCase } from '../parity/replay.mjs'
import { Child, PULL_MARGIN_MS } from './child.mjs'
import { keyOf, readDirectory, readStateFiles } from './directory.mjs'
import { POLICIES } from './features.mjs'
import { compareSeq } from './log-reader.mjs'
import { Oracle } from './oracle.mjs'
import { withScratch } from './scratch.mjs'
import { skip } from './skip.mjs'
import { close, copy, difference, learn, start } from './standing.mjs'

/** @typedef {import('./standing.mjs').Standing} Standing */
/** @typedef {import('@oo/bandits').PolicyName} PolicyName */

/** Names that the service tells apart. */
const NAMES = ['user1', 'bob@example.com', 'Жанна', '名前', 'team/b', 'x²', '7', '..', 'p'.repeat(100)]
const CALLS = 60
/**
 * Of lives that are killed. A reset that only the log has is applied to what the service left meanwhile, and takes that with it:
 * nothing tells which came first. Rewards and pulls add up in any order.
 */
const WITHOUT_RESETS = { reward: 57, score: 43 }
const SUFFIX = { 'linucb-v1': '', 'egreedy-v1': '_egreedy', 'egreedy-v2': '_egreedy_v2' }
const OWNERS = new Map(NAMES.flatMap((userId) => POLICIES.map((policy) => [`${userId.replace(/[^\p{L}\p{N}]/gu, '_')}${SUFFIX[policy]}.json`, { userId, policy }])))
/** Files that the service made name nobody. @type {import('./directory.mjs').Owner} */
const ownerOf = (name) => OWNERS.get(name)

/** @param {{ turns: number, seed: number }} settings */
export async function exchangeTorture({ turns, seed }) {
  const referenceDir = process.env['REFERENCE_DIR']
  if (!referenceDir) skip('REFERENCE_DIR is not set (a directory with serving/main.py)')
  assert.ok(existsSync(join(referenceDir, 'serving', 'main.py')), 'REFERENCE_DIR has no serving/main.py')
  const driver = await startDriver(resolve(referenceDir), seed)
  if (driver === null) skip('no Python')
  const rng = random(seed)
  const tally = { turns: 0, killed: 0, serviceCalls: 0, serviceResets: 0, torn: 0, rebuilt: /** @type {Record<string, number>} */ ({}), ambiguous: 0, recovered: 0, seed }
  try {
    await withScratch(async (scratch) => {
      const stateDir = join(scratch, 'state')
      const oracle = new Oracle()
      /** What the log tells of each user and policy: where it stood when the package had last changed it. @type {Map<string, Standing>} */
      const logged = new Map()
      for (; tally.turns < turns; tally.turns++) {
        const isKilled = rng() < 0.5
        await packageTurn(stateDir, oracle, { seed: seed * 1009 + tally.turns, isKilled, logged })
        tally.killed += isKilled ? 1 : 0
        const { lines, lowWater } = tailOf(stateDir)
        const touched = await serviceTurn(driver, stateDir, oracle, tally, (userId) => {
          // Its files are gone; what the log still has above the low-water mark is applied to a start, and the user is named.
          for (const policy of POLICIES) {
            const standing = start(policy)
            for (const { record } of lines) {
              if (record?.['userId'] !== userId || compareSeq(record.seq, lowWater) <= 0) continue
              if (record.kind === 'reward' && record['policy'] === policy) learn(standing, policy, /** @type {any} */ (record))
              if (record.kind === 'pull' && record['policy'] === policy) {
                standing.pulls++
                standing.explored += record['exploring'] ? 1 : 0
              }
              if (record.kind === 'reset') Object.assign(standing, start(policy))
            }
            oracle.of(userId).standings[policy] = standing
          }
        })
        const torn = rng() < 0.6 ? tear(stateDir, rng) : undefined
        await check(stateDir, oracle, { torn, touched, logged, tally, at: `turn ${tally.turns}, seed ${seed}` })
      }
    })
  } finally {
    await driver.close()
  }
  return tally
}

/** @param {string} stateDir */
function tailOf(stateDir) {
  const { lines } = readDirectory(stateDir, ownerOf)
  /** @type {import('./log-reader.mjs').Seq} */
  let lowWater = [0, 0]
  for (const { record } of lines) if (record?.lowWater !== undefined && compareSeq(record.lowWater, lowWater) > 0) lowWater = record.lowWater
  return { lines, lowWater }
}

/**
 * @param {string} stateDir @param {Oracle} oracle
 * @param {{ seed: number, isKilled: boolean, logged: Map<string, Standing> }} turn
 */
async function packageTurn(stateDir, oracle, { seed, isKilled, logged }) {
  const child = new Child({ stateDir, seed: seed % 2 ** 32, users: NAMES.length, names: NAMES, burst: 10, ...(isKilled ? { mix: WITHOUT_RESETS } : { calls: CALLS }) }, oracle)
  if (isKilled) {
    await child.until(({ returned }) => returned >= CALLS)
    const at = await child.kill()
    oracle.endLife(({ kind, at: when }) => kind !== 'pull' || /** @type {number} */ (when) < at - PULL_MARGIN_MS, at)
  } else {
    assert.deepEqual(await child.end(), { code: 0, signal: null }, child.failure)
    oracle.endLife(() => true)
  }
  const changed = new Set(child.calls.flat().flatMap(({ kind, userId, policy }) => (kind === 'reset' ? POLICIES.map((each) => keyOf(userId, each)) : [keyOf(userId, /** @type {PolicyName} */ (policy))])))
  // Which of the last calls survived is settled before the service comes.
  const { standings, lines } = readDirectory(stateDir, ownerOf)
  const epoch = lines.findLast(({ record }) => record !== null)?.record?.seq[0]
  for (const userId of NAMES) {
    const wrong = oracle.settle(userId, { standings: Object.fromEntries(POLICIES.map((policy) => [policy, standings.get(keyOf(userId, policy)) ?? start(policy)])) })
    assert.equal(wrong, undefined)
    // A kill may take the lines of pulls that a file has.
    const isTold = (/** @type {PolicyName} */ policy) => lines.some(({ record }) => record?.seq[0] === epoch && record['userId'] === userId && [policy, undefined].includes(record['policy']))
    for (const policy of POLICIES) if (changed.has(keyOf(userId, policy)) && isTold(policy)) logged.set(keyOf(userId, policy), copy(oracle.of(userId).standings[policy]))
  }
  oracle.settled()
}

/**
 * The service changes a user's file as it stands, which after a kill is behind the log; the log's lines come on top later.
 * @param {import('../parity/driver.mjs').Driver} driver @param {string} stateDir @param {Oracle} oracle @param {any} tally
 * @param {(userId: string) => void} onReset
 */
async function serviceTurn(driver, stateDir, oracle, tally, onReset) {
  /** @type {Set<string>} */
  const touched = new Set()
  for (let i = 0; i < CALLS; i++) {
    const userId = /** @type {string} */ (NAMES[i % NAMES.length])
    const call = await driver.ask({ draw: userId, resets: 4 })
    const answer = await driver.ask({ ...call, directory: stateDir })
    tally.serviceCalls++
    if (call.op === 'reset') {
      tally.serviceResets++
      onReset(userId)
      for (const policy of POLICIES) touched.add(keyOf(userId, policy))
    } else if (call.op !== 'stats') {
      const policy = /** @type {PolicyName} */ (call.policy)
      const standing = oracle.of(userId).standings[policy]
      touched.add(keyOf(userId, policy))
      if (call.op === 'reward') learn(standing, policy, camelCase(call.request))
      else {
        standing.pulls++
        standing.explored += answer.exploring ? 1 : 0
      }
    }
  }
  return touched
}

/** A file as the service leaves it when it dies while writing: truncated first, then the beginning of the text. @param {string} stateDir @param {() => number} rng */
function tear(stateDir, rng) {
  const files = [...readStateFiles(stateDir, ownerOf).values()]
  const file = files[Math.floor(rng() * files.length)]
  if (file === undefined) return undefined
  const path = join(stateDir, file.name)
  truncateSync(path, Math.floor(rng() * (readFileSync(path).length - 1)))
  return file
}

/**
 * @param {string} stateDir @param {Oracle} oracle
 * @param {{ torn: import('./directory.mjs').StateFile | undefined, touched: Set<string>, logged: Map<string, Standing>, tally: any, at: string }} turn
 */
async function check(stateDir, oracle, { torn, touched, logged, tally, at }) {
  const bandits = Bandits.open({ stateDir, seed: 1 })
  const tornKey = torn === undefined ? undefined : keyOf(torn.userId, torn.policy)
  let refused = false
  for (const userId of NAMES) {
    for (const policy of POLICIES) {
      const key = keyOf(userId, policy)
      try {
        bandits.stats(userId, policy)
      } catch (error) {
        // Nothing in the log of this user and policy: then nothing can be rebuilt.
        if (!(error instanceof BanditError) || error.code !== 'ERR_STATE_CORRUPT' || key !== tornKey || logged.has(key)) throw error
        refused = true
        bandits.reset(userId)
        for (const each of POLICIES) oracle.of(userId).standings[each] = start(each)
        break
      }
    }
  }
  const health = /** @type {any} */ (bandits.health())
  tally.recovered += health.recovery.applied > 0 ? 1 : 0
  tally.ambiguous += health.recovery.ambiguousUsers.length
  if (tornKey !== undefined) {
    tally.torn++
    const said = health.damagedFiles.find((/** @type {any} */ file) => keyOf(file.userId, file.policy) === tornKey)
    if (refused) {
      tally.rebuilt['nothing'] = (tally.rebuilt['nothing'] ?? 0) + 1
    } else {
      assert.ok(said, `${at}: the torn file of ${tornKey} is not reported: ${JSON.stringify(health.damagedFiles)}`)
      tally.rebuilt[said.rebuilt] = (tally.rebuilt[said.rebuilt] ?? 0) + 1
      if (touched.has(tornKey)) assert.equal(said.rebuilt, 'partial', `${at}: what the service did to ${tornKey} since is in no log`)
      const { userId, policy } = /** @type {import('./directory.mjs').StateFile} */ (torn)
      oracle.of(userId).standings[policy] = copy(logged.get(tornKey) ?? start(policy))
    }
  }
  assert.equal(health.damagedFiles.length, tornKey === undefined || refused ? 0 : 1, `${at}: ${JSON.stringify(health.damagedFiles)}`)
  await bandits.close()
  // Recovery onto a file that the service wrote puts that state into the log.
  const adopted = adoptedIn(stateDir, health.recovery.epoch)
  const files = readStateFiles(stateDir, ownerOf)
  for (const userId of NAMES) {
    for (const policy of POLICIES) {
      const key = keyOf(userId, policy)
      const actual = files.get(key)?.standing ?? start(policy)
      const expected = oracle.of(userId).standings[policy]
      if (key === tornKey && actual.pulls < expected.pulls) {
        // Pulls that a file had and whose lines went with a killed process.
        assert.equal(health.damagedFiles[0].rebuilt, 'partial', `${at}: ${key}: ${actual.pulls} pulls of ${expected.pulls}`)
        Object.assign(expected, { pulls: actual.pulls, explored: actual.explored })
      }
      assert.equal(difference(actual, expected, close), undefined, `${at}: ${key}${key === tornKey ? ' (torn)' : ''}${touched.has(key) ? ' (the service changed it)' : ''}`)
      oracle.of(userId).standings[policy] = copy(actual)
      if (adopted.has(key)) logged.set(key, copy(actual))
    }
  }
}

/** Whose states were written to the log in an epoch. @param {string} stateDir @param {number} epoch */
function adoptedIn(stateDir, epoch) {
  const logDir = join(stateDir, 'log')
  const lines = readdirSync(logDir).flatMap((name) => readFileSync(join(logDir, name), 'utf8').split('\n'))
  const states = lines.filter((line) => line.includes('"kind":"state"')).map((line) => JSON.parse(line))
  return new Set(states.flatMap(({ seq, userId, policy }) => (seq[0] === epoch ? [keyOf(userId, policy)] : [])))
}
