// @ts-check
// Objects that are not what they seem: proxies, getters that throw, missing and foreign prototypes, `__proto__` as a key. What
// the caller's own code throws reaches the caller unchanged; everything else is a result or a BanditError.

import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import vm from 'node:vm'

import { BanditError, CandidateSet } from '@oo/bandits'
import { assertRefuses } from './support/refusal.mjs'
import { standingOf } from './support/standing.mjs'
import { openEngine } from './support/state-dir.mjs'

const INVALID = 'ERR_INVALID_ARGUMENT'
const candidates = [{ id: 'a' }, { id: 'b', features: { priority: 4 } }]

/**
 * Runs `call`, which has to throw exactly `error`, and checks that it changed nothing and that the engine still works.
 * @param {import('@oo/bandits').Bandits} bandits @param {() => unknown} call @param {unknown} error
 */
function assertThrowsUnchanged(bandits, call, error) {
  const before = standingOf(bandits, ['u'])
  assert.throws(call, (thrown) => thrown === error)
  assert.deepEqual(standingOf(bandits, ['u']), before)
  assert.equal(bandits.score({ userId: 'u', candidates: [{ id: 'next' }] }).tipId, 'next')
  assert.equal(bandits.features('u').history.at(-1)?.tipId, 'next')
}

/** @param {object} target @param {string} key @param {() => unknown} get */
const getter = (target, key, get) => Object.defineProperty({ ...target }, key, { get, enumerable: true })

describe('a getter that throws', () => {
  const error = new Error('from the getter')
  const throws = () => { throw error }
  const features = { isOverdue: true, taskAgeDays: 1, priority: 2 }
  const profile = { completionRate30d: 1, dismissRate30d: 1, meanDwellMs30d: 1, preferredHour: 1, tipVolume30d: 1, computedAt: 'now' }
  const scoreRequest = { userId: 'u', candidates, context: {}, profileFeatures: profile, policy: 'linucb-v1' }
  const rewardRequest = { userId: 'u', tipId: 'a', reward: 1, features, dayOfWeek: 1, profileFeatures: profile, policy: 'linucb-v1' }

  for (const key of Object.keys(scoreRequest)) {
    test(`score: ${key}`, (t) => {
      const bandits = openEngine(t)
      const request = /** @type {any} */ (getter(scoreRequest, key, throws))
      assertThrowsUnchanged(bandits, () => bandits.score(request), error)
      assertThrowsUnchanged(bandits, () => bandits.scoreMany([{ userId: 'u', candidates }, request]), error)
    })
  }
  for (const key of Object.keys(rewardRequest)) {
    test(`reward: ${key}`, (t) => {
      const bandits = openEngine(t)
      assertThrowsUnchanged(bandits, () => bandits.reward(/** @type {any} */ (getter(rewardRequest, key, throws))), error)
    })
  }
  test('candidates, their features, context, profile', (t) => {
    const bandits = openEngine(t)
    const badCandidates = ['id', 'content', 'source', 'sourceId', 'features', 'promptVersion'].map((key) => getter({ id: 'c' }, key, throws))
    badCandidates.push(...Object.keys(features).map((key) => ({ id: 'c', features: getter(features, key, throws) })))
    for (const bad of /** @type {any[]} */ (badCandidates)) {
      assertThrowsUnchanged(bandits, () => bandits.score({ userId: 'u', candidates: [candidates[0], bad] }), error)
      assertThrowsUnchanged(bandits, () => bandits.prepare([candidates[0], bad]), error)
    }
    for (const key of ['hourOfDay', 'dayOfWeek']) {
      assertThrowsUnchanged(bandits, () => bandits.score({ userId: 'u', candidates, context: getter({}, key, throws) }), error)
    }
    for (const key of Object.keys(profile)) {
      assertThrowsUnchanged(bandits, () => bandits.score({ userId: 'u', candidates, profileFeatures: getter(profile, key, throws) }), error)
      assertThrowsUnchanged(bandits, () => bandits.reward({ userId: 'u', tipId: 'a', reward: 1, features, profileFeatures: getter(profile, key, throws) }), error)
    }
    for (const key of [...Object.keys(features), 'hourOfDay']) {
      assertThrowsUnchanged(bandits, () => bandits.reward({ userId: 'u', tipId: 'a', reward: 1, features: getter(features, key, throws) }), error)
    }
  })
  test('anything can be thrown', (t) => {
    const bandits = openEngine(t)
    for (const thrown of [undefined, null, 'text', Symbol('s'), new BanditError('ERR_INTERNAL', 'mine'), new Error('ERR_STATE_IO|1|mine')]) {
      const request = /** @type {any} */ (getter({ candidates }, 'userId', () => { throw thrown }))
      assertThrowsUnchanged(bandits, () => bandits.score(request), thrown)
    }
  })
})

