// @ts-check
// Small directories to damage: what a clean end leaves, and what kill -9 leaves while the files are behind the log.

import { mkdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'

import { until } from '../support/until.mjs'
import { Child } from './child.mjs'
import { putTogether, readStateFiles } from './directory.mjs'
import { linesOf, readLog, segmentNames } from './log-reader.mjs'
import { Oracle } from './oracle.mjs'

/** @typedef {{ users: number, calls: number, killedCalls: number, seed: number, mix?: import('./script.mjs').Mix }} Recipe */

/**
 * A life that ends with close(), and one that is killed when its last calls are in the log, the pulls, too, and not in the files:
 * something that cannot be removed stands where the second life would write a file before it renames it.
 * @param {string} stateDir @param {Recipe} recipe
 * @returns {Promise<Oracle>} that knows what must be there
 */
export async function killedSpecimen(stateDir, { users, calls, killedCalls, seed, mix }) {
  const oracle = new Oracle()
  await closedSpecimen(stateDir, { users, calls, seed, mix }, oracle)
  const obstacle = join(stateDir, '.state.tmp')
  mkdirSync(join(obstacle, 'in the way'), { recursive: true })
  const child = new Child({ stateDir, users, seed: seed + 1000, calls: killedCalls, burst: killedCalls, linger: true, mix }, oracle)
  await child.until(({ returned }) => returned >= killedCalls)
  const scored = new Set(child.calls.flat().flatMap(({ kind, request }) => (kind === 'pull' ? [request.candidates[0].id.replace(/-\d+$/, '')] : [])))
  const written = () => lastSegment(stateDir).lines.filter(({ record }) => record?.kind === 'pull').length
  await until(() => written() === scored.size, 'every pull is in the log')
  await child.kill()
  rmSync(obstacle, { recursive: true })
  oracle.endLife(() => true)
  if (wholeOf(stateDir).beyondFiles === 0) throw new Error('the files are not behind the log')
  return oracle
}

/** @param {string} stateDir @param {Omit<Recipe, 'killedCalls'>} recipe @param {Oracle} [oracle] */
export async function closedSpecimen(stateDir, { users, calls, seed, mix }, oracle = new Oracle()) {
  const child = new Child({ stateDir, users, seed, calls, mix }, oracle)
  const { code } = await child.end()
  if (code !== 0) throw new Error(`the child ended with ${code}: ${child.failure} ${child.stderr}`)
  oracle.endLife(() => true)
}

/** @param {string} stateDir */
export function lastSegment(stateDir) {
  const logDir = join(stateDir, 'log')
  const name = segmentNames(logDir).at(-1)
  if (name === undefined) throw new Error(`${stateDir} has no log`)
  const bytes = readFileSync(join(logDir, name))
  return { path: join('log', name), bytes, lines: linesOf(name, bytes) }
}

/** Files and the whole log, put together. @param {string} stateDir */
export function wholeOf(stateDir) {
  const files = readStateFiles(stateDir)
  const lines = readLog(join(stateDir, 'log'))
  return { files, lines, ...putTogether(files, lines) }
}
