// @ts-check
// What runs the package in ways other than this Node: Jest, vitest, esbuild and other releases of Node, for __test__/runtimes. They come from
// the npm registry, as __test__/runtimes/package-lock.json pins them, and are kept in .cache/runtimes/: `npm ci` stays quick.

import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { constants } from 'node:fs'
import { access, copyFile, mkdir, mkdtemp, readFile, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

import { obtained } from './obtained.mjs'

const run = promisify(execFile)
const PINNED = fileURLToPath(new URL('../__test__/runtimes', import.meta.url))
const CACHE = fileURLToPath(new URL('../.cache/runtimes', import.meta.url))
const INSTALL_TIMEOUT_MS = 10 * 60_000

/** @type {Promise<string | null> | undefined} */
let found

/**
 * The node_modules directory with all of them, installed at the first call. Any number of processes may ask at once.
 * Where it can't be had this says so in one line on stderr and gives null, or throws: see obtained.mjs.
 * @returns {Promise<string | null>}
 */
export function runtimes() {
  found ??= obtained('runtimes: there is no Jest, vitest, esbuild or other Node', install)
  return found
}

/**
 * A release of Node for this machine; null where there is none.
 * @param {string} modules as runtimes() gave it
 * @param {number} major
 * @returns {Promise<string | null>}
 */
export function nodeOf(modules, major) {
  return obtained(`runtimes: there is no Node ${major} for ${process.platform}-${process.arch}`, async () => {
    const path = join(modules, `node${major}-${process.platform}-${process.arch}`, 'bin', 'node')
    await access(path, constants.X_OK)
    await run(path, ['--version'])
    return path
  })
}

async function install() {
  const lock = await readFile(join(PINNED, 'package-lock.json'))
  const home = join(CACHE, createHash('sha256').update(lock).digest('hex').slice(0, 16))
  const modules = join(home, 'node_modules')
  if (await isThere(modules)) return modules
  await mkdir(CACHE, { recursive: true })
  const draft = await mkdtemp(join(CACHE, 'draft-'))
  try {
    for (const name of ['package.json', 'package-lock.json']) await copyFile(join(PINNED, name), join(draft, name))
    // No script of theirs is needed. (npm hands the settings of the npm that runs this down to it; the lock is not theirs.)
    const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^npm_config_(package_lock|omit|include|prefix|workspace)/i.test(name)))
    await run('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'], { cwd: draft, env, timeout: INSTALL_TIMEOUT_MS, maxBuffer: 1 << 24 })
    // What stands at `home` is always whole, however many install it at once: the first one's rename counts.
    await rename(draft, home).catch(async (error) => {
      if (!(await isThere(modules))) throw error
    })
  } finally {
    await rm(draft, { recursive: true, force: true })
  }
  return modules
}

/** @param {string} path */
const isThere = (path) => access(path).then(() => true, () => false)
