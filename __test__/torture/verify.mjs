// @ts-check
// Opens a state directory after something happened to it and holds all that can be seen against the oracle.

import { join } from 'node:path'

import { Bandits } from '@oo/bandits'
import { POLICIES } from './features.mjs'
import { difference, start, statsProblems } from './standing.mjs'
import { brokenRules, readLog, tailNames } from './log-reader.mjs'
import { keyOf, readDirectory, readStateFiles } from './directory.mjs'

/** @typedef {import('./oracle.mjs').Oracle} Oracle */
/** @typedef {{ problems: string[], recovery: any, health: any, beyondFiles: number, openMs: number, hadMark: boolean }} Verdict */

/**
 * Reads the directory as it lies there, opens it, reads everybody, closes it, reads the files: all of it has to agree.
 * @param {string} stateDir
 * @param {Oracle} oracle
 * @param {import('@oo/bandits').BanditsOptions} [options]
 * @param {{ faults?: boolean }} [past] writing failed at times: lines may be torn in the middle of an epoch, and be there twice
 * @returns {Promise<Verdict>}
 */
export async function verify(stateDir, oracle, options = {}, { faults = false } = {}) {
  /** @type {string[]} */
  const problems = []
  const found = readDirectory(stateDir)
  problems.push(...brokenRules(found.lines, { faults }))
  const epoch = found.lines.at(-1)?.record?.seq[0]
  const hadMark = found.lines.some(({ record }) => record?.kind === 'mark' && record.seq[0] === epoch)

  const began = performance.now()
  const bandits = Bandits.open({ ...options, stateDir })
  const openMs = performance.now() - began
  const { recovery } = /** @type {any} */ (bandits)
  const touched = oracle.touched()
  const everybody = [...oracle.users.keys()]
  const stats = new Map(everybody.flatMap((userId) => POLICIES.map((policy) => [keyOf(userId, policy), bandits.stats(userId, policy)])))
  const histories = new Map(everybody.map((userId) => [userId, bandits.features(userId).history]))
  const health = bandits.health()
  await bandits.close()

  const files = readStateFiles(stateDir)
  for (const userId of everybody) {
    const standings = Object.fromEntries(POLICIES.map((policy) => [policy, files.get(keyOf(userId, policy))?.standing ?? start(policy)]))
    const wrong = oracle.settle(userId, { standings, history: histories.get(userId) })
    if (wrong !== undefined) problems.push(wrong)
    for (const policy of POLICIES) {
      const key = keyOf(userId, policy)
      const expected = standings[policy] ?? start(policy)
      const raw = difference(found.standings.get(key) ?? start(policy), expected)
      if (raw !== undefined) problems.push(`${key}: files and log before open() said otherwise: ${raw}`)
      problems.push(...statsProblems(stats.get(key), expected, key))
    }
  }
  oracle.settled()
  const known = new Set(everybody)
  for (const [key, { userId }] of files) if (!known.has(userId)) problems.push(`a file of somebody unknown: ${key}`)
  for (const line of tail(stateDir)) if (line.record?.['userId'] !== undefined && !known.has(line.record['userId'])) problems.push(`a line of somebody unknown: ${line.record['userId']}`)
  if (touched.length > 0 && recovery === undefined) problems.push('no report of recovery')
  return { problems, recovery, health, beyondFiles: found.beyondFiles, openMs, hadMark }
}

/** @param {string} stateDir */
function tail(stateDir) {
  const logDir = join(stateDir, 'log')
  return readLog(logDir, tailNames(logDir))
}
