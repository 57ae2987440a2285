// @ts-check
// Getters that call back into an engine while it reads a request: the outer call goes on as if they had not.

import assert from 'node:assert/strict'
import { describe, test } from 'node:test'

import { BanditError, prepare } from '@oo/bandits'
import { assertRefuses } from './support/refusal.mjs'
import { timelessStandingOf } from './support/standing.mjs'
import { openEngine } from './support/state-dir.mjs'

/** @typedef {import('@oo/bandits').Bandits} Bandits */

const list = (/** @type {number} */ n, prefix = 'c') => Array.from({ length: n }, (_entry, i) => ({ id: `${prefix}${i}`, features: { priority: 1 + (i % 4), taskAgeDays: i % 31, isOverdue: i % 3 === 0 } }))

/**
 * What a getter may do meanwhile; to user `in`, so that the outer call's user `out` can be compared.
 * @type {Record<string, (bandits: Bandits) => unknown>}
 */
const MEANWHILE = {
  'scores one candidate': (b) => b.score({ userId: 'in', candidates: list(1), policy: 'linucb-v1' }),
  'scores as many': (b) => b.score({ userId: 'in', candidates: list(3, 'x'), policy: 'linucb-v1', context: { hourOfDay: 5 } }),
  'scores 5,000': (b) => b.score({ userId: 'in', candidates: list(5000, 'x'), policy: 'linucb-v1' }),
  'scores 30,000': (b) => b.score({ userId: 'in', candidates: list(30_000, 'x'), policy: 'linucb-v1' }),
  'scores a batch': (b) => b.scoreMany([1, 2, 700].map((n) => ({ userId: 'in', candidates: list(n, 'x'), policy: 'linucb-v1' }))),
  'scores 600 requests': (b) => b.scoreMany(Array.from({ length: 600 }, () => ({ userId: 'in', candidates: list(2, 'x'), policy: 'linucb-v1' }))),
  rewards: (b) => b.reward({ userId: 'in', tipId: 't', reward: 5, features: { priority: 3 }, policy: 'linucb-v1' }),
  'prepares and scores the set': (b) => b.score({ userId: 'in', candidates: prepare(list(2000, 'x')), policy: 'linucb-v1' }),
  'scores with a long tip id': (b) => b.score({ userId: 'in', candidates: [{ id: '✓'.repeat(400) }], policy: 'linucb-v1' }),
  'is refused': (b) => assertRefuses(() => b.score({ userId: 'in', candidates: [...list(50), /** @type {any} */ (null)] }), 'ERR_INVALID_ARGUMENT', 'candidates[50]'),
  'reads stats and features': (b) => [b.stats('out'), b.features('out'), b.health()],
  'resets somebody': (b) => b.reset('in'),
  'learns from a reaction': (b) => b.feedback({ decisionId: decisionOf(b, 'in'), action: 'helpful' }),
}

/** Decisions that were made before. @type {WeakMap<Bandits, Map<string, string>>} */
const decisions = new WeakMap()
const decisionOf = (/** @type {Bandits} */ bandits, /** @type {string} */ userId) => decisions.get(bandits)?.get(userId) ?? assert.fail('no decision was made')

/** When the last reaction happened: each later than the one before, however fast the calls come. */
let lastReaction = Date.now()

/**
 * The outer calls: each takes what to do meanwhile and does it in the midst of being read.
 * @type {Record<string, (bandits: Bandits, meanwhile: () => unknown) => unknown>}
 */
