// @ts-check
// Segments of the log that are shorter than they were: what open(), health() and replay() say of them, and of what only looks like it.

import assert from 'node:assert/strict'
import { copyFileSync, mkdirSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'

import { replay } from '@oo/bandits'
import { killed } from './support/killed.mjs'
import { linesIn, segmentsIn } from './support/log-lines.mjs'
import { rewardOnce } from './support/standing.mjs'
import { emptyDirectory, openEngine } from './support/state-dir.mjs'

/** @typedef {import('./support/state-dir.mjs').TestContext} TestContext */

/** @param {TestContext} t @param {number} [starts] */
async function lived(t, starts = 3) {
  const stateDir = emptyDirectory(t)
  for (let start = 0; start < starts; start++) {
    const bandits = openEngine(t, { stateDir })
    for (let i = 0; i < 20; i++) rewardOnce(bandits, 'u')
    await bandits.close()
  }
  return stateDir
}

/** @param {TestContext} t @param {string} stateDir */
const replayed = (t, stateDir) => replay(join(stateDir, 'log'), emptyDirectory(t))

/** @param {string} stateDir @param {number} i */
const segment = (stateDir, i) => /** @type {string} */ (segmentsIn(stateDir).at(i))

/** What an open says, and closes again. @param {TestContext} t @param {string} stateDir */
async function opened(t, stateDir) {
  const bandits = openEngine(t, { stateDir })
  const { ok, warnings } = bandits.health()
  const { cutSegments, damagedLines, damage } = bandits.recovery
  const rewards = bandits.stats('u').rewardCount
  await bandits.close()
  return { ok, warnings: warnings.filter((warning) => warning.includes('shorter')), cutSegments, damagedLines, damage, rewards }
}

/** Nothing is missing, and nothing says so. @param {TestContext} t @param {string} stateDir */
async function assertWhole(t, stateDir) {
  const { ok, warnings, cutSegments, damagedLines } = await opened(t, stateDir)
  assert.deepEqual({ ok, warnings, cutSegments, damagedLines }, { ok: true, warnings: [], cutSegments: undefined, damagedLines: 0 })
  assert.equal((await replayed(t, stateDir)).missing, undefined)
}

describe('a segment that is shorter than it was', () => {
  for (const [name, cut] of /** @type {[string, (bytes: Buffer) => number][]} */ ([
    ['emptied', () => 0],
    ['cut behind its first line', (bytes) => bytes.indexOf('\n') + 1],
    ['cut behind a line in its midst', (bytes) => bytes.indexOf('\n', bytes.length / 2) + 1],
    ['cut in its midst', (bytes) => bytes.length >> 1],
    ['without its last line', (bytes) => bytes.lastIndexOf('\n', bytes.length - 2) + 1],
    ['without its last byte', (bytes) => bytes.length - 1],
  ])) {
    test(name, async (t) => {
      const stateDir = await lived(t)
      const middle = segment(stateDir, 1)
      const path = join(stateDir, 'log', middle)
      const bytes = readFileSync(path)
      const [has, had] = [cut(bytes), bytes.length]
      truncateSync(path, has)
      const report = await replayed(t, stateDir)
      assert.equal(report.complete, false)
      assert.deepEqual(report.missing, [{ segment: middle, has, had }])
      assert.match(report.reasons.join('\n'), new RegExp(`1 segment.* shorter than .*${middle} has ${has} of ${had} bytes`))
      for (let start = 0; start < 2; start++) {
        const found = await opened(t, stateDir)
        assert.deepEqual([found.ok, found.warnings.length, found.rewards], [false, 1, 60])
        assert.match(String(found.warnings[0]), new RegExp(`${middle} has ${has} of ${had} bytes`))
        assert.deepEqual(found.cutSegments, [{ segment: middle, has, had }])
        assert.deepEqual([found.damagedLines, found.damage], [1, [{ segment: middle, offset: has, bytes: had - has }]])
      }
      // Who has seen it puts it back, or takes it away: missing ones are said where they are read.
      writeFileSync(path, bytes)
      await assertWhole(t, stateDir)
    })
  }

  test('of a release that did not say how long segments were', async (t) => {
    const stateDir = emptyDirectory(t)
    mkdirSync(join(stateDir, 'log'))
    for (const name of ['0000000001-0000000000000000', '0000000002-0000000000000000', '0000000003-0000000000000000']) {
      copyFileSync(new URL(`fixtures/log-0.1/${name}.jsonl`, import.meta.url), join(stateDir, 'log', `${name}.jsonl`))
    }
    assert.deepEqual([linesIn(stateDir).some((line) => 'previousBytes' in line), (await replayed(t, stateDir)).complete], [false, true])
    const whole = readFileSync(join(stateDir, 'log', segment(stateDir, 1)))
    for (const has of [0, whole.indexOf('\n') - 1, whole.indexOf('\n') + 1, whole.lastIndexOf('\n', whole.length - 2) + 1]) {
      truncateSync(join(stateDir, 'log', segment(stateDir, 1)), has)
      const report = await replayed(t, stateDir)
      assert.equal(report.complete, false, `${has} bytes`)
      writeFileSync(join(stateDir, 'log', segment(stateDir, 1)), whole)
    }
    truncateSync(join(stateDir, 'log', segment(stateDir, 1)), 0)
    assert.deepEqual((await replayed(t, stateDir)).missing, [{ segment: segment(stateDir, 1), has: 0, had: null }])
    assert.deepEqual((await opened(t, stateDir)).cutSegments, [{ segment: segment(stateDir, 1), has: 0, had: null }])
  })

  test('a segment that is gone is named by replay(), too', async (t) => {
    const stateDir = await lived(t)
    const middle = segment(stateDir, 1)
    const had = statSync(join(stateDir, 'log', middle)).size
    rmSync(join(stateDir, 'log', middle))
    const { complete, missing } = await replayed(t, stateDir)
    assert.deepEqual([complete, missing], [false, [{ segment: middle, has: null, had }]])
  })
})

describe('what is no loss is said to be none', () => {
  test('kill -9, at any moment and again', async (t) => {
    const stateDir = emptyDirectory(t)
    for (let i = 0; i < 8; i++) killed(t, `const engine = Bandits.open({ stateDir }); for (let i = 0; i < ${i * 7}; i++) { engine.score({ userId: 'v', candidates: [{ id: 'a' }] }); reward(engine) }`, stateDir)
    await assertWhole(t, stateDir)
  })

  test('a process that was killed before it had written the first line of its segment', async (t) => {
    const stateDir = await lived(t)
    writeFileSync(join(stateDir, 'log', '0000000004-0000000000000000.jsonl'), '')
    await assertWhole(t, stateDir)
    // And half of one.
    const first = readFileSync(join(stateDir, 'log', segment(stateDir, -1)), 'utf8')
    writeFileSync(join(stateDir, 'log', '0000000009-0000000000000000.jsonl'), first.slice(0, 40))
    await assertWhole(t, stateDir)
  })

  test('erase(): of somebody in all segments, of many, of somebody who is all there is', async (t) => {
    const stateDir = await lived(t)
    for (const users of [['a', 'b', 'c'], ['u']]) {
      const bandits = openEngine(t, { stateDir })
      for (const user of [...users, 'other']) rewardOnce(bandits, user)
      for (const user of users) await bandits.erase(user)
      await bandits.close()
      await assertWhole(t, stateDir)
    }
    const { complete, reasons } = await replayed(t, stateDir)
    assert.deepEqual([complete, reasons], [true, []])
  })

  test('retention', async (t) => {
    const stateDir = await lived(t)
    await openEngine(t, { stateDir, logRetentionBytes: 0 }).close()
    await openEngine(t, { stateDir, logRetentionBytes: 0 }).close()
    assert.ok(segmentsIn(stateDir).length <= 3)
    await assertWhole(t, stateDir)
  })
})
