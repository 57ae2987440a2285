// @ts-check
// erase(): no byte of a person's stays under the directory, and what the log has of everybody else is as it was.

import assert from 'node:assert/strict'
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'

import { run } from './support/child.mjs'
import { eventsIn, linesIn, segmentsIn } from './support/log-lines.mjs'
import { POLICIES, rewardOnce, standingOf } from './support/standing.mjs'
import { emptyDirectory, openEngine } from './support/state-dir.mjs'

/** @typedef {import('@oo/bandits').Bandits} Bandits */

/** Ids that are written in another way in JSON or in names, and ones that are part of others. */
const IDS = ['person@example.com', 'Zoë "Z" \\ \n✓😀', 'p', 'x'.repeat(512), '龟背竹'.repeat(40)]
const OTHERS = ['other', 'person@example.comx', 'xperson@example.com', 'person-example-com', '"userId":"person@example.com"']

/** @param {Bandits} bandits @param {string} userId */
function live(bandits, userId) {
  for (const policy of POLICIES) {
    bandits.score({ userId, candidates: [{ id: 'a', promptVersion: 'v1' }, { id: 'b' }], policy, profileFeatures: { preferredHour: 3, computedAt: 'now' } })
    rewardOnce(bandits, userId, { policy })
  }
}

/**
 * The files under a directory, and their names, in which an id stands, in any way that it could be written.
 * @param {string} directory @param {string} userId
 */
function tracesOf(directory, userId) {
  const written = [userId, JSON.stringify(userId).slice(1, -1)]
  const names = /** @type {string[]} */ (readdirSync(directory, { recursive: true }))
  const files = names.filter((name) => statSync(join(directory, name)).isFile())
  return files.filter((name) => written.some((form) => name.includes(form) || readFileSync(join(directory, name)).includes(form)))
}

/** @param {{ userId?: string }[]} lines @param {string} userId */
const without = (lines, userId) => lines.filter((line) => line.userId !== userId)

for (const userId of IDS) {
  test(`of ${JSON.stringify(userId.slice(0, 20))}: nothing is left of it, and all of the others`, async (t) => {
    const stateDir = emptyDirectory(t)
    const others = userId === 'p' ? ['other', 'q'] : OTHERS
    // In several segments: two from before, and the one that is being written.
    for (let epoch = 0; epoch < 2; epoch++) {
      const bandits = openEngine(t, { stateDir })
      for (const id of [...others, userId]) live(bandits, id)
      if (epoch === 1) bandits.reset(userId)
      await bandits.close()
    }
    const bandits = openEngine(t, { stateDir })
    for (const id of [userId, ...others]) live(bandits, id)
    await bandits.checkpoint()
    const [expected, standing] = [without(eventsIn(stateDir), userId), standingOf(bandits, others)]
    assert.equal(expected.length, 3 * 6 * others.length)
    assert.ok(segmentsIn(stateDir).length >= 3)

    await bandits.erase(userId)
    // A short id stands in other words as well.
    if (userId !== 'p') assert.deepEqual(tracesOf(stateDir, userId).filter((name) => !isOthers(stateDir, name)), [])
    assert.deepEqual(eventsIn(stateDir), expected)
    assert.deepEqual(standingOf(bandits, others), standing)
    for (const policy of POLICIES) assert.deepEqual([bandits.stats(userId, policy).pulls, bandits.stats(userId, policy).rewardCount], [0, 0])
    assert.deepEqual(bandits.features(userId).history, [])
    await bandits.close()
    assert.deepEqual(eventsIn(stateDir), expected)

    const again = openEngine(t, { stateDir })
    assert.deepEqual(standingOf(again, others).map(({ stats }) => stats.map(({ pulls, rewardCount }) => [pulls, rewardCount])), standing.map(({ stats }) => stats.map(({ pulls, rewardCount }) => [pulls, rewardCount])))
    assert.equal(again.stats(userId).pulls, 0)
    await again.close()
    assert.deepEqual(tracesOf(stateDir, userId).filter((name) => userId !== 'p' && !isOthers(stateDir, name)), [])
  })
}