const OUTER = {
  'score, in a candidate': (b, meanwhile) => b.score({ userId: 'out', candidates: spiked(list(3), 1, meanwhile), context: { hourOfDay: 7, dayOfWeek: 3 } }),
  'score of 4,000, in a candidate': (b, meanwhile) => b.score({ userId: 'out', candidates: spiked(list(4000), 2500, meanwhile), context: { hourOfDay: 7 } }),
  'score of 50,000, in the last candidate': (b, meanwhile) => b.score({ userId: 'out', candidates: spiked(list(50_000), 49_999, meanwhile) }),
  'score, in features': (b, meanwhile) => b.score({ userId: 'out', candidates: [{ id: 'a', features: { get priority() { meanwhile(); return 4 } } }, ...list(2)] }),
  'score, in the context': (b, meanwhile) => b.score({ userId: 'out', candidates: list(3), context: { hourOfDay: 7, get dayOfWeek() { meanwhile(); return 2 } } }),
  'score, in the profile': (b, meanwhile) => b.score({ userId: 'out', candidates: list(3), policy: 'egreedy-v2', profileFeatures: { completionRate30d: 0.5, get tipVolume30d() { meanwhile(); return 7 } } }),
  'score of a set': (b, meanwhile) => b.score({ userId: 'out', candidates: prepare(list(9)), context: { get hourOfDay() { meanwhile(); return 3 } } }),
  'score of 70, in the mask': (b, meanwhile) => b.score({ userId: 'out', candidates: list(70), mask: Object.defineProperty(list(70).map((_may, i) => i % 3 > 0), 35, { get() { meanwhile(); return true } }) }),
  'score of a set with a mask, in the profile': (b, meanwhile) => b.score({ userId: 'out', candidates: prepare(list(40)), mask: list(40).map((_may, i) => i > 30), profileFeatures: { get preferredHour() { meanwhile(); return 3 } } }),
  'score with a mask, in the last candidate': (b, meanwhile) => b.score({ userId: 'out', candidates: spiked(list(40), 39, meanwhile), mask: list(40).map((_may, i) => i > 37) }),
  'scoreMany, in a mask': (b, meanwhile) => b.scoreMany([{ userId: 'out', candidates: list(40), mask: list(40).map((_may, i) => i === 7) }, { userId: 'out', candidates: list(5), mask: Object.defineProperty([false, true, false, true, true], 3, { get() { meanwhile(); return false } }) }, { userId: 'out', candidates: list(7) }]),
  'scoreMany, in the second request': (b, meanwhile) => b.scoreMany([{ userId: 'out', candidates: list(3) }, { userId: 'out', candidates: spiked(list(5), 3, meanwhile) }, { userId: 'out', candidates: list(7) }]),
  'scoreMany, between requests': (b, meanwhile) => b.scoreMany(Object.defineProperty([{ userId: 'out', candidates: list(3) }, { userId: 'out', candidates: list(5) }], 1, { get() { meanwhile(); return { userId: 'out', candidates: list(6) } } })),
  'scoreMany of 600, in the last': (b, meanwhile) => b.scoreMany(Array.from({ length: 600 }, (_request, i) => ({ userId: 'out', candidates: i === 599 ? spiked(list(5), 3, meanwhile) : list(4) }))),
  'reward, in features': (b, meanwhile) => b.reward({ userId: 'out', tipId: 't', reward: 1, features: { get priority() { meanwhile(); return /** @type {number} */ (4) }, hourOfDay: 3 }, dayOfWeek: 4 }),
  'reward, in the profile': (b, meanwhile) => b.reward({ userId: 'out', tipId: 't', reward: 1, features: {}, policy: 'egreedy-v2', profileFeatures: { completionRate30d: 0.5, get computedAt() { meanwhile(); return null } } }),
  'prepare, in a candidate': (b, meanwhile) => b.score({ userId: 'out', candidates: b.prepare(spiked(list(9), 4, meanwhile)) }),
  'recommend, in a candidate': (b, meanwhile) => decided(b.recommend({ userId: 'out', candidates: spiked(list(3), 1, meanwhile), context: { hourOfDay: 7 } })),
  'recommend of 70, in the mask': (b, meanwhile) => decided(b.recommend({ userId: 'out', candidates: list(70), mask: Object.defineProperty(list(70).map(() => true), 5, { get() { meanwhile(); return false } }) })),
  'feedback, in the time': (b, meanwhile) => b.feedback({ decisionId: decisionOf(b, 'out'), reward: 0.5, get at() { meanwhile(); return ++lastReaction } }),
}

/** A decision without its number and the time it took. @param {import('@oo/bandits').Recommendation} recommendation */
const decided = ({ decisionId: _number, latencyUs: _time, ...rest }) => rest

/** The id of a candidate that does something when it is read. */
const SPIKED = 'spiked'

/**
 * `candidates`, of which reading number `at` does something.
 * @template {{ id: string }} T @param {T[]} candidates @param {number} at @param {() => unknown} meanwhile
 */
function spiked(candidates, at, meanwhile) {
  candidates[at] = Object.defineProperty({ .../** @type {T} */ (candidates[at]) }, 'id', { get() { meanwhile(); return SPIKED }, enumerable: true })
  return candidates
}

/** How often the one who was chosen was the spiked one. @param {any} results */
const chosenSpikes = (results) => [results].flat().filter(({ tipId }) => tipId === SPIKED).length

/** @param {Bandits} bandits */
function warmUp(bandits) {
  for (const userId of ['out', 'in']) {
    for (const policy of /** @type {const} */ (['linucb-v1', 'egreedy-v1', 'egreedy-v2'])) bandits.reward({ userId, tipId: 't', reward: 1, features: { priority: 3, taskAgeDays: 9 }, policy })
  }
  decisions.set(bandits, new Map(['out', 'in'].map((userId) => [userId, bandits.recommend({ userId, candidates: list(4) }).decisionId])))
}

