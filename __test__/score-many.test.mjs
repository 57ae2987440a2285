// @ts-check
// scoreMany(): a batch gives what its requests would have given one by one; all of it, or nothing.

import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'

import { assertRefuses } from './support/refusal.mjs'
import { POLICIES, rewardOnce, standingOf, timelessStandingOf } from './support/standing.mjs'
import { emptyDirectory, openEngine } from './support/state-dir.mjs'

const list = (/** @type {number} */ n, prefix = 'c') => Array.from({ length: n }, (_entry, i) => ({ id: `${prefix}${i}`, features: { priority: 1 + (i % 4), taskAgeDays: i % 31 } }))
const request = (/** @type {number} */ i, users = 5) => ({ userId: `u${i % users}`, candidates: list(1 + (i % 9), `r${i}-`), policy: POLICIES[i % 3], context: { hourOfDay: i % 24, dayOfWeek: i % 7 }, profileFeatures: i % 2 === 0 ? null : { preferredHour: i } })
const USERS = ['u0', 'u1', 'u2', 'u3', 'u4']

for (const n of [1, 2, 511, 512, 513, 1024, 1025, 3000]) {
  test(`${n} requests are ${n} calls of score`, (t) => {
    const [batch, single] = [openEngine(t, { historySize: 1000 }), openEngine(t, { historySize: 1000 })]
    const requests = Array.from({ length: n }, (_request, i) => request(i))
    assert.deepEqual(batch.scoreMany(requests), requests.map((one) => single.score(one)))
    assert.deepEqual(timelessStandingOf(batch, USERS), timelessStandingOf(single, USERS))
  })
}

test('10,000 requests of as many users', (t) => {
  const bandits = openEngine(t)
  const results = bandits.scoreMany(Array.from({ length: 10_000 }, (_request, i) => ({ userId: `u${i}`, candidates: [{ id: `t${i}` }] })))
  assert.ok(results.every(({ tipId, propensity }, i) => tipId === `t${i}` && propensity === 1))
  assert.equal(bandits.health().users, 10_000)
  for (const i of [0, 511, 512, 9999]) assert.deepEqual([bandits.stats(`u${i}`).pulls, bandits.features(`u${i}`).history.map(({ tipId }) => tipId)], [1, [`t${i}`]])
})

test('large batches of large requests', (t) => {
  const [batch, single] = [openEngine(t), openEngine(t)]
  const requests = [1, 5000, 2, 20_000, 3].map((n, i) => ({ userId: `u${i}`, candidates: list(n, `r${i}-`) }))
  assert.deepEqual(batch.scoreMany(requests), requests.map((one) => single.score(one)))
  assert.deepEqual(timelessStandingOf(batch, USERS), timelessStandingOf(single, USERS))
})

test('the same request object many times', (t) => {
  const bandits = openEngine(t)
  const one = { userId: 'u', candidates: [{ id: 'a' }] }
  assert.equal(bandits.scoreMany(Array.from({ length: 700 }, () => one)).length, 700)
  assert.equal(bandits.stats('u').pulls, 700)
})