/** Whether the lines or the state in a file are all of users whose ids hold the erased one's. @param {string} stateDir @param {string} name */
function isOthers(stateDir, name) {
  const text = readFileSync(join(stateDir, name), 'utf8')
  const objects = name.startsWith('log/') ? text.trim().split('\n').map((line) => JSON.parse(line)) : [JSON.parse(text).meta]
  return objects.every(({ userId, user_id: owner }) => [undefined, ...OTHERS].includes(userId ?? owner))
}

test('what follows an erasure is a new person’s, and stays', async (t) => {
  const stateDir = emptyDirectory(t)
  const bandits = openEngine(t, { stateDir })
  live(bandits, 'u')
  const erasing = bandits.erase('u')
  live(bandits, 'u')
  await erasing
  live(bandits, 'u')
  await bandits.close()
  const lines = eventsIn(stateDir)
  assert.deepEqual(lines.map(({ kind, policy }) => [kind, policy]), [...POLICIES, ...POLICIES].flatMap((policy) => [['pull', policy], ['reward', policy]]))
  assert.deepEqual(lines.filter(({ kind }) => kind === 'pull').map(({ ordinal }) => ordinal), [0, 1, 2, 3, 4, 5])
  const again = openEngine(t, { stateDir })
  for (const policy of POLICIES) assert.deepEqual([again.stats('u', policy).pulls, again.stats('u', policy).rewardCount], [2, 2])
})

test('many at once, one of them twice', async (t) => {
  const stateDir = emptyDirectory(t)
  const bandits = openEngine(t, { stateDir })
  const users = Array.from({ length: 30 }, (_user, i) => `u${i}`)
  for (const userId of users) live(bandits, userId)
  await Promise.all([...users.filter((_user, i) => i % 2 === 0), 'u0', 'never'].map((userId) => bandits.erase(userId)))
  await bandits.close()
  assert.deepEqual([...new Set(eventsIn(stateDir).map(({ userId }) => userId))], users.filter((_user, i) => i % 2 === 1))
  assert.deepEqual(linesIn(stateDir).filter(({ kind }) => kind === 'erase'), [])
})

test('an erasure that the process did not live to see is completed by the next start', async (t) => {
  const stateDir = emptyDirectory(t)
  const { signal, stderr } = run(`
    const engine = Bandits.open({ stateDir })
    for (const user of ['person', 'other']) for (let i = 0; i < 20; i++) { reward(engine, user); engine.score({ userId: user, candidates: [{ id: 'a' }] }) }
    await engine.checkpoint()
    engine.erase('person')
    process.kill(process.pid, 'SIGKILL')`, { stateDir })
  assert.equal(signal, 'SIGKILL', stderr)
  const bandits = openEngine(t, { stateDir })
  assert.deepEqual([bandits.stats('person').rewardCount, bandits.stats('other').rewardCount], [0, 20])
  await bandits.close()
  assert.deepEqual(tracesOf(stateDir, 'person'), [])
  assert.deepEqual(eventsIn(stateDir).map(({ userId }) => userId), Array.from({ length: 40 }, () => 'other'))
})

test('what was set aside or damaged goes, too', async (t) => {
  const stateDir = emptyDirectory(t)
  const first = openEngine(t, { stateDir })
  for (const userId of ['person-1', 'person-2']) live(first, userId)
  await first.close()
  for (const name of ['person_1.json', 'person_2.json']) writeFileSync(join(stateDir, name), `garbage of ${name}`)
  const second = openEngine(t, { stateDir })
  for (const userId of ['person-1', 'person-2']) second.score({ userId, candidates: [{ id: 'a' }], policy: 'linucb-v1' })
  await second.checkpoint()
  assert.deepEqual(readdirSync(join(stateDir, 'set-aside')).sort(), ['person_1.json.1', 'person_2.json.1'])
  await second.erase('person-1')
  await second.close()
  assert.deepEqual(tracesOf(stateDir, 'person-1'), [])
  assert.deepEqual(tracesOf(stateDir, 'person_1'), [])
  assert.deepEqual(readdirSync(join(stateDir, 'set-aside')), ['person_2.json.1'])
  assert.equal(openEngine(t, { stateDir }).stats('person-2', 'linucb-v1').pulls, 2)
})
