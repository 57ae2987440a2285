// @ts-check
// Numbers and times that callers give, within bounds: a reward that would drown what was learned, and a reaction that is said to have
// happened when it cannot have, are refused, with the likely mistake, and counted.

import assert from 'node:assert/strict'
import { describe, test } from 'node:test'

import { Bandits } from '@oo/bandits'
import { assertRefuses } from '../support/refusal.mjs'
import { POLICIES } from '../support/standing.mjs'
import { emptyDirectory, openEngine } from '../support/state-dir.mjs'

const MINUTE_MS = 60_000
const DAY_MS = 24 * 60 * MINUTE_MS

/** @param {Bandits} bandits */
const decide = (bandits, userId = 'u') => bandits.recommend({ userId, candidates: [{ id: 'a', features: { priority: 3 } }, { id: 'b' }] }).decisionId
/** @param {Bandits} bandits */
const seenOf = (bandits, userId = 'u') => POLICIES.map((policy) => bandits.stats(userId, policy))
/** The message of a refusal. @param {() => unknown} call @param {string} path */
function messageOf(call, path) {
  let message = ''
  assertRefuses(() => {
    try {
      call()
    } catch (error) {
      message = /** @type {Error} */ (error).message
      throw error
    }
  }, 'ERR_INVALID_ARGUMENT', path)
  return message
}

describe('at', () => {
  /** @type {[string, (now: number) => any, RegExp][]} */
  const wrong = [
    ['seconds', (now) => Math.floor(now / 1000), /seconds\?/],
    ['a Date of seconds', (now) => new Date(Math.floor(now / 1000)), /seconds\?/],
    ['microseconds', (now) => now * 1000, /microseconds\?/],
    ['nanoseconds', (now) => now * 1e6, /nanoseconds\?/],
    ['the year 9999', () => '9999-12-31T23:59:59Z', /after now/],
    ['the last moment of all', () => new Date(8.64e15), /after now/],
    ['six minutes ahead', (now) => now + 6 * MINUTE_MS, /after now/],
    ['six minutes before the decision', (now) => now - 6 * MINUTE_MS, /before the decision/],
    ['1970', () => 0, /before the decision/],
    ['the day before', (now) => new Date(now - DAY_MS).toISOString(), /before the decision/],
  ]
  for (const [name, at, hint] of wrong) {
    test(`${name}: refused with the likely mistake, and nothing is learned`, (t) => {
      const bandits = openEngine(t)
      const decisionId = decide(bandits)
      const stood = seenOf(bandits)
      const message = messageOf(() => bandits.feedback({ decisionId, action: 'done', at: at(Date.now()) }), 'at')
      assert.match(message, hint)
      assert.deepEqual(seenOf(bandits), stood)
      assert.equal(bandits.health().refused.at, 1)
      // The reaction that has the right time counts as the first one.
      assert.deepEqual(bandits.feedback({ decisionId, action: 'done', at: Date.now() }), { ok: true, applied: true, revision: false, policies: POLICIES })
    })
  }
  test('clocks may differ by five minutes', (t) => {
    const bandits = openEngine(t)
    for (const minutes of [-4.9, -1, 0, 1, 4.9]) assert.equal(bandits.feedback({ decisionId: decide(bandits), action: 'done', at: Date.now() + minutes * MINUTE_MS }).applied, true)
    assert.equal(bandits.health().refused.at, 0)
  })
  test('a revision is held to the same', (t) => {
    const bandits = openEngine(t)
    const decisionId = decide(bandits)
    bandits.feedback({ decisionId, action: 'snooze' })
    assertRefuses(() => bandits.feedback({ decisionId, action: 'done', at: '9999-12-31T23:59:59Z' }), 'ERR_INVALID_ARGUMENT', 'at')
    assert.equal(bandits.feedback({ decisionId, action: 'done', at: Date.now() + 1000 }).applied, true)
  })
  test('refusals are counted, and health says so', (t) => {
    const bandits = openEngine(t)
    const decisionId = decide(bandits)
    assert.deepEqual(bandits.health().refused, { reward: 0, at: 0, invalid: 0, expired: 0, reset: 0, superseded: 0, otherUser: 0, last: null })
    for (let i = 0; i < 3; i++) assertRefuses(() => bandits.feedback({ decisionId, action: 'done', at: 1_700_000_000 }), 'ERR_INVALID_ARGUMENT', 'at')
    const { ok, warnings, refused } = bandits.health()
    assert.deepEqual([ok, refused.at, refused.reward], [true, 3, 0])
    assert.match(String(refused.last), /^at: .*seconds\?/)
    assert.ok(warnings.some((warning) => warning.startsWith('3 reactions were refused for their `at`') && warning.includes('seconds?')), warnings.join('\n'))
  })
})

