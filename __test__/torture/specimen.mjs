// @ts-check
// Small directories to damage: what a clean end leaves, and what kill -9 leaves while the files are behind the log.

import { readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'

import { Child } from './child.mjs'
import { putTogether, readStateFiles } from './directory.mjs'
import { linesOf, readLog, segmentNames } from './log-reader.mjs'
import { Oracle } from './oracle.mjs'

/** @typedef {{ users: number, calls: number, killedCalls: number, seed: number, mix?: import('./script.mjs').Mix }} Recipe */

/**
 * A life that ends with close(), and one that is killed when its last calls are in the log (the pulls, too, which come behind)
 * and not yet in the files. When the latter is depends on two threads and this process, so it is tried until it is so.
 * @param {string} stateDir @param {Recipe} recipe
 * @returns {Promise<Oracle>} that knows what must be there
 */
export async function killedSpecimen(stateDir, { users, calls, killedCalls, seed, mix }) {
  for (let attempt = 0; attempt < 200; attempt++) {
    rmSync(stateDir, { recursive: true, force: true })
    const oracle = new Oracle()
    await closedSpecimen(stateDir, { users, calls, seed, mix }, oracle)
    const child = new Child({ stateDir, users, seed: seed + 1000 + attempt, calls: killedCalls, burst: killedCalls, linger: true, mix }, oracle)
    await child.until(({ returned }) => returned >= killedCalls)
    for (let polls = 0; polls < 200 && lastSegment(stateDir).lines.length < killedCalls; polls++);
    await child.kill()
    const { lines } = lastSegment(stateDir)
    if (lines.length <= killedCalls || !lines.every(({ record }) => record !== null)) continue
    const { beyondFiles } = wholeOf(stateDir)
    const asked = child.calls.flat().filter(({ kind }) => kind !== 'pull').length
    if (beyondFiles < asked / 2) continue
    oracle.endLife(() => true)
    return oracle
  }
  throw new Error('in 200 attempts no kill came between the log and the files')
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