describe('users who left memory since', () => {
  for (const place of [0, 1, 2]) {
    test(`an erased user at place ${place}`, async (t) => {
      const bandits = openEngine(t, { activePolicy: 'linucb-v1' })
      const users = ['a', 'b', 'c']
      for (const userId of users) bandits.score({ userId, candidates: [{ id: 'before' }] })
      await bandits.erase(/** @type {string} */ (users[place]))
      const results = bandits.scoreMany(users.map((userId) => ({ userId, candidates: [{ id: `${userId}0` }, { id: `${userId}1`, features: { priority: 4 } }] })))
      assert.deepEqual(results.map(({ tipId }) => tipId), ['a1', 'b1', 'c1'])
      assert.deepEqual(users.map((userId) => bandits.stats(userId).pulls), users.map((_user, i) => (i === place ? 1 : 2)))
      assert.deepEqual(users.map((userId) => bandits.features(userId).history.at(-1)?.tipId), ['a1', 'b1', 'c1'])
    })
  }

  test('several of them, several times in a batch of more than one crossing', async (t) => {
    const bandits = openEngine(t, { activePolicy: 'linucb-v1' })
    const requests = Array.from({ length: 1300 }, (_request, i) => ({ userId: `u${i % 10}`, candidates: [{ id: `t${i}` }] }))
    bandits.scoreMany(requests)
    await Promise.all([3, 7, 9].map((i) => bandits.erase(`u${i}`)))
    assert.deepEqual(bandits.scoreMany(requests).map(({ tipId }) => tipId), requests.map((_request, i) => `t${i}`))
    for (let i = 0; i < 10; i++) {
      assert.equal(bandits.stats(`u${i}`).pulls, [3, 7, 9].includes(i) ? 130 : 260)
      assert.equal(bandits.features(`u${i}`).history.at(-1)?.tipId, `t${1290 + i}`)
    }
  })
})

describe('all or nothing', () => {
  for (const n of [3, 600, 1200]) {
    test(`one user of ${n} has a damaged file`, (t) => {
      const stateDir = emptyDirectory(t)
      writeFileSync(join(stateDir, 'damaged_egreedy.json'), 'not JSON')
      const bandits = openEngine(t, { stateDir })
      for (const userId of USERS) rewardOnce(bandits, userId)
      const before = standingOf(bandits, USERS)
      for (const place of [0, n >> 1, n - 1]) {
        const requests = Array.from({ length: n }, (_request, i) => ({ userId: i === place ? 'damaged' : `u${i % 5}`, candidates: [{ id: `t${i}` }] }))
        assertRefuses(() => bandits.scoreMany(requests), 'ERR_STATE_CORRUPT')
        assert.deepEqual(standingOf(bandits, USERS), before)
        // Under another policy the same user is fine.
        assert.equal(bandits.scoreMany([{ userId: 'damaged', candidates: [{ id: 'ok' }], policy: 'linucb-v1' }])[0]?.tipId, 'ok')
      }
    })
  }

  test('a refused batch uses no random number', (t) => {
    const [one, two] = [openEngine(t), openEngine(t)]
    const requests = Array.from({ length: 600 }, (_request, i) => ({ userId: 'u', candidates: list(10, `${i}`) }))
    assertRefuses(() => one.scoreMany([...requests, { userId: 'u', candidates: [] }]), 'ERR_NO_CANDIDATES', 'requests[600].candidates')
    assert.deepEqual(one.scoreMany(requests), two.scoreMany(requests))
  })
})

test('a batch in the midst of which the numbering of users starts afresh', (t) => {
  const bandits = openEngine(t, { log: 'off' })
  // A thread numbers 131,072 users before it forgets them; of these nothing is kept, because each call is refused in the end.
  let reads = 0
  const refused = [{ get id() { return ++reads % 2 === 0 ? '' : 'a' } }]
  const number = (/** @type {string} */ userId) => assert.throws(() => bandits.score({ userId, candidates: refused }))
  for (const userId of ['first', ...Array.from({ length: 131_070 }, (_user, i) => `n${i}`)]) number(userId)
  const users = ['first', 'new', 'last']
  // Each fills a portion of its own but the first, which is chosen for together with the second.
  bandits.scoreMany(users.map((userId, i) => ({ userId, candidates: list(i === 0 ? 1 : 60_000, userId) })))
  for (const userId of users) assert.deepEqual([bandits.stats(userId).pulls, bandits.features(userId).history.map(({ tipId }) => tipId.startsWith(userId))], [1, [true]])
})

test('no requests, no results', (t) => {
  const bandits = openEngine(t)
  assert.deepEqual(bandits.scoreMany([]), [])
  assert.equal(bandits.health().users, 0)
})