describe('maxReward', () => {
  test('is a million unless it is given', (t) => {
    const bandits = openEngine(t)
    const reward = (/** @type {number} */ value) => bandits.reward({ userId: 'u', tipId: 't', reward: value, features: {} })
    const decisionId = decide(bandits)
    reward(1e6)
    reward(-1e6)
    bandits.feedback({ decisionId, reward: 1e6 })
    bandits.feedback({ decisionId, reward: -1e6 })
    const stood = seenOf(bandits)
    let refused = 0
    for (const value of [1_000_001, -1_000_001, 1e18, -1e18, Number.MAX_VALUE, 1000000.0000000001 + 1e-9]) {
      for (const call of [() => reward(value), () => bandits.feedback({ decisionId, reward: value, action: 'done' }), () => bandits.feedback({ decisionId: decide(bandits, 'v'), reward: value })]) {
        assert.match(messageOf(call, 'reward'), /maxReward/)
        refused++
      }
    }
    assert.deepEqual(seenOf(bandits), stood)
    const health = bandits.health()
    assert.deepEqual([health.refused.reward, health.refused.at], [refused, 0])
    assert.ok(health.warnings.some((warning) => warning.startsWith(`${refused} rewards were refused`)), health.warnings.join('\n'))
  })
  test('a revision of the largest leaves what was learned before', (t) => {
    const [bandits, final] = [openEngine(t), openEngine(t)]
    const [one, other] = [decide(bandits), decide(bandits)]
    bandits.feedback({ decisionId: one, reward: 0.5 })
    bandits.feedback({ decisionId: other, reward: 1e6 })
    bandits.feedback({ decisionId: other, reward: 0 })
    for (const reward of [0.5, 0]) final.feedback({ decisionId: decide(final), reward })
    for (const policy of POLICIES) {
      const [actual, expected] = [bandits.stats('u', policy).theta, final.stats('u', policy).theta]
      for (const [i, value] of expected.entries()) assert.ok(Math.abs(Number(actual[i]) - value) < 1e-9, `${policy} ${actual} instead of ${expected}`)
    }
  })
  test('given: bounds reward(), feedback() and the table', async (t) => {
    const stateDir = emptyDirectory(t)
    const bandits = openEngine(t, { stateDir, maxReward: 2, rewards: { done: 2 } })
    const reward = (/** @type {number} */ value) => bandits.reward({ userId: 'u', tipId: 't', reward: value, features: {} })
    bandits.feedback({ decisionId: decide(bandits), action: 'done' })
    reward(-2)
    assertRefuses(() => reward(2.5), 'ERR_INVALID_ARGUMENT', 'reward')
    assertRefuses(() => bandits.feedback({ decisionId: decide(bandits), reward: -2.5 }), 'ERR_INVALID_ARGUMENT', 'reward')
    // One that joins is held to the engine's.
    for (const options of [{ rewards: { done: 3 } }, { rewards: { dismiss: -2.1 } }]) {
      assertRefuses(() => Bandits.open({ stateDir, ...options }), 'ERR_INVALID_ARGUMENT', 'options.rewards')
      await assert.rejects(Bandits.openAsync({ stateDir, ...options }), { code: 'ERR_INVALID_ARGUMENT' })
    }
    assertRefuses(() => Bandits.open({ stateDir, maxReward: 3 }), 'ERR_INVALID_ARGUMENT', 'options.maxReward')
    assert.equal(openEngine(t, { stateDir, rewards: { done: -2 } }).feedback({ decisionId: decide(bandits), action: 'done' }).applied, true)
  })
  test('a table that is worth more is refused before anything is opened', (t) => {
    const stateDir = emptyDirectory(t)
    for (const options of [{ maxReward: 0.5 }, { rewards: { done: 1e7 } }, { rewards: { snooze: -1_000_001 } }, { maxReward: 10, rewards: { helpful: 10.5 } }]) {
      assertRefuses(() => Bandits.open({ stateDir, ...options }), 'ERR_INVALID_ARGUMENT', 'options.rewards', JSON.stringify(options))
    }
    assert.equal(openEngine(t, { stateDir }).recovery.epoch, 1)
    assert.equal(openEngine(t, { maxReward: 0.5, rewards: { done: 0.5, dismiss: -0.5 } }).health().ok, true)
  })
  test('is a number above 0, up to 1e12', (t) => {
    const stateDir = emptyDirectory(t)
    for (const maxReward of [0, -1, NaN, Infinity, 1.1e12, '5', true, {}, []]) assertRefuses(() => Bandits.open({ stateDir, maxReward: /** @type {any} */ (maxReward) }), 'ERR_INVALID_ARGUMENT', 'options.maxReward', String(maxReward))
    const bandits = openEngine(t, { stateDir, maxReward: 1e12 })
    bandits.reward({ userId: 'u', tipId: 't', reward: -1e12, features: {} })
  })
})

