// @ts-check
// A binary that is there and cannot be loaded: one short error that names the file, the reason and what helps.

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { chmodSync, copyFileSync, cpSync, mkdirSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'

import { ROOT } from '../support/child.mjs'
import { emptyDirectory } from '../support/state-dir.mjs'

const BINARY = readdirSync(join(ROOT, 'dist')).find((name) => name.endsWith('.node')) ?? ''
const IS_ROOT = process.getuid?.() === 0
const LINUX_ONLY = process.platform === 'linux' ? false : 'what the system says is that of Linux'
const [MAJOR = 0] = process.versions.node.split('.').map(Number)
const PERMISSION = MAJOR >= 24 || process.allowedNodeEnvironmentFlags.has('--permission') ? '--permission' : '--experimental-permission'

/** What is printed of the error: by Node where nobody catches it, and what it has. */
const LOAD = `try { require(process.argv[1]) } catch (error) {
  console.log(JSON.stringify({ ...error, name: error.name, message: error.message, hasCause: 'cause' in error, printed: require('util').inspect(error) }))
}`

/** A package of its own, as it lies in node_modules. @param {string} directory */
function packageIn(directory) {
  copyFileSync(join(ROOT, 'package.json'), join(directory, 'package.json'))
  cpSync(join(ROOT, 'dist'), join(directory, 'dist'), { recursive: true })
  chmodSync(directory, 0o755)
  return join(directory, 'dist', BINARY)
}

/** @param {string} directory @param {{ flags?: string[], prefix?: string[], env?: Record<string, string> }} [how] */
function load(directory, { flags = [], prefix = [], env = {} } = {}) {
  const [program = '', ...args] = [...prefix, process.execPath, ...flags, '-e', LOAD, directory]
  const { stdout, stderr, status } = spawnSync(program, args, { encoding: 'utf8', env: { ...process.env, NODE_OPTIONS: '', ...env } })
  assert.equal(status, 0, stderr)
  assert.notEqual(stdout, '', `it loaded: ${stderr}`)
  return JSON.parse(stdout.slice(stdout.indexOf('{')))
}

/** @param {any} error @param {string} file @param {RegExp} reason @param {RegExp} remedy */
function assertUnloadable(error, file, reason, remedy) {
  const { name, code, retryable, message, hasCause, printed } = error
  assert.deepEqual([name, code, retryable, hasCause], ['BanditError', 'ERR_UNSUPPORTED', false, false])
  assert.ok(message.startsWith(`@oo/bandits cannot load ${file}: `), message)
  assert.match(message, reason)
  assert.match(message, remedy)
  assert.doesNotMatch(message, /no native binary|\n/)
  assert.ok(message.length < 700, message)
  // Its message, its stack of at most ten lines, its two properties.
  assert.ok(printed.split('\n').length < 20, printed)
}

describe('a binary that is there', { skip: LINUX_ONLY }, () => {
  test('and no binary', (t) => {
    const directory = emptyDirectory(t)
    const file = packageIn(directory)
    writeFileSync(file, 'text, and quite a lot of it: more than a header has, so that it is looked at as one'.repeat(10))
    assertUnloadable(load(directory), file, /invalid ELF header|Exec format/, /not whole: delete node_modules and install again/)
  })

  test('and cut off', (t) => {
    const directory = emptyDirectory(t)
    const file = packageIn(directory)
    truncateSync(file, 40)
    assertUnloadable(load(directory), file, /too short|Exec format|ELF/, /not whole: delete node_modules and install again/)
  })

  test('for another architecture', (t) => {
    const directory = emptyDirectory(t)
    const file = packageIn(directory)
    const bytes = readFileSync(file)
    // e_machine: S/390.
    bytes.writeUInt16LE(22, 18)
    rmSync(file)
    writeFileSync(file, bytes)
    assertUnloadable(load(directory), file, /ELF|Exec format|cannot open shared object file/, new RegExp(`not for ${process.platform}-${process.arch}`))
  })

  test('and may not be read', { skip: IS_ROOT ? false : 'only root can become another user' }, (t) => {
    const directory = emptyDirectory(t)
    const file = packageIn(directory)
    chmodSync(file, 0o600)
    const error = load(directory, { prefix: ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups'] })
    assertUnloadable(error, file, /Permission denied/, /user may not read it: mend the rights/)
  })

  test('on a file system from which nothing is executed', { skip: IS_ROOT ? false : 'only root can mount' }, (t) => {
    const directory = emptyDirectory(t)
    packageIn(directory)
    const mounted = join(emptyDirectory(t), 'mounted')
    mkdirSync(mounted)
    const script = `mount -t tmpfs -o noexec,size=60m tmpfs "$1" && cp -R "$2"/. "$1" && shift 2 && exec "$@"`
    const prefix = ['unshare', '-m', 'sh', '-c', script, 'sh', mounted, directory]
    assertUnloadable(load(mounted, { prefix }), join(mounted, 'dist', BINARY), /failed to map segment/, /mounted noexec, or a policy forbids it/)
  })
})

describe('a process that may load none', () => {
  test('without addons', (t) => {
    const directory = emptyDirectory(t)
    const file = packageIn(directory)
    assertUnloadable(load(directory, { flags: ['--no-addons'] }), file, /addons? is disabled|not supported/i, /without --no-addons/)
  })

  test('under the permission model', (t) => {
    const directory = emptyDirectory(t)
    const file = packageIn(directory)
    const error = load(directory, { flags: [PERMISSION, '--allow-fs-read=*', '--no-warnings'] })
    assertUnloadable(error, file, /addons is disabled/, /--allow-addons beside --permission/)
  })
})

test('a binary that is not there: no cause, and the packages by name', (t) => {
  const directory = emptyDirectory(t)
  rmSync(packageIn(directory))
  const { message, hasCause, code } = load(directory)
  assert.deepEqual([code, hasCause], ['ERR_UNSUPPORTED', false])
  assert.match(message, new RegExp(`^@oo/bandits has no native binary for ${process.platform}-${process.arch} here \\(@oo/bandits-${process.platform}-${process.arch}.*Install without --omit=optional`))
})

test('a binary that the environment names', (t) => {
  const directory = emptyDirectory(t)
  packageIn(directory)
  const file = join(directory, 'mine.node')
  writeFileSync(file, 'no binary, but longer than the header of one has to be: '.repeat(10))
  assertUnloadable(load(directory, { env: { NAPI_RS_NATIVE_LIBRARY_PATH: file } }), file, /./, /install again/)
})
