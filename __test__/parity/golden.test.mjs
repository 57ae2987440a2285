// @ts-check
// The golden files: 2,290 calls recorded from the existing service, made again through the public API.
// Deliberately different: the service forgot to clip task ages below 0; the golden files hold none (asserted here).

import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'

import { DIMENSIONS, POLICIES, replay, Tally } from './replay.mjs'
import { assertSameState, openEngine, readState, scratch, startingState, SUFFIX } from './state-files.mjs'

const GOLDEN = new URL('../fixtures/golden/', import.meta.url)
const files = readdirSync(GOLDEN).sort()
/** @type {(file: string) => { user_id: string, ops: import('./replay.mjs').Op[], final_state: Record<string, any> }[]} */
const transcriptsOf = (file) => JSON.parse(readFileSync(new URL(file, GOLDEN), 'utf8')).transcripts

test('the golden files are complete', () => {
  const transcripts = files.flatMap(transcriptsOf)
  assert.equal(transcripts.reduce((sum, { ops }) => sum + ops.length, 0), 2290)
  assert.doesNotMatch(JSON.stringify(transcripts), /"task_age_days":-/)
})

for (const file of files) {
  test(`${file}: the same scores, choices, stats and state files`, async (t) => {
    const stateDir = scratch(t)
    const bandits = openEngine(t, stateDir)
    const tally = new Tally()
    const transcripts = transcriptsOf(file)
    for (const { user_id: userId, ops } of transcripts) {
      for (const [i, op] of ops.entries()) replay(bandits, userId, op, tally, `${file} ${userId} #${i}`)
    }
    await bandits.close()

    for (const { user_id: userId, final_state: final } of transcripts) {
      for (const policy of POLICIES) {
        const path = join(stateDir, `${userId}${SUFFIX[policy]}.json`)
        // A reset removes the service's files; the package's may stay, with the starting state.
        if (final[policy] === undefined && !existsSync(path)) continue
        const expected = final[policy] ?? startingState(DIMENSIONS[policy])
        const exploreCount = tally.explored(userId, policy)
        assertSameState(readState(path, DIMENSIONS[policy]), expected, { what: `${file} ${userId} ${policy}`, exploreCount })
      }
    }
    t.diagnostic(`${tally.calls} calls; ${tally.nearTies} choices between candidates that differ in the last digits only`)
  })
}
