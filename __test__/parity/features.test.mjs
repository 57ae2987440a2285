// @ts-check
// The features, one by one, against what the existing service makes of 500 inputs (fixtures/features.json). A state file
// with A = I and b = the k-th unit vector makes a score the k-th feature (plus linucb's width); a first reward of 1 makes b
// the whole vector.

import assert from 'node:assert/strict'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'

import { assertAllClose, camelCase, DIMENSIONS, LABELS } from './replay.mjs'
import { openEngine, readState, scratch, startingState, SUFFIX } from './state-files.mjs'

/** @typedef {import('./replay.mjs').PolicyName} PolicyName */
/** @typedef {{ features: any, context: any, profile_features?: any, x: number[] }} Sample */

/** @type {{ records: Sample[], negative_ages: Sample[] }} */
const { records, negative_ages: negativeAges } = JSON.parse(readFileSync(new URL('../fixtures/features.json', import.meta.url), 'utf8'))
const policies = /** @type {[PolicyName, number][]} */ (Object.entries(DIMENSIONS))

/**
 * An engine in which user `unit-k` has θ = the k-th unit vector.
 * @param {import('node:test').TestContext} t
 * @param {PolicyName} policy
 */
function openUnitVectors(t, policy) {
  const stateDir = join(scratch(t), 'state')
  mkdirSync(stateDir, { mode: 0o700 })
  const d = DIMENSIONS[policy]
  for (let k = 0; k < d; k++) {
    const { A, b, meta } = startingState(d)
    b[k] = 1
    writeFileSync(join(stateDir, `unit_${k}${SUFFIX[policy]}.json`), JSON.stringify({ A, b, meta }))
  }
  const bandits = openEngine(t, stateDir)
  return bandits
}

/**
 * x, entry by entry, through scores. A user never seen has θ = 0: linucb gives it the width alone, and the others 0.
 * @param {import('@oo/bandits').Bandits} bandits
 * @param {PolicyName} policy
 * @param {Sample} sample
 */
function scoredVector(bandits, policy, sample) {
  const { features, context, profile } = requestParts(sample)
  const candidates = [{ id: 'a', features }]
  const scoreFor = (/** @type {string} */ userId) => bandits.score({ userId, candidates, context, ...profile, policy }).score
  const width = scoreFor('unseen')
  return Array.from({ length: DIMENSIONS[policy] }, (_, k) => scoreFor(`unit-${k}`) - width)
}

/**
 * A profile that the sample leaves out is left out of the request too.
 * @param {Sample} sample
 */
function requestParts({ features, context, profile_features: profile }) {
  return {
    features: camelCase(features),
    context: camelCase(context),
    profile: profile === undefined ? {} : { profileFeatures: camelCase(profile) },
  }
}

for (const [policy, d] of policies) {
  test(`${policy}: scoring uses the service's features`, (t) => {
    const bandits = openUnitVectors(t, policy)
    for (const [i, sample] of records.entries()) {
      assertAllClose(scoredVector(bandits, policy, sample), sample.x.slice(0, d), `record ${i} ${JSON.stringify(sample)}`)
    }
  })

  test(`${policy}: training uses the same features`, async (t) => {
    const stateDir = scratch(t)
    const bandits = openEngine(t, stateDir)
    for (const [i, sample] of records.entries()) {
      const { features, context, profile } = requestParts(sample)
      const { hourOfDay, dayOfWeek } = context
      bandits.reward({ userId: `r${i}`, tipId: 'a', reward: 1, features: { ...features, hourOfDay }, dayOfWeek, ...profile, policy })
    }
    await bandits.close()
    for (const [i, { x }] of records.entries()) {
      const { A, b } = readState(join(stateDir, `r${i}${SUFFIX[policy]}.json`), d)
      const own = x.slice(0, d)
      assertAllClose(b, own, `record ${i} b`)
      for (const [row, value] of own.entries()) {
        const expected = own.map((other, column) => value * other + (row === column ? 1 : 0))
        assertAllClose(A[row] ?? [], expected, `record ${i} A[${row}]`)
      }
    }
  })

  test(`${policy}: a negative task age counts as 0, unlike in the service`, (t) => {
    const bandits = openUnitVectors(t, policy)
    for (const sample of negativeAges) {
      const age = LABELS.indexOf('task_age')
      assert.ok(/** @type {number} */ (sample.x[age]) < 0, 'the service does not clip')
      assertAllClose(scoredVector(bandits, policy, sample), sample.x.with(age, 0).slice(0, d), JSON.stringify(sample))
    }
  })
}

test('what is missing takes its default: noon on day 0, not overdue, age 0, priority 1, nothing known of the user', (t) => {
  const bandits = openUnitVectors(t, 'egreedy-v2')
  const x = LABELS.map((_, k) => bandits.score({ userId: `unit-${k}`, candidates: [{ id: 'a' }], policy: 'egreedy-v2' }).score)
  assertAllClose(x, [0, -1, 0, 0, 0, 0, 1, 0, 0, 0, 0.5, 0], 'x')
})
