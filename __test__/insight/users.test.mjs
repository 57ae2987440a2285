// @ts-check
// users(): everybody once, in an order that stays, wherever they are.

import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'

import { POLICIES } from '../support/standing.mjs'
import { emptyDirectory, openEngine, stateText } from '../support/state-dir.mjs'

/** @typedef {import('@oo/bandits').Bandits} Bandits */

/** @param {Bandits} bandits @param {number} limit @param {(page: import('@oo/bandits').UserPage) => unknown} [between] */
async function everybody(bandits, limit, between) {
  const users = []
  for (let after; ; ) {
    const page = await bandits.users({ limit, ...(after !== undefined && { after }) })
    users.push(...page.users)
    if (page.next === null) return users
    assert.equal(page.users.length, limit)
    assert.equal(page.next, page.users.at(-1)?.userId)
    after = page.next
    await between?.(page)
  }
}

/** Ids whose files' names collide, are too long, or look like another policy's. */
const ODD = ['a-b', 'a_b', 'x', 'x_egreedy', 'x_egreedy_v2', 'x-egreedy', 'é', '名前', '..', 'L'.repeat(250), `${'L'.repeat(250)}2`, 'y'.repeat(60), `${'y'.repeat(60)}_egreedy`, '✓'.repeat(300)]

test('everybody is listed once, with what stats() says, whatever their files are called', async (t) => {
  const stateDir = emptyDirectory(t)
  const bandits = openEngine(t, { stateDir, maxHotUsers: 10 })
  const ids = [...ODD, ...Array.from({ length: 60 }, (_user, i) => `user-${i}`)]
  for (const [i, userId] of ids.entries()) {
    for (const policy of POLICIES.slice(i % 3)) {
      bandits.score({ userId, candidates: [{ id: 'a' }, { id: 'b' }], policy })
      if (i % 2 === 0) bandits.reward({ userId, tipId: 'a', reward: 0.5, features: {}, policy })
    }
    if (i % 10 === 0) await bandits.checkpoint()
  }
  const once = await everybody(bandits, 7)
  assert.deepEqual(once.map(({ userId }) => userId).sort(), [...ids].sort())
  await bandits.checkpoint()
  for (const limit of [1, 7, 1000]) assert.deepEqual((await everybody(bandits, limit)).map(({ userId }) => userId), once.map(({ userId }) => userId))
  for (const { userId, lastUpdated, policies } of await everybody(bandits, 100)) {
    const stats = POLICIES.map((policy) => bandits.stats(userId, policy)).filter(({ pulls }) => pulls > 0)
    assert.deepEqual(policies, stats.map(({ policy, pulls, rewardCount, cumulativeReward, lastUpdated: at }) => ({ policy, pulls, rewardCount, cumulativeReward, lastUpdated: at })))
    assert.equal(lastUpdated, stats.map((of) => String(of.lastUpdated)).sort().at(-1))
  }
  // The same order in another process's life.
  await bandits.close()
  assert.deepEqual((await everybody(openEngine(t, { stateDir }), 9)).map(({ userId }) => userId), once.map(({ userId }) => userId))
})

test('who is there all the time comes once, while others come and go and get more files', async (t) => {
  const stateDir = emptyDirectory(t)
  const bandits = openEngine(t, { stateDir })
  const ids = Array.from({ length: 50 }, (_user, i) => `user-${i}`)
  for (const userId of ids) bandits.score({ userId, candidates: [{ id: 'a' }], policy: 'egreedy-v1' })
  let n = 0
  const seen = await everybody(bandits, 6, async ({ users }) => {
    for (const { userId } of users) bandits.score({ userId, candidates: [{ id: 'a' }], policy: 'linucb-v1' })
    for (const userId of ids.slice(n, n + 10)) bandits.score({ userId, candidates: [{ id: 'a' }], policy: 'egreedy-v2' })
    bandits.score({ userId: `new-${n}`, candidates: [{ id: 'a' }] })
    await bandits.checkpoint()
    await bandits.erase(`new-${n - 10}`)
    n += 10
  })
  const old = seen.map(({ userId }) => userId).filter((userId) => userId.startsWith('user-'))
  assert.deepEqual([...old].sort(), [...ids].sort())
})

test('in memory only, without a log, and with files that name nobody', async (t) => {
  const stateDir = emptyDirectory(t)
  writeFileSync(join(stateDir, 'nobody.json'), stateText(5))
  writeFileSync(join(stateDir, 'junk.json'), '{')
  writeFileSync(join(stateDir, 'elsewhere.json'), stateText(5, { meta: { user_id: 'not-elsewhere' } }))
  const bandits = openEngine(t, { stateDir, log: 'off' })
  assert.deepEqual(await bandits.users(), { users: [], next: null })
  bandits.stats('looked at')
  bandits.score({ userId: 'b', candidates: [{ id: 'a' }] })
  const { users, next } = await bandits.users()
  assert.deepEqual([users.map(({ userId }) => userId), next], [['b'], null])
  assert.deepEqual((await bandits.users({ after: 'b' })).users, [])
  assert.deepEqual((await bandits.users({ after: 'a' })).users, users)
})

test('who cannot be counted leaves neither an early end nor a hole', async (t) => {
  const stateDir = emptyDirectory(t)
  const bandits = openEngine(t, { stateDir })
  const ids = Array.from({ length: 9 }, (_user, i) => `user-${i}`)
  for (const userId of ids) bandits.score({ userId, candidates: [{ id: 'a' }] })
  await bandits.close()
  // Nothing of theirs can be read, but whose it is.
  const damaged = (/** @type {string} */ name) => writeFileSync(join(stateDir, `${name}.json`), stateText(5, { diagonal: 0, meta: { user_id: name } }))
  for (let i = 0; i < 12; i++) damaged(`a${i}`)
  for (let i = 0; i < 12; i++) damaged(`user_4x${i}`)
  const again = openEngine(t, { stateDir })
  // In memory only, behind all others and between them.
  for (const userId of ['z', 'user-5b', 'm']) again.score({ userId, candidates: [{ id: 'a' }] })
  const expected = ['m', ...ids.slice(0, 6), 'user-5b', ...ids.slice(6), 'z']
  for (const limit of [1, 2, 5, 13, 100]) assert.deepEqual((await everybody(again, limit)).map(({ userId }) => userId), expected)
})