describe('proxies', () => {
  test('that pass everything on are as good as what they stand for', (t) => {
    const [plain, proxied] = [openEngine(t), openEngine(t)]
    /** @type {(value: any) => any} */
    const wrap = (value) => (typeof value === 'object' && value !== null ? new Proxy(value, { get: (target, key) => wrap(target[key]) }) : value)
    const request = { userId: 'u', candidates, context: { hourOfDay: 3 }, profileFeatures: { preferredHour: 4 } }
    assert.deepEqual(proxied.score(wrap(request)), plain.score(request))
    assert.deepEqual(proxied.scoreMany(wrap([request, request])), plain.scoreMany([request, request]))
    assert.deepEqual(proxied.prepare(wrap(candidates)).ids, ['a', 'b'])
  })

  test('whose traps throw', (t) => {
    const bandits = openEngine(t)
    const error = new Error('from the trap')
    const broken = (target = /** @type {any} */ ([{ id: 'a' }])) => new Proxy(target, { get: () => { throw error }, getPrototypeOf: () => { throw error } })
    assertThrowsUnchanged(bandits, () => bandits.score(broken({})), error)
    assertThrowsUnchanged(bandits, () => bandits.score({ userId: 'u', candidates: broken() }), error)
    assertThrowsUnchanged(bandits, () => bandits.scoreMany(broken()), error)
    assertThrowsUnchanged(bandits, () => bandits.prepare(broken()), error)
    assertThrowsUnchanged(bandits, () => bandits.reward(broken({})), error)
  })

  test('that were revoked', (t) => {
    const bandits = openEngine(t)
    const { proxy, revoke } = Proxy.revocable(/** @type {any} */ ([{ id: 'a' }]), {})
    revoke()
    for (const call of [() => bandits.score(proxy), () => bandits.score({ userId: 'u', candidates: proxy }), () => bandits.scoreMany(proxy), () => bandits.prepare(proxy), () => bandits.reward(proxy)]) {
      assert.throws(call, TypeError)
      assert.equal(bandits.score({ userId: 'u', candidates }).policy, 'egreedy-v1')
    }
  })

  /** @param {any[]} array @param {unknown} length @returns {any} */
  const claiming = (array, length) => new Proxy(array, { get: (target, key) => (key === 'length' ? length : Reflect.get(target, key)) })
  const LIES = [NaN, -1, 1.5, Infinity, 2 ** 32, 2 ** 53, null, '2', {}, Symbol('length'), 2n, true]

  test('that lie about the number of candidates', (t) => {
    const bandits = openEngine(t)
    for (const length of LIES) {
      const given = String(length)
      assertRefuses(() => bandits.score({ userId: 'u', candidates: claiming(candidates, length) }), INVALID, 'candidates', given)
      assertRefuses(() => bandits.prepare(claiming(candidates, length)), INVALID, 'candidates', given)
    }
    assertRefuses(() => bandits.score({ userId: 'u', candidates: claiming(candidates, 3) }), INVALID, 'candidates[2]')
    assert.equal(bandits.score({ userId: 'u', candidates: claiming(candidates, 1) }).tipId, 'a')
    assert.equal(bandits.stats('u').pulls, 1)
  })

  test('that lie about the number of requests', (t) => {
    const bandits = openEngine(t)
    const request = { userId: 'u', candidates }
    for (const length of LIES) assertRefuses(() => bandits.scoreMany(claiming([request, request], length)), INVALID, 'requests', String(length))
    assertRefuses(() => bandits.scoreMany(claiming([request], 2)), INVALID, 'requests[1]')
    assert.equal(bandits.stats('u').pulls, 0)
  })
})

