// @ts-check
// A cached virtual environment of Python for tests and benches: `pythonEnv(name)` installs scripts/requirements-<name>.txt,
// hashes checked and wheels only, into .cache/python/ and gives the interpreter's path.
// Run programs of such an environment as `python -m program`: its bin/ scripts name the directory in which it was built.

import { execFile } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { mkdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

import { obtained } from './obtained.mjs'

const run = promisify(execFile)
const SCRIPTS = fileURLToPath(new URL('.', import.meta.url))
const CACHE = fileURLToPath(new URL('../.cache/python', import.meta.url))
const PYTHONS = ['python3', 'python3.11', 'python3.12', 'python3.13', 'python3.14', 'python']
const OLDEST_MINOR = 11
const INSTALL_TIMEOUT_MS = 15 * 60_000

/** @typedef {{ python: string }} PythonEnv */

/** @type {Map<string, Promise<PythonEnv | null>>} */
const environments = new Map()

/**
 * The environment `name`, made at the first call. Any number of processes may ask at once.
 * Without Python (or when it can't be installed) this says so in one line on stderr and gives null; with REQUIRE_ALL=1 it throws.
 * @param {string} name
 * @returns {Promise<PythonEnv | null>}
 */
export function pythonEnv(name) {
  let environment = environments.get(name)
  if (environment === undefined) {
    environment = obtained(`python-env: no Python environment '${name}'`, () => make(name))
    environments.set(name, environment)
  }
  return environment
}

/** @param {string} name */
async function make(name) {
  const requirements = join(SCRIPTS, `requirements-${name}.txt`)
  const base = await findPython()
  const hash = createHash('sha256').update(await readFile(requirements)).update(`\0${base.path}\0${base.version}`).digest('hex')
  const home = join(CACHE, `${name}-${hash.slice(0, 16)}`)
  const python = join(home, 'bin', 'python')
  if (await works(python)) return { python }

  await mkdir(CACHE, { recursive: true })
  const release = await lock(`${home}.lock`, () => works(python))
  try {
    if (await works(python)) return { python }
    await build(base.path, requirements, home)
  } finally {
    await release()
  }
  return { python }
}

/**
 * Builds beside the final place and renames: what stands at `home` is always complete, whoever else builds.
 * @param {string} basePython
 * @param {string} requirements
 * @param {string} home
 */
async function build(basePython, requirements, home) {
  const draft = `${home}.${process.pid}-${randomBytes(4).toString('hex')}`
  try {
    await run(basePython, ['-m', 'venv', draft])
    const python = join(draft, 'bin', 'python')
    const pip = ['-m', 'pip', '--quiet', '--no-input', '--disable-pip-version-check']
    // The file is the whole list, so pip installs it and resolves nothing: where a listed package asks for another with an extra
    // (`pydantic[email]>=1.8`), pip's resolver takes that other's newest version instead of the listed one, and has no hash for it.
    const checked = ['--no-deps', '--require-hashes', '--only-binary', ':all:', '-r', requirements]
    await run(python, [...pip, 'install', ...checked], { timeout: INSTALL_TIMEOUT_MS, maxBuffer: 1 << 24 })
    await run(python, [...pip, 'check'])
    if (!(await works(join(home, 'bin', 'python')))) {
      await rm(home, { recursive: true, force: true })
      await rename(draft, home)
    }
  } finally {
    await rm(draft, { recursive: true, force: true })
  }
}

/**
 * Keeps several processes from doing the same work; correctness doesn't hang on it (see `build`), so a lock whose holder
 * died is simply taken over. Ends early when `done` turns true.
 * @param {string} path
 * @param {() => Promise<boolean>} done
 * @returns {Promise<() => Promise<void>>}
 */
async function lock(path, done) {
  for (;;) {
    try {
      await writeFile(path, `${process.pid}\n`, { flag: 'wx' })
      return () => rm(path, { force: true })
    } catch (error) {
      if (/** @type {NodeJS.ErrnoException} */ (error).code !== 'EEXIST') throw error
    }
    if (await done()) return async () => {}
    if (await isAbandoned(path)) await rm(path, { force: true })
    else await sleep(200)
  }
}

/** @param {string} path */
async function isAbandoned(path) {
  try {
    const [text, { mtimeMs }] = await Promise.all([readFile(path, 'utf8'), stat(path)])
    const age = Date.now() - mtimeMs
    return age > INSTALL_TIMEOUT_MS || (age > 2000 && !isAlive(Number(text)))
  } catch {
    return false // just released
  }
}

/** @param {number} pid */
function isAlive(pid) {
  if (!(pid > 0)) return false
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return /** @type {NodeJS.ErrnoException} */ (error).code === 'EPERM'
  }
}

/** @returns {Promise<{ path: string, version: string }>} */
async function findPython() {
  const ask = 'import sys; print(sys.version_info[0], sys.version_info[1], sys.executable, sep="\\n")'
  let found = ''
  for (const name of PYTHONS) {
    try {
      const [major, minor, path] = (await run(name, ['-c', ask])).stdout.trim().split('\n')
      if (Number(major) === 3 && Number(minor) >= OLDEST_MINOR && path) return { path, version: `${major}.${minor}` }
      found = `; ${name} is ${major}.${minor}`
    } catch {
      // not there
    }
  }
  throw new Error(`Python 3.${OLDEST_MINOR} or newer is not on PATH${found}`)
}

/** @param {string} python */
async function works(python) {
  try {
    await run(python, ['-c', 'pass'])
    return true
  } catch {
    return false
  }
}
