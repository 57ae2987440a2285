// @ts-check
// features(): the last scored vectors, with the ids of their tips however these are written.

import assert from 'node:assert/strict'
import { describe, test } from 'node:test'

import { assertRefuses } from './support/refusal.mjs'
import { POLICIES, rewardOnce } from './support/standing.mjs'
import { emptyDirectory, openEngine } from './support/state-dir.mjs'

/** @typedef {import('@oo/bandits').Bandits} Bandits */

/** Ids that take each way through the ring, and the lengths around its record. */
const TIP_IDS = [
  'plain', 'é', 'ÿ', 'Ā', '😀', '龟背竹', 'a\0b', '\0', '\n', '"', '\\', '\u2028', 'e\u0301', 'x'.repeat(87), 'x'.repeat(88), 'x'.repeat(89),
  'é'.repeat(88), 'é'.repeat(89), '✓'.repeat(88), 'x'.repeat(512), '😀'.repeat(256), 'ÿ'.repeat(512), `${'x'.repeat(87)}Ā`, '__proto__',
]

const tips = (/** @type {Bandits} */ bandits, /** @type {string} */ userId) => bandits.features(userId).history.map(({ tipId }) => tipId)

test('a record holds what was given and what came out', (t) => {
  const bandits = openEngine(t)
  const features = { isOverdue: true, taskAgeDays: 45.25, priority: 3 }
  const context = { hourOfDay: 23, dayOfWeek: 6 }
  const from = Math.floor(Date.now() / 1000) - 1
  const results = POLICIES.map((policy) => bandits.score({ userId: 'u', candidates: [{ id: policy, features }], context, policy }))
  const { userId, history } = bandits.features('u')
  assert.equal(userId, 'u')
  assert.deepEqual(history.map(({ ts: _ts, ...rest }) => rest), results.map(({ tipId, score, policy, exploring }) => ({
    policy, tipId, score, exploring, features: policy === 'linucb-v1' ? { hourOfDay: 23, ...features } : { hourOfDay: 23, ...features, dayOfWeek: 6 },
  })))
  for (const { ts } of history) {
    assert.match(ts, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/)
    assert.ok(Date.parse(ts) / 1000 >= from && Date.parse(ts) <= Date.now() + 1000)
  }
})

test('defaults are recorded as such; numbers come back to the last bit', (t) => {
  const bandits = openEngine(t)
  bandits.score({ userId: 'u', candidates: [{ id: 'a' }] })
  assert.deepEqual(bandits.features('u').history[0]?.features, { hourOfDay: 12, isOverdue: false, taskAgeDays: 0, priority: 1, dayOfWeek: 0 })
  const ages = [0.1, 1 / 3, -0, 5e-324, 1e308, -1e308, 2 ** 53 - 1, 16_777_217, 1e-7]
  for (const taskAgeDays of ages) bandits.score({ userId: 'v', candidates: [{ id: 'a', features: { taskAgeDays } }] })
  assert.deepEqual(bandits.features('v').history.map(({ features }) => features.taskAgeDays), ages)
})

test('it is the candidate that was chosen, also when exploring', (t) => {
  const bandits = openEngine(t, { historySize: 1000 })
  const candidates = Array.from({ length: 20 }, (_entry, i) => ({ id: `c${i}`, features: { taskAgeDays: i, priority: 1 + (i % 4) } }))
  const results = Array.from({ length: 500 }, () => bandits.score({ userId: 'u', candidates }))
  assert.ok(results.some(({ exploring }) => exploring))
  for (const [i, { tipId, score, exploring, features }] of bandits.features('u').history.entries()) {
    assert.deepEqual([tipId, score, exploring], [results[i]?.tipId, results[i]?.score, results[i]?.exploring])
    assert.equal(`c${features.taskAgeDays}`, tipId)
  }
})