describe('since and until', () => {
  test('in seconds or microseconds are refused, and not answered with everything or nothing', async (t) => {
    const bandits = openEngine(t)
    decide(bandits)
    const now = Date.now()
    /** @type {[string, (query: any) => Promise<unknown>][]} */
    const calls = [['decisions', (query) => bandits.decisions(query)], ['analytics', (query) => bandits.analytics(query)], ['simulate', (query) => bandits.simulate({ policy: 'egreedy-v1', ...query })]]
    for (const [name, call] of calls) {
      for (const [query, path, hint] of /** @type {[any, string, string][]} */ ([
        [{ since: Math.floor(now / 1000) }, 'since', 'seconds?'], [{ until: now / 1000 }, 'until', 'seconds?'], [{ since: new Date(Math.floor(now / 1000)) }, 'since', 'seconds?'],
        [{ since: now * 1000 }, 'since', 'microseconds?'], [{ until: now * 1000 }, 'until', 'microseconds?'], [{ until: now * 1e6 }, 'until', 'nanoseconds?'],
      ])) {
        await assert.rejects(call(query), (/** @type {any} */ error) => {
          assert.equal(error.code, 'ERR_INVALID_ARGUMENT')
          assert.ok(error.message.startsWith(`${path}: `) && error.message.includes(hint), `${name}: ${error.message}`)
          return true
        })
      }
    }
    await assert.rejects(bandits.dataQuality({ since: Math.floor(now / 1000) }), { code: 'ERR_INVALID_ARGUMENT' })
    // What somebody may mean: from the beginning, from a day long ago, to the end of time.
    for (const query of [{ since: 0 }, { since: '1970-01-20' }, { since: new Date(0), until: 8.64e15 }, { since: '2001-01-01', until: '9999-12-31' }, { until: new Date(now + 365 * DAY_MS) }]) {
      assert.equal((await bandits.decisions(query)).decisions.length, 1, JSON.stringify(query))
    }
  })
})
