// @ts-check
// State files that cannot be read: named, left as they are, in nobody else's way; a reset sets them aside.

import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdirSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { describe, test } from 'node:test'

import { assertRefuses } from './support/refusal.mjs'
import { rewardOnce } from './support/standing.mjs'
import { contentsOf, emptyDirectory, namesIn, openEngine, stateIn, stateText } from './support/state-dir.mjs'

const CORRUPT = 'ERR_STATE_CORRUPT'
const good = stateText(5)

/** What stands where the LinUCB file of user `u` should be. @type {Record<string, (path: string) => void>} */
const DAMAGE = {
  garbage: (path) => writeFileSync(path, 'not JSON'),
  nothing: (path) => writeFileSync(path, ''),
  'a truncated file': (path) => writeFileSync(path, good.slice(0, good.length / 2)),
  'two files in one': (path) => writeFileSync(path, good + good),
  'bytes that are no UTF-8': (path) => writeFileSync(path, Buffer.concat([Buffer.from(good), Buffer.from([0xff, 0xfe])])),
  'JSON of another kind': (path) => writeFileSync(path, '[1, 2]'),
  'another dimension': (path) => writeFileSync(path, stateText(4)),
  'another dimension, stamped': (path) => writeFileSync(path, stateText(7, { meta: { user_id: 'u', policy: 'linucb-v1' } })),
  NaN: (path) => writeFileSync(path, good.replace('"b":[0', '"b":[NaN')),
  'a number out of range': (path) => writeFileSync(path, good.replace('"b":[0', '"b":[1e999')),
  'null for a number': (path) => writeFileSync(path, good.replace('"b":[0', '"b":[null')),
  'a ragged matrix': (path) => writeFileSync(path, good.replace('[[1,0,', '[[1,')),
  'an asymmetric matrix': (path) => writeFileSync(path, good.replace('[[1,0,', '[[1,0.5,')),
  'a matrix that is not positive definite': (path) => writeFileSync(path, stateText(5, { diagonal: -1 })),
  'a sum out of bounds': (path) => writeFileSync(path, stateText(5, { b: [1e305, 0, 0, 0, 0] })),
  'a negative count': (path) => writeFileSync(path, stateText(5, { meta: { pulls: -1 } })),
  '16 MB': (path) => writeFileSync(path, good.padEnd(16 << 20)),
  'a directory': (path) => mkdirSync(path),
  'a directory with something in it': (path) => mkdirSync(join(path, 'below'), { recursive: true }),
  'a FIFO': (path) => execFileSync('mkfifo', [path]),
  'a link to a good file': (path) => { writeFileSync(`${path}.target`, good); symlinkSync(`${path}.target`, path) },
  'a link to nothing': (path) => symlinkSync('/nonexistent/target', path),
  'a link to itself': (path) => symlinkSync(path, path),
}

for (const [kind, damage] of Object.entries(DAMAGE)) {
  describe(kind, () => {
    test('is named, left alone, and in nobody’s way', async (t) => {
      const stateDir = emptyDirectory(t)
      const path = join(stateDir, 'u.json')
      damage(path)
      const before = contentsOf(stateDir)
      const bandits = openEngine(t, { stateDir, activePolicy: 'linucb-v1' })
      for (const call of [() => bandits.stats('u'), () => bandits.score({ userId: 'u', candidates: [{ id: 'a' }] }), () => rewardOnce(bandits, 'u'), () => bandits.scoreMany([{ userId: 'u', candidates: [{ id: 'a' }] }]), () => bandits.stats('u')]) {
        assertRefuses(call, CORRUPT)
        assert.throws(call, (/** @type {Error} */ error) => error.message.includes(path), 'the message names the file')
      }
      await bandits.checkpoint()
      assert.deepEqual(contentsOf(stateDir), before)
      // Other policies and other users are fine.
      rewardOnce(bandits, 'u', { policy: 'egreedy-v2' })
      rewardOnce(bandits, 'v')
      assert.deepEqual([bandits.stats('u', 'egreedy-v2').rewardCount, bandits.stats('v').rewardCount], [1, 1])
      await bandits.close()
      assert.deepEqual(contentsOf(stateDir).filter(([name]) => before.some(([known]) => known === name)), before)
    })

    test('is set aside by a reset, after which the user works and stays', async (t) => {
      const stateDir = emptyDirectory(t)
      const path = join(stateDir, 'u.json')
      damage(path)
      const bandits = openEngine(t, { stateDir, activePolicy: 'linucb-v1' })
      assertRefuses(() => rewardOnce(bandits, 'u'), CORRUPT)
      bandits.reset('u')
      rewardOnce(bandits, 'u')
      await bandits.close()
      assert.equal(stateIn(stateDir, 'u.json').meta['reward_count'], 1)
      assert.deepEqual(namesIn(join(stateDir, 'set-aside')).filter((name) => !name.includes('/')), ['u.json.1'])
      assert.equal(openEngine(t, { stateDir, activePolicy: 'linucb-v1' }).stats('u').rewardCount, 1)
    })

    test('goes with the person, before and after a reset', async (t) => {
      for (const reset of [false, true]) {
        const stateDir = emptyDirectory(t)
        damage(join(stateDir, 'u.json'))
        const bandits = openEngine(t, { stateDir, activePolicy: 'linucb-v1' })
        if (reset) {
          bandits.reset('u')
          await bandits.checkpoint()
        }
        await bandits.erase('u')
        // A directory holds nothing that this package wrote; it stays.
        const left = namesIn(stateDir).filter((name) => name !== 'set-aside' && !name.endsWith('.target'))
        assert.deepEqual(kind.startsWith('a directory') ? [] : left, [])
        rewardOnce(bandits, 'u')
        assert.equal(bandits.stats('u').rewardCount, 1)
      }
    })
  })
}