describe('tip ids', () => {
  test('one at a time', (t) => {
    const bandits = openEngine(t)
    for (const id of TIP_IDS) {
      bandits.score({ userId: 'u', candidates: [{ id }] })
      assert.equal(tips(bandits, 'u').at(-1), id)
    }
  })

  test('in a row, read at the end', (t) => {
    const bandits = openEngine(t)
    for (const id of TIP_IDS) bandits.score({ userId: 'u', candidates: [{ id }] })
    assert.deepEqual(tips(bandits, 'u'), TIP_IDS)
  })

  test('in batches, in order, for several users', (t) => {
    const bandits = openEngine(t, { historySize: 1000 })
    const requests = Array.from({ length: 1500 }, (_request, i) => ({ userId: `u${i % 7}`, candidates: [{ id: /** @type {string} */ (TIP_IDS[(i * 5) % TIP_IDS.length]) }] }))
    const results = bandits.scoreMany(requests)
    assert.deepEqual(results.map(({ tipId }) => tipId), requests.map(({ candidates }) => candidates[0]?.id))
    for (let user = 0; user < 7; user++) assert.deepEqual(tips(bandits, `u${user}`), requests.filter((_request, i) => i % 7 === user).map(({ candidates }) => candidates[0]?.id))
  })

  test('in prepared sets', (t) => {
    const bandits = openEngine(t)
    for (const id of TIP_IDS) bandits.score({ userId: 'u', candidates: bandits.prepare([{ id }]) })
    assert.deepEqual(tips(bandits, 'u'), TIP_IDS)
  })

  test('a short id after a long one is not left with its rest', (t) => {
    const bandits = openEngine(t)
    // Twice around the ring of 512.
    for (let i = 0; i < 1200; i++) bandits.score({ userId: 'u', candidates: [{ id: i % 2 === 0 ? 'x'.repeat(88) : 'é' }] })
    assert.deepEqual(new Set(tips(bandits, 'u')), new Set(['x'.repeat(88), 'é']))
  })
})

describe('limits', () => {
  test('the last 100, all policies together', (t) => {
    const bandits = openEngine(t)
    for (let i = 0; i < 250; i++) bandits.score({ userId: 'u', candidates: [{ id: `t${i}` }], policy: POLICIES[i % 3] })
    assert.deepEqual(tips(bandits, 'u'), Array.from({ length: 100 }, (_entry, i) => `t${i + 150}`))
  })

  for (const historySize of [0, 1, 7, 1000]) {
    test(`historySize ${historySize}`, (t) => {
      const bandits = openEngine(t, { historySize })
      for (let i = 0; i < 20; i++) bandits.score({ userId: 'u', candidates: [{ id: i % 2 === 0 ? `✓${i}` : `t${i}` }] })
      assert.deepEqual(tips(bandits, 'u'), Array.from({ length: 20 }, (_entry, i) => (i % 2 === 0 ? `✓${i}` : `t${i}`)).slice(20 - Math.min(20, historySize)))
      assert.equal(bandits.stats('u').pulls, 20)
    })
  }

  test('1,000 records with the longest ids', (t) => {
    const bandits = openEngine(t, { historySize: 1000 })
    for (let i = 0; i < 10_010; i++) bandits.score({ userId: 'u', candidates: [{ id: String(i).padStart(512, '✓') }] })
    const all = tips(bandits, 'u')
    assert.deepEqual([all.length, all[0], all.at(-1)], [1000, '9010'.padStart(512, '✓'), '10009'.padStart(512, '✓')])
  })

  test('thousands of pulls without anybody reading', async (t) => {
    const bandits = openEngine(t, { historySize: 1000 })
    for (let i = 0; i < 4000; i++) bandits.score({ userId: `u${i % 4}`, candidates: [{ id: `t${i}` }] })
    for (let user = 0; user < 4; user++) assert.deepEqual(tips(bandits, `u${user}`), Array.from({ length: 4000 }, (_entry, i) => i).filter((i) => i % 4 === user).map((i) => `t${i}`))
  })
})

