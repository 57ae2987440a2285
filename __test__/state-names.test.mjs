// @ts-check
// No two users or policies share state, whatever their ids are and whichever names these give.

import assert from 'node:assert/strict'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'

import { POLICIES, rewardOnce } from './support/standing.mjs'
import { contentsOf, emptyDirectory, namesIn, openEngine, stateIn, stateText } from './support/state-dir.mjs'

/** Ids that give one name, wholly or in part, or that a careless program would take for a path. */
const IDS = [
  'a-b', 'a_b', 'a b', 'a.b', 'a/b', 'a\\b', 'a😀b', 'x', 'x_egreedy', 'x-egreedy', 'x_egreedy_v2', 'x_egreedy_egreedy', 'x_egreedy_v2_egreedy_v2',
  '.', '..', '../..', '../../etc/passwd', '/etc/passwd', '/', '\\', '.lock', '.state.tmp', 'set-aside', 'set-aside/x', 'set_aside', '~', 'a~b',
  'User', 'user', 'USER', 'straße', 'strasse', 'STRASSE', 'é', 'e\u0301', 'İ', 'i', 'ı', 'ﬁ', 'fi', '٣', '²', '龟背竹', '\n', '\t', ' ', '"', '%', '\u202e', '\ufeff',
  'y'.repeat(200), 'y'.repeat(251), 'y'.repeat(252), 'y'.repeat(512), `${'y'.repeat(511)}z`, 'ж'.repeat(120), 'ж'.repeat(512), '😀'.repeat(256), '-'.repeat(300), '_'.repeat(300),
  '__proto__', 'constructor', 'con', 'nul', 'a'.repeat(64), `${'a'.repeat(64)}b`,
]

/** A number of its own for each user and policy. @param {number} user @param {number} policy */
const own = (user, policy) => user * 3 + policy + 1

describe('every id under every policy', () => {
  for (const order of ['in order', 'backwards']) {
    test(`${order}: apart in memory, after reopening, and after one more change`, async (t) => {
      const stateDir = emptyDirectory(t)
      const ids = order === 'in order' ? IDS : IDS.toReversed()
      /** @param {import('@oo/bandits').Bandits} bandits @param {number} times */
      const check = (bandits, times) => {
        for (const [i, userId] of ids.entries()) {
          for (const [j, policy] of POLICIES.entries()) {
            const { cumulativeReward, rewardCount } = bandits.stats(userId, policy)
            assert.deepEqual([cumulativeReward, rewardCount], [times * own(i, j), times], `${userId.slice(0, 40)} under ${policy}`)
          }
        }
      }
      /** @param {import('@oo/bandits').Bandits} bandits */
      const reward = (bandits) => ids.forEach((userId, i) => POLICIES.forEach((policy, j) => rewardOnce(bandits, userId, { policy, reward: own(i, j) })))
      for (let times = 1; times <= 3; times++) {
        const bandits = openEngine(t, { stateDir })
        check(bandits, times - 1)
        reward(bandits)
        check(bandits, times)
        await bandits.close()
      }
      const names = namesIn(stateDir)
      assert.equal(names.length, ids.length * 3)
      for (const name of names) {
        assert.ok(Buffer.byteLength(name) <= 255 && name.endsWith('.json') && !name.includes('/'), name)
      }
      assert.deepEqual(readdirSync(stateDir).filter((name) => !name.endsWith('.json')).sort(), ['.epoch', '.lock', 'log'])
      // Each file names its owner.
      const owners = names.map((name) => stateIn(stateDir, name).meta).map(({ user_id, policy }) => JSON.stringify([user_id, policy]))
      assert.equal(new Set(owners).size, owners.length)
    })
  }
})

test('resetting or erasing one leaves those with the same name alone', async (t) => {
  const stateDir = emptyDirectory(t)
  const same = ['a-b', 'a_b', 'a b', 'a/b']
  const first = openEngine(t, { stateDir })
  for (const userId of same) for (const policy of POLICIES) rewardOnce(first, userId, { policy })
  await first.close()
  const second = openEngine(t, { stateDir })
  await second.erase('a-b')
  second.reset('a b')
  await second.close()
  const third = openEngine(t, { stateDir })
  for (const policy of POLICIES) assert.deepEqual(same.map((userId) => third.stats(userId, policy).rewardCount), [0, 1, 0, 1])
  rewardOnce(third, 'a-b')
  await third.close()
  assert.deepEqual(same.map((userId) => openEngine(t, { stateDir }).stats(userId).rewardCount), [1, 1, 0, 1])
})

