// @ts-check
// State directories written by the existing service (recorded: __test__/fixtures/make-exchange.py): the package goes on
// from them with the same numbers, and leaves files that the service would read as its own.

import assert from 'node:assert/strict'
import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'

import { Bandits } from '@oo/bandits'

import { DIMENSIONS, POLICIES, replay, Tally } from './replay.mjs'
import { assertSameBits, assertSameState, openEngine, readState, scratch, startingState, stateFileNames } from './state-files.mjs'

/** @typedef {import('./replay.mjs').PolicyName} PolicyName */
/** @typedef {{ user_id: string, files: Record<PolicyName, string>, ops: import('./replay.mjs').Op[] }} Transcript */

const EXCHANGE = fileURLToPath(new URL('../fixtures/exchange', import.meta.url))
const STAGES = [1, 2, 3]
const KNOWN_META = new Set(['pulls', 'explore_count', 'reward_count', 'cumulative_reward', 'last_updated'])
/** @type {(stage: number) => Transcript[]} */
const transcriptsOf = (stage) => JSON.parse(readFileSync(join(EXCHANGE, `stage-${stage}`, 'calls.json'), 'utf8')).transcripts
/** @type {(stage: number) => string} */
const recorded = (stage) => join(EXCHANGE, `stage-${stage}`, 'state')

/**
 * Makes the calls of a stage and compares every file with what the service left.
 * @param {string} stateDir
 * @param {number} stage
 */
async function playStage(stateDir, stage) {
  const before = new Map(stateFileNames(stateDir).map((name) => [name, readState(join(stateDir, name))]))
  const transcripts = transcriptsOf(stage)
  const tally = new Tally()
  const bandits = Bandits.open({ stateDir })
  try {
    for (const { user_id: userId, files, ops } of transcripts) {
      for (const policy of POLICIES) tally.explore(userId, policy, before.get(files[policy])?.meta['explore_count'] ?? 0)
      for (const [i, op] of ops.entries()) replay(bandits, userId, op, tally, `stage ${stage} ${userId} #${i}`)
    }
  } finally {
    await bandits.close()
  }

  const written = stateFileNames(stateDir)
  const expected = stateFileNames(recorded(stage))
  const unknown = written.filter((name) => !transcripts.some(({ files }) => Object.values(files).includes(name)))
  assert.deepEqual(unknown, [], 'every file has the name that the service gives it')
  assert.deepEqual(expected.filter((name) => !written.includes(name)), [], 'no file is missing')
  for (const { user_id: userId, files, ops } of transcripts) {
    const mayChange = (/** @type {PolicyName} */ policy) => ops.some((op) => op.op === 'reset' || (op.op === 'reward' && op.policy === policy))
    for (const policy of POLICIES.filter((name) => written.includes(files[name]))) {
      const name = files[policy]
      const actual = readState(join(stateDir, name), DIMENSIONS[policy])
      const wanted = expected.includes(name) ? readState(join(recorded(stage), name)) : startingState(DIMENSIONS[policy])
      assertSameState(actual, wanted, { what: `stage ${stage} ${name}`, exploreCount: tally.explored(userId, policy) })
      const old = before.get(name)
      const keys = Object.keys(wanted.meta).filter((key) => KNOWN_META.has(key) || key in (old?.meta ?? {}))
      for (const key of keys) assert.ok(key in actual.meta, `${name}: meta.${key}`)
      if (old !== undefined && !mayChange(policy)) assertSameBits(actual, old, name)
    }
  }
}

for (const stage of STAGES.slice(1)) {
  test(`goes on from the service's stage ${stage - 1} to its stage ${stage}`, async (t) => {
    const stateDir = scratch(t)
    cpSync(recorded(stage - 1), stateDir, { recursive: true })
    await playStage(stateDir, stage)
  })
}

test('goes on from what it wrote itself, from nothing to stage 3', async (t) => {
  const stateDir = scratch(t)
  for (const stage of STAGES) await playStage(stateDir, stage)
})

test('keeps what it does not know in meta', async (t) => {
  const stateDir = scratch(t)
  cpSync(recorded(1), stateDir, { recursive: true })
  const bandits = openEngine(t, stateDir)
  for (const policy of POLICIES) bandits.score({ userId: 'keeps-meta', candidates: [{ id: 'a' }], policy })
  await bandits.close()
  for (const name of ['keeps_meta.json', 'keeps_meta_egreedy.json', 'keeps_meta_egreedy_v2.json']) {
    const before = readState(join(recorded(1), name)).meta
    const after = readState(join(stateDir, name)).meta
    const unknown = Object.entries(before).filter(([key]) => !KNOWN_META.has(key))
    assert.equal(unknown.length, 6)
    for (const [key, value] of unknown) assert.deepEqual(after[key], value, `${name}: meta.${key}`)
    assert.match(readFileSync(join(stateDir, name), 'utf8'), /"big": ?12345678901234567890[,}]/)
  }
})

test('doubles that are hard to write survive bit for bit', async (t) => {
  const recordedDir = join(EXCHANGE, 'hard-doubles')
  const stateDir = scratch(t)
  cpSync(recordedDir, stateDir, { recursive: true })
  const names = stateFileNames(recordedDir)
  assert.equal(names.length, POLICIES.length)
  const bandits = openEngine(t, stateDir)
  for (const policy of POLICIES) bandits.score({ userId: 'hard', candidates: [{ id: 'a', features: { isOverdue: true } }], policy })
  await bandits.close()
  for (const name of names) {
    const before = readState(join(recordedDir, name))
    const after = readState(join(stateDir, name))
    assertSameBits(after, before, name)
    assert.equal(after.meta['cumulative_reward'], before.meta['cumulative_reward'], name)
    assert.equal(after.meta['pulls'], before.meta['pulls'] + 1, name)
  }
})

test('reads a file without meta, as the service does', async (t) => {
  const stateDir = join(scratch(t), 'state')
  mkdirSync(stateDir, { mode: 0o700 })
  const { A } = startingState(7)
  writeFileSync(join(stateDir, 'old_egreedy.json'), JSON.stringify({ A, b: [0, 0, 0.25, 0, 0, 0, 0] }))
  const bandits = openEngine(t, stateDir)
  const { score } = bandits.score({ userId: 'old', candidates: [{ id: 'a', features: { isOverdue: true } }], policy: 'egreedy-v1' })
  assert.equal(score, 0.25)
  assert.equal(bandits.stats('old', 'egreedy-v1').pulls, 1)
})