for (const [outer, call] of Object.entries(OUTER)) {
  describe(outer, () => {
    for (const [inner, meanwhile] of Object.entries(MEANWHILE)) {
      test(inner, (t) => {
        // Scoring `in` under LinUCB draws no random number, so both engines explore alike.
        const [spoiled, expected] = [openEngine(t), openEngine(t)]
        warmUp(spoiled)
        warmUp(expected)
        let times = 0
        const results = call(spoiled, () => { times++; meanwhile(spoiled) })
        assert.deepEqual(results, call(expected, () => {}))
        // The id of what score() chose is read once more; a set's is known.
        assert.equal(times, 1 + (outer.startsWith('score') ? chosenSpikes(results) : 0), 'a property is read once')
        for (let time = 0; time < times; time++) meanwhile(expected)
        assert.deepEqual(timelessStandingOf(spoiled, ['out', 'in']), timelessStandingOf(expected, ['out', 'in']))
        // And the next call is as good as ever.
        assert.deepEqual(call(spoiled, () => {}), call(expected, () => {}))
      })
    }
  })
}

describe('the engine is closed meanwhile', () => {
  for (const [outer, call] of Object.entries(OUTER)) {
    if (outer.startsWith('prepare')) continue
    test(outer, async (t) => {
      const bandits = openEngine(t)
      warmUp(bandits)
      /** @type {Promise<void>[]} */
      const closing = []
      assertRefuses(() => call(bandits, () => closing.push(bandits.close())), 'ERR_CLOSED')
      await closing[0]
      const again = openEngine(t, { stateDir: undefined })
      assert.equal(again.score({ userId: 'u', candidates: list(1) }).tipId, 'c0')
    })
  }
})

test('the user is reset meanwhile: the outer call applies to the fresh state', (t) => {
  const bandits = openEngine(t, { activePolicy: 'linucb-v1' })
  warmUp(bandits)
  bandits.score({ userId: 'out', candidates: spiked(list(3), 1, () => bandits.reset('out')) })
  assert.deepEqual([bandits.stats('out').pulls, bandits.stats('out').rewardCount, bandits.features('out').history.length], [1, 0, 1])
})

test('another engine is called meanwhile', (t) => {
  const [one, two, alone] = [openEngine(t), openEngine(t), openEngine(t)]
  const request = (/** @type {() => unknown} */ meanwhile) => ({ userId: 'u', candidates: spiked(list(5), 2, meanwhile) })
  assert.deepEqual(one.score(request(() => two.score({ userId: 'u', candidates: list(2000) }))), alone.score(request(() => {})))
  assert.deepEqual([one.stats('u').pulls, two.stats('u').pulls], [1, 1])
})

describe('candidates change while they are read', () => {
  /** @type {[string, (array: any[]) => unknown, string | undefined][]} */
  const changes = [
    ['emptied', (a) => { a.length = 0 }, 'candidates[2]'],
    ['shortened', (a) => a.pop(), 'candidates[3]'],
    ['lengthened', (a) => a.push({ id: 'late' }), undefined],
    ['the next one replaced by rubbish', (a) => { a[2] = 7 }, 'candidates[2]'],
    ['an earlier one replaced by rubbish', (a) => { a[0] = 7 }, undefined],
  ]
  for (const [name, change, refused] of changes) {
    test(name, (t) => {
      // To someone unknown LinUCB shows the last one, which has most features.
      const bandits = openEngine(t, { activePolicy: 'linucb-v1' })
      const candidates = list(4)
      spiked(candidates, 1, () => change(candidates))
      const call = () => bandits.score({ userId: 'u', candidates })
      if (refused === undefined) assert.equal(call().tipId, 'c3')
      else assertRefuses(call, 'ERR_INVALID_ARGUMENT', refused)
      assert.equal(bandits.stats('u').pulls, refused === undefined ? 1 : 0)
    })
  }

  /** @type {[string, any, string | undefined][]} */
  const replacements = [
    ['rubbish', 7, 'candidates[3]'],
    ['nothing', undefined, 'candidates[3]'],
    ['somebody without an id', {}, 'candidates[3].id'],
    ['somebody with a wrong prompt version', { id: 'late', promptVersion: 7 }, 'candidates[3].promptVersion'],
    ['somebody else', { id: 'late' }, undefined],
  ]
  for (const [name, replacement, refused] of replacements) {
    test(`the chosen one replaced by ${name} after it was read`, (t) => {
      const bandits = openEngine(t, { activePolicy: 'linucb-v1' })
      const request = (candidates = list(4)) => ({ userId: 'u', candidates, context: { get hourOfDay() { candidates[3] = replacement; return 9 } } })
      const [alone, batched] = [() => bandits.score(request()), () => bandits.scoreMany([request()])[0]]
      if (refused === undefined) assert.deepEqual([alone().tipId, batched()?.tipId], ['late', 'late'])
      else {
        assertRefuses(alone, 'ERR_INVALID_ARGUMENT', refused)
        assertRefuses(batched, 'ERR_INVALID_ARGUMENT', `requests[0].${refused}`)
      }
      assert.equal(bandits.stats('u').pulls, refused === undefined ? 2 : 0)
    })
  }
})