test('erasing the ε-greedy namesake does not touch the LinUCB file of the same name, nor the other way round', async (t) => {
  const stateDir = emptyDirectory(t)
  const bandits = openEngine(t, { stateDir })
  rewardOnce(bandits, 'x', { policy: 'egreedy-v1' })
  rewardOnce(bandits, 'x_egreedy', { policy: 'linucb-v1', reward: 2 })
  await bandits.checkpoint()
  await bandits.erase('x')
  assert.equal(bandits.stats('x_egreedy', 'linucb-v1').cumulativeReward, 2)
  assert.equal(bandits.stats('x', 'egreedy-v1').rewardCount, 0)
  rewardOnce(bandits, 'x', { policy: 'egreedy-v1' })
  await bandits.erase('x_egreedy')
  await bandits.close()
  const again = openEngine(t, { stateDir })
  assert.deepEqual([again.stats('x', 'egreedy-v1').rewardCount, again.stats('x_egreedy', 'linucb-v1').rewardCount], [1, 0])
})

describe('a file of the old service, which names no owner', () => {
  test('is its user’s, and stamped with the next change', async (t) => {
    const stateDir = emptyDirectory(t)
    writeFileSync(join(stateDir, 'user_1_egreedy.json'), stateText(7, { meta: { pulls: 5, explore_count: 1, reward_count: 2, cumulative_reward: 1.5, cohort: { any: ['thing', null] } } }))
    const bandits = openEngine(t, { stateDir })
    const { pulls, rewardCount, cumulativeReward, explorationRate } = bandits.stats('user-1')
    assert.deepEqual([pulls, rewardCount, cumulativeReward, explorationRate], [5, 2, 1.5, 0.2])
    rewardOnce(bandits, 'user-1')
    await bandits.close()
    const { meta } = stateIn(stateDir, 'user_1_egreedy.json')
    assert.deepEqual([meta['user_id'], meta['policy'], meta['reward_count'], meta['cohort']], ['user-1', 'egreedy-v1', 3, { any: ['thing', null] }])
  })

  test('is not another user’s or policy’s whose name is the same', async (t) => {
    const stateDir = emptyDirectory(t)
    // By its dimension it is user x's under egreedy-v1, not user x_egreedy's under linucb-v1.
    writeFileSync(join(stateDir, 'x_egreedy.json'), stateText(7, { meta: { pulls: 5 } }))
    const bandits = openEngine(t, { stateDir })
    assert.equal(bandits.stats('x_egreedy', 'linucb-v1').pulls, 0)
    rewardOnce(bandits, 'x_egreedy', { policy: 'linucb-v1' })
    await bandits.checkpoint()
    assert.equal(bandits.stats('x', 'egreedy-v1').pulls, 5)
    await bandits.close()
    assert.equal(JSON.parse(readFileSync(join(stateDir, 'x_egreedy.json'), 'utf8')).b.length, 7)
  })

  test('goes to the first user that asks, and to one only', async (t) => {
    const stateDir = emptyDirectory(t)
    writeFileSync(join(stateDir, 'a_b.json'), stateText(5, { meta: { pulls: 5 } }))
    const bandits = openEngine(t, { stateDir, activePolicy: 'linucb-v1' })
    rewardOnce(bandits, 'a-b')
    rewardOnce(bandits, 'a_b')
    assert.deepEqual([bandits.stats('a-b').pulls, bandits.stats('a_b').pulls], [5, 0])
    await bandits.close()
    const again = openEngine(t, { stateDir, activePolicy: 'linucb-v1' })
    assert.deepEqual([again.stats('a_b').pulls, again.stats('a-b').pulls], [0, 5])
  })

  test('is not rewritten by looking at it', async (t) => {
    const stateDir = emptyDirectory(t)
    writeFileSync(join(stateDir, 'u.json'), stateText(5, { meta: { pulls: 5 } }))
    const before = contentsOf(stateDir)
    const bandits = openEngine(t, { stateDir })
    assert.equal(bandits.stats('u', 'linucb-v1').pulls, 5)
    bandits.features('u')
    bandits.score({ userId: 'u', candidates: [{ id: 'a' }], policy: 'egreedy-v1' })
    await bandits.close()
    assert.deepEqual(contentsOf(stateDir).filter(([name]) => name === 'u.json'), before)
  })
})