test('refused calls and rewards leave no record', (t) => {
  const bandits = openEngine(t)
  assertRefuses(() => bandits.score({ userId: 'u', candidates: [{ id: 'a' }, { id: '' }] }), 'ERR_INVALID_ARGUMENT', 'candidates[1].id')
  assertRefuses(() => bandits.scoreMany([{ userId: 'u', candidates: [{ id: 'a' }] }, { userId: '', candidates: [{ id: 'a' }] }]), 'ERR_INVALID_ARGUMENT', 'requests[1].userId')
  bandits.reward({ userId: 'u', tipId: 'a', reward: 1, features: {} })
  assert.deepEqual(tips(bandits, 'u'), [])
})

test('a reset forgets, and what follows is remembered', (t) => {
  const bandits = openEngine(t)
  for (const id of TIP_IDS) bandits.score({ userId: 'u', candidates: [{ id }] })
  bandits.score({ userId: 'v', candidates: [{ id: 'of v' }] })
  bandits.reset('u')
  assert.deepEqual([tips(bandits, 'u'), tips(bandits, 'v')], [[], ['of v']])
  bandits.score({ userId: 'u', candidates: [{ id: 'new' }] })
  assert.deepEqual(tips(bandits, 'u'), ['new'])
})

describe('after a restart', () => {
  /** @param {Bandits} bandits */
  const live = (bandits) => {
    for (const [i, id] of TIP_IDS.entries()) {
      bandits.score({ userId: 'u', candidates: [{ id, features: { taskAgeDays: i / 3, priority: 1 + (i % 4), isOverdue: i % 2 === 0 } }], policy: POLICIES[i % 3], context: { hourOfDay: i % 24, dayOfWeek: i % 7 } })
      rewardOnce(bandits, 'u', { policy: POLICIES[i % 3], reward: Math.sin(i) })
    }
  }

  test('it is as it was, in order over all policies, times and numbers to the last bit', async (t) => {
    const stateDir = emptyDirectory(t)
    const first = openEngine(t, { stateDir })
    live(first)
    const { history } = first.features('u')
    assert.equal(history.length, TIP_IDS.length)
    await first.close()
    const second = openEngine(t, { stateDir })
    assert.deepEqual(second.features('u'), { userId: 'u', history })
    live(second)
    assert.deepEqual(second.features('u').history.slice(0, history.length), history)
    assert.deepEqual(tips(second, 'u'), [...TIP_IDS, ...TIP_IDS])
  })

  test('a smaller size keeps the newest, a larger one brings nothing back', async (t) => {
    const stateDir = emptyDirectory(t)
    for (const [historySize, expected] of /** @type {const} */ ([[20, []], [20, TIP_IDS.slice(-20)], [5, TIP_IDS.slice(-5)], [1000, TIP_IDS.slice(-5)]])) {
      const bandits = openEngine(t, { stateDir, historySize })
      assert.deepEqual(tips(bandits, 'u'), expected)
      live(bandits)
      await bandits.close()
    }
  })

  test('what was forgotten stays forgotten', async (t) => {
    const stateDir = emptyDirectory(t)
    const first = openEngine(t, { stateDir })
    for (const userId of ['reset', 'erased', 'kept']) first.score({ userId, candidates: [{ id: 'a' }] })
    first.reset('reset')
    await first.erase('erased')
    await first.close()
    const second = openEngine(t, { stateDir })
    assert.deepEqual(['reset', 'erased', 'kept'].map((userId) => tips(second, userId)), [[], [], ['a']])
  })
})

test('what is returned is the caller’s own', (t) => {
  const bandits = openEngine(t)
  bandits.score({ userId: 'u', candidates: [{ id: 'a' }] })
  bandits.features('u').history.length = 0
  assert.deepEqual(tips(bandits, 'u'), ['a'])
})