describe('without end', () => {
  test('a getter that scores the object that it is a getter of', (t) => {
    const bandits = openEngine(t)
    const request = { userId: 'u', get candidates() { bandits.score(request); return list(2) } }
    assert.throws(() => bandits.score(/** @type {any} */ (request)), (error) => error instanceof BanditError || error instanceof RangeError)
    assert.equal(bandits.stats('u').pulls, 0)
    assert.equal(bandits.score({ userId: 'u', candidates: list(1) }).tipId, 'c0')
  })

  test('the same through reward, scoreMany and prepare in turn', (t) => {
    const bandits = openEngine(t)
    const features = { get priority() { bandits.scoreMany([{ userId: 'u', candidates: [candidate] }]); return 1 } }
    const candidate = { get id() { bandits.prepare([{ id: 'a', features: inner }]); return 'a' } }
    const inner = { get priority() { bandits.reward({ userId: 'u', tipId: 'a', reward: 1, features }); return 1 } }
    assert.throws(() => bandits.score({ userId: 'u', candidates: [candidate] }), (error) => error instanceof BanditError || error instanceof RangeError)
    assert.deepEqual([bandits.stats('u').pulls, bandits.stats('u').rewardCount], [0, 0])
  })

  test('a getter that calls itself', (t) => {
    const bandits = openEngine(t)
    /** @returns {string} */
    const forever = () => forever()
    const endless = { id: 'a', get content() { return forever() } }
    assert.throws(() => bandits.score({ userId: 'u', candidates: [endless] }), RangeError)
    assert.equal(bandits.score({ userId: 'u', candidates: list(1) }).tipId, 'c0')
  })

  test('a few levels are fine', (t) => {
    const bandits = openEngine(t)
    /** @param {number} depth @returns {import('@oo/bandits').ScoreResult} */
    const nest = (depth) => bandits.score({ userId: 'u', candidates: spiked(list(3, `depth ${depth}-`), 1, () => depth > 0 && nest(depth - 1)) })
    const { tipId } = nest(10)
    assert.match(tipId, /^depth 10-/)
    assert.equal(bandits.stats('u').pulls, 11)
    assert.equal(bandits.features('u').history.at(-1)?.tipId, tipId)
  })

  test('calls at the very end of the stack leave the engine whole', (t) => {
    const bandits = openEngine(t)
    const [x, y] = [list(2, 'x'), list(2, 'y')]
    const calls = [
      () => bandits.score({ userId: 'u', candidates: x }),
      () => bandits.scoreMany([{ userId: 'u', candidates: x }, { userId: 'v', candidates: x }, { userId: 'u', candidates: x }]),
      () => bandits.reward({ userId: 'u', tipId: 't', reward: 1, features: {} }),
      () => bandits.feedback({ decisionId: bandits.recommend({ userId: 'v', candidates: x }).decisionId, action: 'done' }),
      () => bandits.score({ userId: 'u', candidates: spiked(list(3), 1, () => bandits.score({ userId: 'v', candidates: x })) }),
    ]
    /** @param {number} depth */
    const dig = (depth) => {
      try {
        calls[depth % calls.length]?.()
      } catch (error) {
        assert.ok(error instanceof RangeError, String(error))
      }
      dig(depth + 1)
    }
    /** @param {number} padding @returns {void} */
    const pad = (padding) => (padding === 0 ? dig(0) : pad(padding - 1))
    for (let padding = 0; padding < 12; padding++) {
      assert.throws(() => pad(padding), RangeError)
      const { pulls } = bandits.stats('u')
      bandits.score({ userId: 'u', candidates: [{ id: 'after' }] })
      assert.equal(bandits.scoreMany([{ userId: 'u', candidates: y }, { userId: 'u', candidates: [{ id: 'last' }] }]).length, 2)
      assert.equal(bandits.stats('u').pulls, pulls + 3)
      const tips = bandits.features('u').history.slice(-3).map(({ tipId }) => tipId)
      assert.deepEqual([tips[0], tips[2]], ['after', 'last'])
    }
  })
})