test('each that is set aside gets a number of its own', async (t) => {
  const stateDir = emptyDirectory(t)
  for (let i = 1; i <= 12; i++) {
    writeFileSync(join(stateDir, 'u.json'), `garbage ${i}`)
    const bandits = openEngine(t, { stateDir })
    bandits.reset('u')
    await bandits.close()
  }
  for (let i = 1; i <= 12; i++) assert.equal(readFileSync(join(stateDir, 'set-aside', `u.json.${i}`), 'utf8'), `garbage ${i}`)
})

test('somebody removes the damaged file before the reset', async (t) => {
  const stateDir = emptyDirectory(t)
  const path = join(stateDir, 'u.json')
  writeFileSync(path, 'garbage')
  const bandits = openEngine(t, { stateDir, activePolicy: 'linucb-v1' })
  // Not stats(), which looks and remembers nothing.
  assertRefuses(() => rewardOnce(bandits, 'u'), CORRUPT)
  renameSync(path, join(emptyDirectory(t), 'elsewhere'))
  bandits.reset('u')
  rewardOnce(bandits, 'u')
  await bandits.checkpoint()
  assert.deepEqual([stateIn(stateDir, 'u.json').meta['reward_count'], bandits.health().ok], [1, true])
})

test('two users with one name: the reset of one does not take away what the other has learned since', async (t) => {
  const stateDir = emptyDirectory(t)
  writeFileSync(join(stateDir, 'a_b.json'), 'garbage')
  const bandits = openEngine(t, { stateDir, activePolicy: 'linucb-v1' })
  for (const userId of ['a-b', 'a_b']) assertRefuses(() => rewardOnce(bandits, userId), CORRUPT)
  bandits.reset('a-b')
  rewardOnce(bandits, 'a-b')
  await bandits.checkpoint()
  bandits.reset('a_b')
  rewardOnce(bandits, 'a_b', { reward: 2 })
  await bandits.close()
  const again = openEngine(t, { stateDir, activePolicy: 'linucb-v1' })
  assert.deepEqual(['a-b', 'a_b'].map((userId) => again.stats(userId).cumulativeReward), [1, 2])
})

test('a set-aside directory that is none is an error of the writer, not of the caller', async (t) => {
  const stateDir = emptyDirectory(t)
  writeFileSync(join(stateDir, 'u.json'), 'garbage')
  writeFileSync(join(stateDir, 'set-aside'), 'in the way')
  const bandits = openEngine(t, { stateDir, activePolicy: 'linucb-v1' })
  bandits.reset('u')
  rewardOnce(bandits, 'u')
  await assert.rejects(bandits.checkpoint(), { code: 'ERR_STATE_IO', retryable: true })
  assert.equal(readFileSync(join(stateDir, 'u.json'), 'utf8'), 'garbage')
  rmSync(join(stateDir, 'set-aside'))
  await bandits.checkpoint()
  assert.deepEqual(namesIn(stateDir), ['set-aside', 'set-aside/u.json.1', 'u.json'])
  assert.equal(dirname(join(stateDir, 'u.json')), stateDir)
})

test('scores stay finite whatever a file that is accepted says', (t) => {
  const stateDir = emptyDirectory(t)
  writeFileSync(join(stateDir, 'u.json'), stateText(5, { diagonal: 1e-10, b: [1e298, 1e298, 1e298, 1e298, 1e298] }))
  const bandits = openEngine(t, { stateDir, activePolicy: 'linucb-v1' })
  try {
    const { score } = bandits.score({ userId: 'u', candidates: [{ id: 'a', features: { isOverdue: true, taskAgeDays: 30, priority: 4 } }], context: { hourOfDay: 3 } })
    assert.ok(Number.isFinite(score), `score is ${score}`)
  } catch (error) {
    assert.equal(/** @type {any} */ (error).code, CORRUPT, String(error))
  }
})
