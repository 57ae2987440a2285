// @ts-check
// What `npm run demo`, the benches and the torture tests build before they start: what is missing or older than its sources, and
// nothing else. In a checkout of its own, whose builds only note that they ran.

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { chmodSync, copyFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import { after, describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { addonName, staleParts } from '../scripts/build-stale.mjs'
import { rustProblem } from '../scripts/require-rust.mjs'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const manifest = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'))
const scratch = mkdtempSync(join(tmpdir(), 'oo-bandits-build-'))
after(() => rmSync(scratch, { recursive: true, force: true }))

let checkouts = 0
/** The scripts, sources of a line each, and builds that write what is built, with Rust of this version or without. @param {string | null} rust */
function checkout(rust) {
  const root = join(scratch, String(checkouts++))
  const write = (/** @type {string} */ path, /** @type {string} */ text) => {
    mkdirSync(dirname(join(root, path)), { recursive: true })
    writeFileSync(join(root, path), text)
    utimesSync(join(root, path), 1000, 1000)
  }
  mkdirSync(join(root, 'scripts'), { recursive: true })
  for (const name of ['build-stale.mjs', 'require-rust.mjs']) copyFileSync(join(ROOT, 'scripts', name), join(root, 'scripts', name))
  for (const path of ['src/lib.rs', 'src/generate/prompts/v1.txt', 'Cargo.lock', 'build.rs', 'lib/index.ts', 'lib/error.ts', 'lib/tsconfig.json']) write(path, path)
  copyFileSync(join(ROOT, 'Cargo.toml'), join(root, 'Cargo.toml'))
  utimesSync(join(root, 'Cargo.toml'), 1000, 1000)
  const build = (/** @type {string} */ what, /** @type {string[]} */ names) =>
    `node -e "const fs = require('node:fs'); fs.mkdirSync('dist', { recursive: true }); for (const name of '${names}'.split(',')) fs.writeFileSync('dist/' + name, ''); fs.appendFileSync('built', '${what} ')"`
  const scripts = { 'build:native': build('native', [addonName(), 'addon.js']), 'build:lib': build('lib', ['index.js', 'error.js']) }
  write('package.json', JSON.stringify({ private: true, scripts }))
  const bin = join(root, 'bin')
  mkdirSync(bin)
  for (const program of rust === null ? [] : ['cargo', 'rustc']) {
    writeFileSync(join(bin, program), `#!/bin/sh\necho "${program} ${rust} (abc 2026-01-01)"\n`)
    chmodSync(join(bin, program), 0o755)
  }
  return {
    root,
    /** @param {string} path @param {number} [seconds] */
    touch: (path, seconds = Date.now() / 1000 + 60) => utimesSync(join(root, path), seconds, seconds),
    /** @param {string} script */
    run: (script = 'build-stale.mjs') => {
      // No Rust but the one above, which comes before any other; npm needs Node and a shell.
      const path = (rust === null ? [bin] : [bin, dirname(process.execPath), '/usr/bin', '/bin']).join(delimiter)
      const { status, stdout, stderr } = spawnSync(process.execPath, [join(root, 'scripts', script)], { cwd: root, encoding: 'utf8', env: { PATH: path, HOME: root } })
      return { status, said: stdout + stderr }
    },
    built: () => {
      try {
        return readFileSync(join(root, 'built'), 'utf8').trim().split(' ')
      } catch {
        return []
      }
    },
  }
}

describe('what is stale', () => {
  const namesOf = (/** @type {string} */ root) => staleParts(root).map(({ script }) => script)

  test('is what is missing, and what is older than one of its sources', () => {
    const { root, touch } = checkout(null)
    assert.deepEqual(namesOf(root), ['build:native', 'build:lib'])
    mkdirSync(join(root, 'dist'))
    for (const name of [addonName(), 'addon.js', 'index.js', 'error.js']) writeFileSync(join(root, 'dist', name), '')
    assert.deepEqual(namesOf(root), [])
    for (const path of ['src/lib.rs', 'src/generate/prompts/v1.txt', 'Cargo.toml', 'Cargo.lock', 'build.rs']) {
      touch(path)
      assert.deepEqual(namesOf(root), ['build:native'], path)
      touch(path, 1000)
    }
    for (const path of ['lib/index.ts', 'lib/tsconfig.json']) {
      touch(path)
      assert.deepEqual(namesOf(root), ['build:lib'], path)
      touch(path, 1000)
    }
    assert.deepEqual(namesOf(root), [])
    for (const [name, script] of [[addonName(), 'build:native'], ['addon.js', 'build:native'], ['error.js', 'build:lib']]) {
      const path = join(root, 'dist', String(name))
      rmSync(path)
      assert.deepEqual(namesOf(root), [script], name)
      writeFileSync(path, '')
    }
  })

  test('the addon of another platform is not this one', () => {
    const { root } = checkout(null)
    mkdirSync(join(root, 'dist'))
    for (const name of ['bandits.sunos-x64.node', 'addon.js', 'index.js', 'error.js']) writeFileSync(join(root, 'dist', name), '')
    assert.deepEqual(namesOf(root), ['build:native'])
  })

  test('the name of the addon is the one that the build gives it', () => {
    assert.ok(existsSync(join(ROOT, 'dist', addonName())), `dist has no ${addonName()}: npm run build`)
  })
})

describe('the build of what is stale', () => {
  test('builds once, and then nothing until a source changes', () => {
    const { run, built, touch } = checkout('1.95.0')
    const first = run()
    assert.equal(first.status, 0, first.said)
    assert.match(first.said, /^Building the addon, .+\(npm run build:native\)\nBuilding the TypeScript face, .+\(npm run build:lib\)\n$/)
    assert.deepEqual(built(), ['native', 'lib'])
    assert.deepEqual(run(), { status: 0, said: '' })
    assert.deepEqual(built(), ['native', 'lib'])
    touch('lib/error.ts')
    assert.equal(run().status, 0)
    assert.deepEqual(built(), ['native', 'lib', 'lib'])
  })

  test('says in one line that there is no Rust, or an old one', () => {
    for (const script of ['build-stale.mjs', 'require-rust.mjs']) {
      const none = checkout(null)
      const { status, said } = none.run(script)
      assert.equal(status, 1)
      assert.match(said, /^Rust ≥ \d+\.\d+ is needed to build the addon, and there is no `cargo` that runs\. Install it .+ and run this again\.\n$/)
      assert.deepEqual(none.built(), [])
      const old = checkout('1.60.1').run(script)
      assert.equal(old.status, 1)
      assert.match(old.said, /^Rust ≥ \d+\.\d+ is needed to build the addon, and `cargo` is cargo 1\.60\.1 .+\. `rustup update`, or: .+\.\n$/)
    }
  })

  test('ends with 1 where a build fails', () => {
    const { root, run } = checkout('1.95.0')
    writeFileSync(join(root, 'package.json'), JSON.stringify({ private: true, scripts: { 'build:native': 'echo broken; exit 3' } }))
    const { status, said } = run()
    assert.equal(status, 1)
    assert.match(said, /broken\nnpm run build:native failed\n$/)
  })
})

test('versions of Rust are compared as numbers', () => {
  const problemOf = (/** @type {string} */ needed, /** @type {string} */ found) => rustProblem(needed, (program) => `${program} ${found}\n`)
  for (const found of ['1.91.0', '1.91.0-nightly (abc)', '1.100.2', '2.0.0']) assert.equal(problemOf('1.91', found), undefined, found)
  for (const found of ['1.90.0', '1.9.9', '0.99.0', '']) assert.match(String(problemOf('1.91', found)), /^Rust ≥ 1\.91 is needed/, found)
})

test('what needs a build sees to it', () => {
  for (const name of ['demo', 'bench', 'bench:quick', 'bench:memory', 'bench:log', 'bench:decisions', 'bench:insight', 'bench:llm', 'torture', 'torture:nats', 'metrics']) {
    assert.match(manifest.scripts[name], /^node scripts\/build-stale\.mjs && node /, name)
  }
  assert.match(manifest.scripts['build:native'], /^node scripts\/require-rust\.mjs && /)
})