test('an object made to look like a prepared set', (t) => {
  const bandits = openEngine(t)
  const set = bandits.prepare(candidates)
  const fakes = [
    Object.create(CandidateSet.prototype),
    Object.create(CandidateSet.prototype, { ids: { value: ['a'] }, length: { value: 1 } }),
    Object.create(set),
    new Proxy(set, {}),
    structuredClone({ ids: set.ids, length: set.length }),
  ]
  for (const [i, fake] of fakes.entries()) {
    assertRefuses(() => bandits.score({ userId: 'u', candidates: fake }), INVALID, 'candidates', `fake ${i}`)
    assertRefuses(() => bandits.scoreMany([{ userId: 'u', candidates: fake }]), INVALID, 'requests[0].candidates', `fake ${i}`)
  }
  assert.equal(bandits.stats('u').pulls, 0)
})

test('frozen objects, class instances, null prototypes, other realms and inherited properties are objects', (t) => {
  const bandits = openEngine(t, { activePolicy: 'linucb-v1' })
  class Task {
    #id = 'from a class'
    get id() { return this.#id }
    get features() { return { priority: 4 } }
  }
  const request = (/** @type {any} */ one) => ({ userId: 'u', candidates: [{ id: 'low' }, one] })
  assert.equal(bandits.score(request(new Task())).tipId, 'from a class')
  assert.equal(bandits.score(request(Object.create({ id: 'inherited', features: { priority: 4 } }))).tipId, 'inherited')
  assert.equal(bandits.score(request(Object.assign(Object.create(null), { id: 'bare', features: { __proto__: null, priority: 4 } }))).tipId, 'bare')
  const frozen = Object.freeze({ userId: 'u', candidates: Object.freeze([Object.freeze({ id: 'frozen', features: Object.freeze({}) })]), context: Object.freeze({}) })
  assert.equal(bandits.score(frozen).tipId, 'frozen')
  assert.equal(bandits.scoreMany(Object.freeze([frozen]))[0]?.tipId, 'frozen')
  assert.equal(bandits.score(vm.runInNewContext("({ userId: 'u', candidates: [{ id: 'foreign', features: { priority: 3 } }] })")).tipId, 'foreign')
  class List extends Array {}
  assert.equal(bandits.score({ userId: 'u', candidates: List.from([{ id: 'listed' }]) }).tipId, 'listed')
})

test('further properties are let be', (t) => {
  const bandits = openEngine(t)
  const request = { userId: 'u', candidates: [{ id: 'a', title: 1n, [Symbol('s')]: Symbol('s'), features: { colour: NaN } }], extra: NaN }
  assert.equal(bandits.score(/** @type {any} */ (request)).tipId, 'a')
})

test('`__proto__` as a key neither sets nor pollutes a prototype', (t) => {
  const bandits = openEngine(t)
  const parsed = JSON.parse('{"userId":"u","candidates":[{"id":"a","__proto__":{"id":"b"},"features":{"__proto__":{"priority":9}}}],"__proto__":{"policy":"nonsense"},"context":{"__proto__":{"hourOfDay":99}}}')
  assert.equal(bandits.score(parsed).tipId, 'a')
  assertRefuses(() => bandits.score(JSON.parse('{"__proto__":{"userId":"u"},"candidates":[{"id":"a"}]}')), INVALID, 'userId')
  assert.equal(/** @type {any} */ ({}).policy, undefined)
})

test('`__proto__`, `constructor` and the like are ids as any other', (t) => {
  const bandits = openEngine(t)
  const ids = ['__proto__', 'constructor', 'hasOwnProperty', 'toString', 'length', 'valueOf']
  for (const userId of ids) {
    const result = bandits.score({ userId, candidates: [{ id: '__proto__' }] })
    assert.deepEqual(Object.keys(result), ['tipId', 'score', 'policy', 'index', 'exploring', 'propensity'])
    assert.equal(Object.getPrototypeOf(result), Object.prototype)
    assert.equal(result.tipId, '__proto__')
    bandits.reward({ userId, tipId: '__proto__', reward: ids.indexOf(userId), features: {} })
  }
  for (const userId of ids) {
    const { pulls, cumulativeReward, userId: named } = bandits.stats(userId)
    assert.deepEqual([pulls, cumulativeReward, named], [1, ids.indexOf(userId), userId])
    assert.deepEqual(bandits.features(userId).history.map(({ tipId }) => tipId), ['__proto__'])
  }
  assert.equal(bandits.stats('prototype').pulls, 0)
})
