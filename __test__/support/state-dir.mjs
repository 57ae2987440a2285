// @ts-check
// Directories of state for a test, and what is in them.

import { lstatSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, realpathSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { Bandits } from '@oo/bandits'

/** @typedef {{ after(fn: () => unknown): void }} TestContext */

/** @type {WeakMap<TestContext, Bandits[]>} Hooks run in the order of their making, but engines go before their directories. */
const engines = new WeakMap()

/**
 * An empty directory that goes away with the test.
 * @param {TestContext} t
 */
export function emptyDirectory(t) {
  const path = realpathSync(mkdtempSync(join(tmpdir(), 'bandits-test-')))
  t.after(async () => {
    await closeEngines(t)
    rmSync(path, { recursive: true, force: true })
  })
  return path
}

/**
 * An engine on a directory of its own, or on one that `emptyDirectory` made; closed at the end of the test.
 * @param {TestContext} t
 * @param {import('@oo/bandits').BanditsOptions} [options]
 */
export function openEngine(t, options = {}) {
  const stateDir = options.stateDir ?? emptyDirectory(t)
  const bandits = Bandits.open({ seed: 1, ...options, stateDir })
  engines.set(t, [...(engines.get(t) ?? []), bandits])
  return bandits
}

/**
 * Closes the engines of a test, for hooks that take away what they use.
 * @param {TestContext} t
 */
export async function closeEngines(t) {
  // Tests of failing writes leave engines whose last write fails as well.
  for (const bandits of engines.get(t) ?? []) await bandits.close().catch(() => undefined)
}

/**
 * The names under a directory, sorted; of what the package writes for itself, only `set-aside`: no lock and no log.
 * @param {string} directory
 */
export function namesIn(directory) {
  const names = /** @type {string[]} */ (readdirSync(directory, { recursive: true }))
  return names.filter((name) => !name.startsWith('.') && !/^log(\/|$)/.test(name)).sort()
}

/**
 * Every file under a directory with its kind and bytes.
 * @param {string} directory
 */
export function contentsOf(directory) {
  return namesIn(directory).map((name) => {
    const path = join(directory, name)
    const stat = lstatSync(path)
    if (stat.isSymbolicLink()) return [name, 'link', readlinkSync(path)]
    return stat.isFile() ? [name, 'file', readFileSync(path, 'utf8')] : [name, 'other', '']
  })
}

/**
 * The parsed state file of a name.
 * @param {string} directory
 * @param {string} name
 * @returns {{ A: number[][], b: number[], meta: Record<string, unknown> }}
 */
export function stateIn(directory, name) {
  return JSON.parse(readFileSync(join(directory, name), 'utf8'))
}

/**
 * The text of a state file as the old service would have left it: A a multiple of I, no owner named.
 * @param {number} d
 * @param {{ diagonal?: number, b?: number[], meta?: object }} [state]
 */
export function stateText(d, { diagonal = 1, b = Array.from({ length: d }, () => 0), meta = {} } = {}) {
  const A = Array.from({ length: d }, (_row, i) => Array.from({ length: d }, (_entry, j) => (i === j ? diagonal : 0)))
  return JSON.stringify({ A, b, meta: { pulls: 0, cumulative_reward: 0, reward_count: 0, ...meta } })
}
