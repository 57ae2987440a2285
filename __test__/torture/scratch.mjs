// @ts-check
// Directories of the torture tests. A failed run keeps its own, for whoever looks into it.

import { cpSync, mkdirSync, mkdtempSync, realpathSync, rmSync, statfsSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** Runs on a directory that goes away when all went well. @template T @param {(directory: string) => Promise<T>} work @param {string} [under] */
export async function withScratch(work, under = tmpdir()) {
  const directory = realpathSync(mkdtempSync(join(under, 'bandits-torture-')))
  let isDone = false
  try {
    const result = await work(directory)
    isDone = true
    return result
  } finally {
    if (isDone) rmSync(directory, { recursive: true, force: true })
    else process.stderr.write(`torture: kept ${directory}\n`)
  }
}

/** Where thousands of small directories are made and removed: in memory where there is such a place, else on disk. */
export function quickPlace() {
  try {
    const { bavail, bsize } = statfsSync('/dev/shm')
    if (bavail * bsize > 256 << 20) return '/dev/shm'
  } catch {
    // not on this system
  }
  return tmpdir()
}

/** A fresh copy. @param {string} from @param {string} to */
export function copyDirectory(from, to) {
  rmSync(to, { recursive: true, force: true })
  mkdirSync(to, { mode: 0o700 })
  cpSync(from, to, { recursive: true })
}
