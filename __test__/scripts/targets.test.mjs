// @ts-check
// scripts/check-targets.mjs says of every target whether it was checked. The real thing takes minutes and is a job of its own
// (.github/workflows/ci.yml); here the compilers are shell scripts.

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'

import { emptyDirectory } from '../support/state-dir.mjs'

const SCRIPT = fileURLToPath(new URL('../../scripts/check-targets.mjs', import.meta.url))
const { targets } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')).napi
const [HOST, ...OTHERS] = /** @type {string[]} */ (targets)

/**
 * A machine with a Rust for HOST alone; what is run on it is written down. `rustup target add` installs `installable` only.
 * @param {import('node:test').TestContext} t
 * @param {{ clippy?: boolean, compiles?: boolean, installable?: string }} [machine]
 */
function machine(t, { clippy = true, compiles = true, installable = '' } = {}) {
  const home = emptyDirectory(t)
  const libraries = join(home, 'libraries')
  mkdirSync(libraries)
  const said = join(home, 'said')
  writeFileSync(said, '')
  const programs = {
    rustc: `[ "$1" = -vV ] && echo 'host: ${HOST}' && exit; echo '${libraries}/'"$4"`,
    cargo: `[ "$2" = --version ] && { ${clippy ? 'echo clippy 1' : 'exit 1'}; exit; }; echo "cargo $*" >> '${said}'; exit ${compiles ? 0 : 101}`,
    rustup: `echo "rustup $*" >> '${said}'; for target in "$@"; do [ "$target" = '${installable}' ] && /bin/mkdir '${libraries}/'"$target" && : > '${libraries}/'"$target/libstd-1.rlib"; done; :`,
  }
  for (const [name, line] of Object.entries(programs)) {
    writeFileSync(join(home, name), `#!/bin/sh\n${line}\n`)
    chmodSync(join(home, name), 0o755)
  }
  /** @param {string[]} args @param {Record<string, string>} [env] */
  const run = (args, env = {}) => {
    const { status, stdout, stderr } = spawnSync(process.execPath, [SCRIPT, ...args], { encoding: 'utf8', env: { PATH: home, ...env } })
    return { status, lines: stdout.trimEnd().split('\n').map((line) => line.replace(/\d+ s\)$/, '… s)')), stderr }
  }
  return { run, said: () => readFileSync(said, 'utf8') }
}

const CHECKED = `check-targets: ${HOST}: checked (clippy, … s)`
const NOT_INSTALLED = (/** @type {string} */ target) => `check-targets: ${target}: NOT CHECKED: its standard library is not installed (rustup target add ${target})`

test('a target whose standard library is not here is named, and is a failure only with REQUIRE_ALL=1', (t) => {
  const { run, said } = machine(t)
  assert.deepEqual(run([], { CI: 'true' }), { status: 0, lines: [CHECKED, ...OTHERS.map(NOT_INSTALLED)], stderr: '' })
  assert.equal(said(), 'cargo clippy --locked --all-targets -- -D warnings\n')
  const all = run([], { REQUIRE_ALL: '1' })
  assert.deepEqual([all.status, all.lines], [1, [CHECKED, ...OTHERS.map(NOT_INSTALLED)]])
})

test('--install asks rustup for those that are missing, and names what that did not help', (t) => {
  const installable = /** @type {string} */ (OTHERS[0])
  const { run, said } = machine(t, { installable })
  const { status, lines } = run(['--install'])
  assert.equal(status, 0)
  assert.equal(said().split('\n')[0], `rustup target add ${OTHERS.join(' ')}`)
  // There is no Python for the C compiler.
  assert.deepEqual(lines, [CHECKED, `check-targets: ${installable}: NOT CHECKED: there is no C compiler for it (Zig, from PyPI)`, ...OTHERS.slice(1).map(NOT_INSTALLED)])
})

test('a target that does not compile is a failure', (t) => {
  const { run } = machine(t, { compiles: false })
  const { status, lines } = run([/** @type {string} */ (HOST)])
  assert.deepEqual([status, lines], [1, [`check-targets: ${HOST}: FAILED`]])
})

test('without clippy, it is compiled', (t) => {
  const { run, said } = machine(t, { clippy: false })
  assert.deepEqual(run([/** @type {string} */ (HOST)]).lines, [`check-targets: ${HOST}: checked (check, … s)`])
  assert.equal(said(), 'cargo check --locked --all-targets\n')
})

test('another target is refused', (t) => {
  const { status, stderr } = machine(t).run(['riscv64gc-unknown-linux-gnu'])
  assert.equal(status, 2)
  assert.match(stderr, /^check-targets: riscv64gc-unknown-linux-gnu is no target of package\.json; those are x86_64-unknown-linux-gnu, /)
})
