// What crosses the boundary is described once: scripts/boundary.mjs says which of what is made from the description does not follow.

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { cpSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'

import { emptyDirectory } from '../support/state-dir.mjs'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const DESCRIPTION = 'src/boundary.json'
const MADE = ['src/boundary.rs', 'lib/generated/boundary.ts', 'docs/boundary.md']

/** A copy of what the script reads, and a way to run it there. */
function copy(t) {
  const root = emptyDirectory(t)
  for (const path of ['scripts/boundary.mjs', 'package.json', 'index.d.ts', DESCRIPTION, ...MADE]) cpSync(join(ROOT, path), join(root, path))
  const change = (path, from, to) => {
    const text = readFileSync(join(root, path), 'utf8')
    assert.ok(text.includes(from), `${path} has ${from}`)
    writeFileSync(join(root, path), text.replace(from, to))
  }
  const run = (...args) => {
    const { status, stderr } = spawnSync(process.execPath, [join(root, 'scripts/boundary.mjs'), ...args], { encoding: 'utf8' })
    return { status, said: stderr.trim().split('\n').filter(Boolean) }
  }
  return { change, run, read: (path) => readFileSync(join(root, path), 'utf8') }
}

test('all that is made from the description follows from it', (t) => {
  assert.deepEqual(copy(t).run(), { status: 0, said: [] })
})

test('a change of the description is seen in each file until it is written', (t) => {
  const { change, run, read } = copy(t)
  change(DESCRIPTION, '["OVERDUE", ', '["NEW", "a new word"], ["OVERDUE", ')
  const before = /LAYOUT: u32 = ([\d_]+)/.exec(read('src/boundary.rs'))[1]
  const { status, said } = run()
  assert.equal(status, 1)
  assert.deepEqual(said.map((line) => line.split(' ')[0]), MADE)
  assert.deepEqual(run('--write'), { status: 0, said: [] })
  assert.deepEqual(run(), { status: 0, said: [] })
  assert.match(read('src/boundary.rs'), /NEW: usize = 13;[^]*OVERDUE: usize = 14;/)
  assert.match(read('lib/generated/boundary.ts'), /NEW = 13,[^]*OVERDUE = 14,/)
  assert.notEqual(/LAYOUT: u32 = ([\d_]+)/.exec(read('src/boundary.rs'))[1], before, 'the two sides of different descriptions refuse each other')
})

test('an edit by hand of what is made is seen', (t) => {
  for (const [path, from, to] of [
    ['src/boundary.rs', 'SCORE: usize = 6', 'SCORE: usize = 7'],
    ['lib/generated/boundary.ts', 'SCORE = 6', 'SCORE = 7'],
    ['docs/boundary.md', '| 6 | SCORE |', '| 7 | SCORE |'],
  ]) {
    const { change, run } = copy(t)
    change(path, from, to)
    const { status, said } = run()
    assert.deepEqual([status, said.length, said[0].startsWith(path)], [1, 1, true], path)
  }
})

test('a code or a reason that index.d.ts does not say, or that does not exist, is seen', (t) => {
  for (const [from, to, named] of [
    ["'ERR_CLOSED'", "'ERR_ENDED'", ['ERR_CLOSED', 'ERR_ENDED']],
    ["  | 'ERR_CLOSED'", "  | 'ERR_CLOSED'\n  | 'ERR_NEW'", ['ERR_NEW']],
    ["| 'superseded'", '', ['superseded']],
  ]) {
    const { change, run } = copy(t)
    change('index.d.ts', from, to)
    const { status, said } = run()
    assert.equal(status, 1)
    assert.deepEqual(said.map((line) => line.split(' ').at(-1)), named)
  }
})

test('bits that do not fit into a whole number are refused', (t) => {
  const { change, run } = copy(t)
  change(DESCRIPTION, '["HOUR", 5,', '["HOUR", 25,')
  const { status, said } = run()
  assert.equal(status, 1)
  assert.ok(said.some((line) => line.includes('the fields of meta have 52 bits, of 32')), said.join('\n'))
})
