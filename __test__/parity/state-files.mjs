// @ts-check
// Reads state files the way the existing service does, and holds two of them against each other.

import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { Bandits } from '@oo/bandits'

import { assertAllClose, assertClose } from './replay.mjs'

/** @typedef {{ A: number[][], b: number[], meta: Record<string, any> }} State */

/** What the names of the policies' files end with. */
export const SUFFIX = { 'linucb-v1': '', 'egreedy-v1': '_egreedy', 'egreedy-v2': '_egreedy_v2' }
const INTEGERS = ['pulls', 'explore_count', 'reward_count']

/** @typedef {{ after(fn: () => Promise<void>): void }} Test */
/** @type {WeakMap<Test, Bandits[]>} */
const opened = new WeakMap()

/**
 * An empty directory that goes away with the test, once the engines are closed that the test opened.
 * @param {Test} t
 */
export function scratch(t) {
  const path = mkdtempSync(join(tmpdir(), 'bandits-parity-'))
  t.after(async () => {
    // Hooks run in the order of their registration, so an engine's own hook would come after this one.
    await Promise.all((opened.get(t) ?? []).map((bandits) => bandits.close()))
    rmSync(path, { recursive: true, force: true })
  })
  return path
}

/**
 * An engine that is closed when the test ends, if it wasn't before.
 * @param {Test} t
 * @param {string} stateDir in a `scratch` directory
 */
export function openEngine(t, stateDir) {
  const bandits = Bandits.open({ stateDir })
  opened.set(t, [...(opened.get(t) ?? []), bandits])
  return bandits
}

/**
 * The names of the state files in a directory; what the package keeps beside them starts with a dot or is a directory.
 * @param {string} directory
 */
export function stateFileNames(directory) {
  const entries = readdirSync(directory, { withFileTypes: true })
  return entries.filter((entry) => entry.isFile() && entry.name.endsWith('.json') && !entry.name.startsWith('.')).map(({ name }) => name)
}

/**
 * Reads a state file and checks that it is one: A is d×d and b has d entries, all numbers; whole numbers are written as such
 * (Python would read `3.0` as a float and write it on).
 * @param {string} path
 * @param {number} [dimensions]
 * @returns {State}
 */
export function readState(path, dimensions) {
  const text = readFileSync(path, 'utf8')
  const state = JSON.parse(text)
  assert.deepEqual(Object.keys(state), ['A', 'b', 'meta'], path)
  const { A, b, meta } = state
  const d = dimensions ?? b.length
  assert.equal(b.length, d, `${path}: b`)
  assert.equal(A.length, d, `${path}: A`)
  for (const row of [b, ...A]) assert.ok(row.length === d && row.every(Number.isFinite), `${path}: ${row}`)
  for (const key of INTEGERS.filter((name) => name in meta)) {
    assert.match(text, new RegExp(`"${key}": ?\\d+[,}]`), `${path}: ${key} is written as a whole number`)
  }
  return state
}

/**
 * The same numbers; whatever else the package keeps in meta is its own. `exploreCount` is what it should be, since each
 * side explores by its own chance.
 * @param {State} actual
 * @param {State} expected
 * @param {{ what: string, exploreCount: number }} options
 */
export function assertSameState(actual, expected, { what, exploreCount }) {
  assertAllClose(actual.b, expected.b, `${what} b`)
  for (const [i, row] of expected.A.entries()) assertAllClose(actual.A[i] ?? [], row, `${what} A[${i}]`)
  const { pulls = 0, reward_count: rewards = 0, cumulative_reward: sum = 0, last_updated: time } = expected.meta
  const { meta } = actual
  assert.equal(meta['pulls'] ?? 0, pulls, `${what} pulls`)
  assert.equal(meta['reward_count'] ?? 0, rewards, `${what} reward_count`)
  assert.equal(meta['explore_count'] ?? 0, exploreCount, `${what} explore_count`)
  assertClose(meta['cumulative_reward'] ?? 0, sum, `${what} cumulative_reward`)
  if (time !== undefined) assert.match(String(meta['last_updated']), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/, `${what} last_updated`)
}

/**
 * What a user starts with, and goes back to with a reset.
 * @param {number} d
 * @returns {State}
 */
export function startingState(d) {
  const A = Array.from({ length: d }, (_, i) => Array.from({ length: d }, (_unused, j) => (i === j ? 1 : 0)))
  return { A, b: Array.from({ length: d }, () => 0), meta: {} }
}

/**
 * The same doubles, signs of zeros included.
 * @param {State} actual
 * @param {State} expected
 * @param {string} what
 */
export function assertSameBits(actual, expected, what) {
  assert.deepStrictEqual(actual.A, expected.A, `${what}: A`)
  assert.deepStrictEqual(actual.b, expected.b, `${what}: b`)
}
