// @ts-check
// What a machine lacks is said aloud. With REQUIRE_ALL=1 that is a failure, except for what needs root: few machines give that.

import { execFileSync, spawnSync } from 'node:child_process'

import { missing } from '../../scripts/obtained.mjs'

export class Skipped extends Error {
  /** @param {string} why @param {{ needsRoot?: boolean }} [kind] */
  constructor(why, { needsRoot = false } = {}) {
    super(why)
    this.needsRoot = needsRoot
  }
}

/** @param {string} why @param {{ needsRoot?: boolean }} [kind] @returns {never} */
export function skip(why, kind) {
  throw new Skipped(why, kind)
}

/** Runs it; a skip is said and told to `onSkip`, or thrown on. @template T @param {string} what @param {() => Promise<T>} work @param {(why: string) => void} [onSkip] */
export async function orSkip(what, work, onSkip = () => {}) {
  try {
    return await work()
  } catch (error) {
    if (!(error instanceof Skipped)) throw error
    missing(`torture: ${what} SKIPPED: ${error.message}`, { cause: error, needsRoot: error.needsRoot })
    onSkip(error.message)
    return undefined
  }
}

export const isRoot = () => process.getuid?.() === 0

/** @param {string} program */
export function hasProgram(program) {
  return spawnSync('sh', ['-c', `command -v "$0"`, program], { stdio: 'ignore' }).status === 0
}

/** @param {string} program @param {string[]} args */
export const run = (program, args) => execFileSync(program, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })
