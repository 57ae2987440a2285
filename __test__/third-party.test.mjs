// @ts-check
// The notices of what the binaries contain of others: which licence is taken where there is a choice, and that a file that does not follow
// from Cargo.lock is noticed.

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import parseExpression from 'spdx-expression-parse'
import { chosen } from '../scripts/third-party.mjs'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const scratch = mkdtempSync(join(tmpdir(), 'oo-bandits-licences-'))
after(() => rmSync(scratch, { recursive: true, force: true }))

test('of a choice the licence that asks for least is taken, and none that is not accepted', () => {
  /** @type {[string, string[] | null][]} */
  const cases = [
    ['MIT', ['MIT']],
    ['MIT OR Apache-2.0', ['MIT']],
    ['Apache-2.0 OR MIT', ['MIT']],
    ['Apache-2.0 WITH LLVM-exception OR Apache-2.0 OR MIT', ['MIT']],
    ['Apache-2.0 OR BSD-3-Clause', ['BSD-3-Clause']],
    ['Apache-2.0 AND ISC', ['Apache-2.0', 'ISC']],
    ['(MIT OR Apache-2.0) AND ISC', ['MIT', 'ISC']],
    ['GPL-3.0-only OR MIT', ['MIT']],
    ['MIT AND MIT', ['MIT']],
    ['GPL-3.0-only', null],
    ['MPL-2.0 AND MIT', null],
    ['Apache-2.0 WITH LLVM-exception', null],
    ['GPL-2.0-only OR MPL-2.0', null],
  ]
  for (const [expression, expected] of cases) assert.deepEqual(chosen(parseExpression(expression)), expected, expression)
})

test('a file that does not follow from Cargo.lock is noticed, and written again', () => {
  for (const path of ['scripts', 'src', '__test__/rust', '__test__/bench/kernels.rs', 'Cargo.toml', 'Cargo.lock', 'build.rs', 'package.json', 'THIRD-PARTY.md']) cpSync(join(ROOT, path), join(scratch, path), { recursive: true })
  symlinkSync(join(ROOT, 'node_modules'), join(scratch, 'node_modules'))
  const run = (/** @type {string[]} */ ...args) => spawnSync(process.execPath, [join(scratch, 'scripts', 'third-party.mjs'), ...args], { cwd: scratch, encoding: 'utf8' })
  const notices = join(scratch, 'THIRD-PARTY.md')
  const right = readFileSync(notices, 'utf8')
  assert.equal(run().status, 0, run().stderr)
  for (const wrong of [right.replace(/^\| \[tokio .*\n/m, ''), right.replace('Permission is hereby granted', 'Permission')]) {
    assert.notEqual(wrong, right)
    writeFileSync(notices, wrong)
    const { status, stderr } = run()
    assert.equal(status, 1)
    // Cargo may have to wait for another one, and says so before.
    assert.match(stderr, /^THIRD-PARTY\.md does not follow from Cargo\.lock: run node scripts\/third-party\.mjs --write, then .+\n$/m)
  }
  assert.equal(run('--write').status, 0)
  assert.equal(readFileSync(notices, 'utf8'), right)
  // A crate less in the lock file's graph is a crate less in the file.
  const manifest = join(scratch, 'Cargo.toml')
  writeFileSync(manifest, readFileSync(manifest, 'utf8').replace(/^httpdate = .*\n/m, ''))
  const { status } = spawnSync('cargo', ['update', '--workspace', '--offline'], { cwd: scratch })
  assert.equal(status, 0)
  assert.equal(run().status, 1)
  assert.equal(run('--write').status, 0)
  assert.equal(right.match(/^\| \[httpdate /gm)?.length, 1)
  assert.equal(readFileSync(notices, 'utf8').match(/^\| \[httpdate /gm), null)
})
