// @ts-check
// The names of state files, for 208 user ids, as the existing service gives them (fixtures/names.json): scripts, digits of
// all kinds, marks, emoji, dots, slashes, long ids, and both sides of each border of Unicode 14's letters and numbers.

import assert from 'node:assert/strict'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'

import { DIMENSIONS } from './replay.mjs'
import { openEngine, readState, scratch, startingState, stateFileNames } from './state-files.mjs'

/** @typedef {import('./replay.mjs').PolicyName} PolicyName */
/** @typedef {{ userId: string, linucb: string | null, egreedy: string | null, egreedyV2: string | null }} Row */

/** @type {Row[]} */
const rows = JSON.parse(readFileSync(new URL('../fixtures/names.json', import.meta.url), 'utf8'))
/** @type {(row: Row) => [PolicyName, string | null][]} */
const namesOf = ({ linucb, egreedy, egreedyV2 }) => [['linucb-v1', linucb], ['egreedy-v1', egreedy], ['egreedy-v2', egreedyV2]]

test('writes under the names of the service, and under names of its own where those are too long', async (t) => {
  const stateDir = scratch(t)
  const bandits = openEngine(t, stateDir)
  for (const [i, row] of rows.entries()) {
    for (const [policy] of namesOf(row)) {
      bandits.reward({ userId: row.userId, tipId: 'a', reward: i + 1, features: { isOverdue: true }, policy })
    }
  }
  await bandits.close()

  const written = new Set(stateFileNames(stateDir))
  for (const [i, row] of rows.entries()) {
    for (const [policy, name] of namesOf(row)) {
      if (name === null) continue
      assert.ok(written.delete(name), `${JSON.stringify(row.userId)} ${policy}: ${JSON.stringify(name)} is not there`)
      assert.equal(readState(join(stateDir, name), DIMENSIONS[policy]).b[2], i + 1, `${name} holds the state of its user`)
    }
  }
  const tooLong = rows.flatMap(namesOf).filter(([, name]) => name === null)
  assert.equal(written.size, tooLong.length)
  for (const name of written) assert.match(name, /~/)

  const again = openEngine(t, stateDir)
  for (const [i, row] of rows.entries()) {
    for (const [policy] of namesOf(row)) assert.equal(again.stats(row.userId, policy).cumulativeReward, i + 1, row.userId)
  }
})

test('finds the files of the service under these names', (t) => {
  const stateDir = join(scratch(t), 'state')
  mkdirSync(stateDir, { mode: 0o700 })
  for (const [i, row] of rows.entries()) {
    for (const [policy, name] of namesOf(row)) {
      if (name === null) continue
      const { A, b } = startingState(DIMENSIONS[policy])
      writeFileSync(join(stateDir, name), JSON.stringify({ A, b, meta: { pulls: i + 1 } }))
    }
  }
  const bandits = openEngine(t, stateDir)
  for (const [i, row] of rows.entries()) {
    for (const [policy, name] of namesOf(row)) {
      assert.equal(bandits.stats(row.userId, policy).pulls, name === null ? 0 : i + 1, `${JSON.stringify(row.userId)} ${policy}`)
    }
  }
})
