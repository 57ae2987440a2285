// @ts-check
// What a machine does not have is said in a plain line, and only REQUIRE_ALL=1 makes a failure of it: not CI=true, which every runner
// sets.

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { chmodSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'

import { emptyDirectory } from '../support/state-dir.mjs'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))

/**
 * Runs Node with none of this process's variables, but for those of `env`.
 * @param {string[]} args @param {Record<string, string>} [env]
 */
function node(args, env = {}) {
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { cwd: ROOT, encoding: 'utf8', env: { PATH: '/nowhere', ...env } })
  return { status, stdout, stderr }
}

/** @param {string} body */
const script = (body) => ['--input-type=module', '--eval', body]

/** A directory with a program, a line of a shell. @param {import('node:test').TestContext} t @param {string} name @param {string} line */
function directoryWith(t, name, line) {
  const directory = emptyDirectory(t)
  writeFileSync(join(directory, name), `#!/bin/sh\n${line}\n`)
  chmodSync(join(directory, name), 0o755)
  return directory
}

const GREEN = /** @type {Record<string, string>[]} */ ([{}, { CI: 'true' }, { CI: 'true', REQUIRE_ALL: '' }])
const RED = { CI: 'true', REQUIRE_ALL: '1' }

describe('what is missing', () => {
  const MISSING = script("import { missing } from './scripts/obtained.mjs'; console.log(missing('tea: there is none'))")

  test('is a line on stderr, and the reason of a skip', () => {
    for (const env of GREEN) assert.deepEqual(node(MISSING, env), { status: 0, stdout: 'tea: there is none\n', stderr: 'tea: there is none\n' })
  })

  test('is an error with REQUIRE_ALL=1', () => {
    const { status, stdout, stderr } = node(MISSING, RED)
    assert.deepEqual([status, stdout], [1, ''])
    assert.match(stderr, /Error: tea: there is none \(REQUIRE_ALL=1: nothing may be skipped\)\n/)
  })

  test('is none where only root is missing', () => {
    const { status, stderr } = node(script("import { missing } from './scripts/obtained.mjs'; missing('a mount: only root can', { needsRoot: true })"), RED)
    assert.deepEqual([status, stderr], [0, 'a mount: only root can\n'])
  })
})

describe('a machine without', () => {
  for (const [what, body, line] of /** @type {const} */ ([
    ['Python, for an environment', "import { pythonEnv } from './scripts/python-env.mjs'; console.log(await pythonEnv('reference'))", "python-env: no Python environment 'reference': Python 3.11 or newer is not on PATH"],
    ['Python, for a nats-server', "import { natsServer } from './scripts/nats-server.mjs'; console.log(await natsServer())", 'nats-server: there is none: Python 3 with pip is not on PATH, and NATS_SERVER_BIN is not set'],
  ])) {
    test(what, (t) => {
      // In a copy of the scripts, which has nothing in a cache.
      const cwd = emptyDirectory(t)
      const copied = spawnSync('cp', ['-R', join(ROOT, 'scripts'), join(cwd, 'scripts')])
      assert.equal(copied.status, 0)
      const run = (/** @type {Record<string, string>} */ env) => spawnSync(process.execPath, script(body), { cwd, encoding: 'utf8', env: { PATH: '/nowhere', ...env } })
      for (const env of GREEN) {
        const { status, stdout, stderr } = run(env)
        assert.deepEqual([status, stdout, stderr], [0, 'null\n', `${line}\n`])
      }
      const { status, stderr } = run(RED)
      assert.equal(status, 1)
      assert.ok(stderr.includes(`Error: ${line} (REQUIRE_ALL=1`), stderr)
    })
  }

  test('rustfmt and clippy', (t) => {
    const PATH = directoryWith(t, 'cargo', 'exit 1')
    for (const env of GREEN) {
      const { status, stderr } = node(['scripts/lint-rust.mjs'], { PATH, ...env })
      assert.deepEqual([status, stderr], [0, ['fmt', 'clippy'].map((name) => `lint:rust: skipped ${name}, which this Rust installation does not have (rustup component add ${name === 'fmt' ? 'rustfmt' : name})\n`).join('')])
    }
    assert.equal(node(['scripts/lint-rust.mjs'], { PATH, ...RED }).status, 1)
  })

  test('a lint that fails is no missing one', (t) => {
    const PATH = directoryWith(t, 'cargo', '[ "$2" = --version ]')
    assert.equal(node(['scripts/lint-rust.mjs'], { PATH }).status, 1)
  })

  for (const name of ['exchange-live', 'generate-live']) {
    test(`the service, for ${name}`, () => {
      for (const env of GREEN) {
        const { status, stdout } = node(['--test', '--test-reporter=tap', `__test__/parity/${name}.test.mjs`], env)
        assert.equal(status, 0, stdout)
        assert.match(stdout, new RegExp(`# SKIP ${name}: skipped, REFERENCE_DIR is not set`))
      }
      const { status, stdout } = node(['--test', '--test-reporter=tap', `__test__/parity/${name}.test.mjs`], RED)
      assert.equal(status, 1, stdout)
      assert.match(stdout, /REFERENCE_DIR is not set .* \(REQUIRE_ALL=1: nothing may be skipped\)/)
    })
  }
})
