// @ts-check
// maxHotUsers: users leave memory and come back, and nobody can tell.

import assert from 'node:assert/strict'
import { describe, test } from 'node:test'

import { run } from './support/child.mjs'
import { withRoom } from './support/room.mjs'
import { POLICIES, rewardOnce, standingOf } from './support/standing.mjs'
import { emptyDirectory, openEngine } from './support/state-dir.mjs'

/** @typedef {import('@oo/bandits').Bandits} Bandits */

const USERS = Array.from({ length: 40 }, (_user, i) => `u${i}`)

/**
 * The same calls for every engine, `rounds` for each user. After each user, what was changed is written, so that whoever is in
 * memory can leave: how long a disk takes must not matter here.
 * @param {Bandits} bandits @param {number} rounds @param {string[]} [users]
 */
async function live(bandits, rounds, users = USERS) {
  for (let i = 0; i < rounds; i++) {
    for (const [u, userId] of users.entries()) {
      const policy = POLICIES[(i + u) % 3]
      bandits.score({ userId, candidates: [{ id: `t${i}` }], policy, context: { hourOfDay: i % 24 } })
      rewardOnce(bandits, userId, { policy, reward: Math.sin(i * 40 + u) })
      await bandits.checkpoint()
    }
  }
}

/** @param {Bandits} bandits */
const numbers = (bandits) => standingOf(bandits, USERS).map(({ stats, history }) => ({
  stats: stats.map(({ lastUpdated: _time, theta, ...rest }) => ({ ...rest, theta: theta.map((value) => value.toFixed(9)) })),
  history: history.map(({ ts: _time, score, exploring: _drawn, ...rest }) => ({ ...rest, score: score.toFixed(9) })),
}))

for (const maxHotUsers of [1, 2, 5, 39]) {
  test(`with room for ${maxHotUsers}, numbers and histories are as with room for all`, async (t) => {
    const stateDir = emptyDirectory(t)
    const [small, ample] = [openEngine(t, { stateDir, maxHotUsers, historySize: 5 }), openEngine(t, { historySize: 5 })]
    await Promise.all([live(small, 3), live(ample, 3)])
    const { users, evictedUsers, ok, warnings, writer, log } = small.health()
    assert.ok(users <= maxHotUsers + Math.max(1, maxHotUsers / 4), `${users} users are in memory`)
    assert.ok(evictedUsers >= USERS.length - users, `${evictedUsers} have left`)
    assert.deepEqual([ok, warnings, writer.foreignWrites, log.droppedPulls], [true, [], 0, 0])
    assert.deepEqual([ample.health().users, ample.health().evictedUsers], [USERS.length, 0])
    const expected = numbers(ample)
    assert.deepEqual(withoutRates(numbers(small)), withoutRates(expected))
    await small.close()
    assert.deepEqual(withoutRates(numbers(openEngine(t, { stateDir, historySize: 5 }))), withoutRates(expected))
  })
}

/** Exploration is drawn, and two engines do not draw alike. @param {ReturnType<typeof numbers>} standing */
function withoutRates(standing) {
  return standing.map(({ stats, history }) => ({ history, stats: stats.map(({ explorationRate: _rate, ...rest }) => rest) }))
}

test('where all were asked for lately and all are written, a newcomer finds room', async (t) => {
  const bandits = openEngine(t, { maxHotUsers: 40 })
  for (let round = 0; round < 2; round++) {
    for (let i = 0; i < 50; i++) bandits.score({ userId: `early${i}`, candidates: [{ id: 'a' }] })
    await bandits.checkpoint()
  }
  for (let i = 0; i < 50; i++) bandits.score({ userId: `late${i}`, candidates: [{ id: 'a' }] })
  assert.deepEqual([bandits.health().log.droppedPulls, bandits.health().evictedUsers], [0, 50])
})

/** @param {number[]} values */
const sum = (values) => values.reduce((total, value) => total + value, 0)

/** Pulls that are in no state. Where the disk takes longer than anybody waits, they are counted. @param {Bandits} bandits */
const dropped = (bandits) => bandits.health().log.droppedPulls

test('without waiting for anything to be written, no reward is lost, and no pull that is not counted', async (t) => {
  const stateDir = emptyDirectory(t)
  const bandits = openEngine(t, { stateDir, maxHotUsers: 4 })
  for (let i = 0; i < 5; i++) {
    for (const userId of USERS) {
      bandits.score({ userId, candidates: [{ id: 'a' }] })
      withRoom(() => rewardOnce(bandits, userId))
    }
  }
  const lost = dropped(bandits)
  const counts = (/** @type {Bandits} */ b) => [sum(USERS.map((userId) => b.stats(userId).pulls)) + lost, USERS.map((userId) => b.stats(userId).rewardCount)]
  assert.deepEqual(counts(bandits), [200, USERS.map(() => 5)])
  assert.equal(bandits.health().writer.foreignWrites, 0)
  await bandits.close()
  assert.deepEqual(counts(openEngine(t, { stateDir })), [200, USERS.map(() => 5)])
})

test('a user who leaves while its file is being written takes nothing along', (t) => {
  const bandits = openEngine(t, { maxHotUsers: 4 })
  const users = Array.from({ length: 300 }, (_user, i) => `a${i}`)
  let blank = 0
  const resetBlank = () => bandits.reset(`blank ${blank++}`)
  for (const [i, userId] of users.entries()) {
    withRoom(() => rewardOnce(bandits, userId))
    // The writer begins 10 ms after a change; each user is met at another moment of it.
    for (const end = performance.now() + 9.5 + (i % 60) / 15; performance.now() < end;);
    // Whoever asks for a user without changing it needs room in memory.
    for (let k = 0; k < 12; k++) withRoom(resetBlank)
    withRoom(() => rewardOnce(bandits, userId))
  }
  assert.deepEqual(users.filter((userId) => bandits.stats(userId).rewardCount !== 2), [])
  assert.equal(bandits.health().writer.foreignWrites, 0)
})

describe('calls that need several users', () => {
  // In a process of its own, which can be killed: a call that never returns would keep this one alive.
  test('a batch of more users than there is room for', (t) => {
    const stateDir = emptyDirectory(t)
    const { code, stdout, stderr } = run(`
      const engine = Bandits.open({ stateDir, maxHotUsers: 3 })
      const requests = Array.from({ length: 200 }, (_, i) => ({ userId: 'u' + i % 40, candidates: [{ id: 't' + i }] }))
      for (let i = 0; i < 3; i++) console.log(engine.scoreMany(requests).every(({ tipId }, k) => tipId === 't' + k))
      console.log(engine.health().log.droppedPulls)
      await engine.close()`, { stateDir })
    const [, lost] = /^(?:true\n){3}(\d+)\n$/.exec(stdout) ?? assert.fail(`${stdout}${stderr}`)
    assert.equal(code, 0, stderr)
    const again = openEngine(t, { stateDir })
    assert.equal(sum(USERS.map((userId) => again.stats(userId).pulls)) + Number(lost), 600)
  })

  test('resets and erasures of users who left', async (t) => {
    const bandits = openEngine(t, { maxHotUsers: 2 })
    await live(bandits, 3)
    bandits.reset('u0')
    await bandits.erase('u1')
    await live(bandits, 1, USERS.slice(10))
    const counts = ['u0', 'u1', 'u2'].map((userId) => [POLICIES.map((policy) => bandits.stats(userId, policy).pulls), bandits.features(userId).history.length])
    assert.deepEqual(counts, [[[0, 0, 0], 0], [[0, 0, 0], 0], [[1, 1, 1], 3]])
  })
})
