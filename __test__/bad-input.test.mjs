// @ts-check
// Wrong arguments: each is refused with a BanditError whose message begins with the path of what is wrong, and nothing changes,
// neither in memory nor on disk.

import assert from 'node:assert/strict'
import { after, describe, test } from 'node:test'

import { Bandits } from '@oo/bandits'
import { eventsIn } from './support/log-lines.mjs'
import { assertRefuses, assertRejects } from './support/refusal.mjs'
import { POLICIES, rewardOnce, standingOf } from './support/standing.mjs'
import { contentsOf, emptyDirectory, openEngine } from './support/state-dir.mjs'

/** @type {(() => unknown)[]} */
const hooks = []
const suite = { after: (/** @type {() => unknown} */ hook) => hooks.push(hook) }
const stateDir = emptyDirectory(suite)
const bandits = openEngine(suite, { stateDir })
after(async () => {
  for (const hook of hooks) await hook()
})

const INVALID = 'ERR_INVALID_ARGUMENT'
const LONE = 'a\ud800b'
const LONG = 'x'.repeat(513)
const USERS = ['known', 'other', '__proto__', 'constructor']

/** The kinds of value; those that a place accepts are left out for that place. */
const OF_EVERY_KIND = {
  undefined, null: null, true: true, false: false, zero: 0, one: 1, half: 1.5, negative: -1, NaN: NaN, Infinity: Infinity,
  '-Infinity': -Infinity, 'an empty string': '', 'a string': 'text', 'a numeric string': '5', 'a bigint': 1n, 'a symbol': Symbol('s'),
  'a function': () => 1, 'an object': {}, 'an array': [], 'a date': new Date(0), 'a boxed number': new Object(1), 'a boxed string': new Object('a'),
}

/** @param {(kind: string) => boolean} accepted @returns {[string, unknown][]} */
const allBut = (accepted) => Object.entries(OF_EVERY_KIND).filter(([kind]) => !accepted(kind))
/** @param {string[]} kinds */
const except = (...kinds) => allBut((kind) => kinds.includes(kind))

const NUMBERS = ['zero', 'one', 'half', 'negative']
const OBJECTS = ['an object', 'a date', 'a boxed number', 'a boxed string', 'an array']
const STRINGS = ['an empty string', 'a string', 'a numeric string']
const NOT_ID = except('a string', 'a numeric string')
/** @type {[string, unknown][]} */
const BAD_ID = [...NOT_ID, ['513 units', LONG], ['a lone high surrogate', LONE], ['a lone low surrogate', '\udc00'], ['halves in the wrong order', '\udc00\ud800']]
/** @type {[string, unknown][]} */
const NOT_HOUR = [...except('undefined', 'zero', 'one'), ['24', 24], ['2^53', 2 ** 53], ['-1e-300', -1e-300]]
/** @type {[string, unknown][]} */
const NOT_DAY = [...except('undefined', 'zero', 'one'), ['7', 7]]
/** @type {[string, unknown][]} */
const NOT_PRIORITY = [...except('undefined', 'one'), ['5', 5], ['2.0001', 2.0001]]
const NOT_BOOLEAN = except('undefined', 'true', 'false')
const NOT_FINITE_OR_MISSING = except('undefined', ...NUMBERS)
const NOT_FINITE_OR_UNKNOWN = except('undefined', 'null', ...NUMBERS)
const NOT_STRING_OR_MISSING = except('undefined', ...STRINGS)
const NOT_STRING_OR_NULL = except('undefined', 'null', ...STRINGS)
/** What is logged is short and well-formed. @type {[string, unknown][]} */
const BAD_TEXT = [['129 units', 'x'.repeat(129)], ['130 units in pairs', '😀'.repeat(65)], ['a lone high surrogate', LONE], ['a lone low surrogate', '\udc00']]
const NOT_POLICY_STRING = except('undefined', ...STRINGS)
// That an array is refused as an object is asked for in a test of its own.
const NOT_OBJECT = except(...OBJECTS)
const NOT_OBJECT_OR_MISSING = except('undefined', ...OBJECTS)
const NOT_OBJECT_OR_NULL = except('undefined', 'null', ...OBJECTS)

const candidate = { id: 'a', features: { priority: 2, taskAgeDays: 3, isOverdue: true } }
const scoreRequest = () => ({ userId: 'known', candidates: [{ id: 'z' }, candidate], context: { hourOfDay: 3, dayOfWeek: 2 }, profileFeatures: { preferredHour: 3 } })
const rewardRequest = () => ({ userId: 'known', tipId: 'a', reward: 1, features: { ...candidate.features, hourOfDay: 3 }, dayOfWeek: 2, profileFeatures: { preferredHour: 3 } })

/**
 * A copy of `request` with `value` at `path`, e.g. `candidates[1].id`.
 * @param {any} request @param {string} path @param {unknown} value
 */
function withAt(request, path, value) {
  const keys = path.split(/[.[\]]+/).filter(Boolean)
  const last = /** @type {string} */ (keys.pop())
  const copy = { ...request }
  let at = copy
  for (const key of keys) at = at[key] = Array.isArray(at[key]) ? [...at[key]] : { ...at[key] }
  at[last] = value
  return copy
}

/** @type {[string, [string, unknown][]][]} */
const PROFILE = ['completionRate30d', 'dismissRate30d', 'meanDwellMs30d', 'preferredHour', 'tipVolume30d'].map((key) => [`profileFeatures.${key}`, NOT_FINITE_OR_UNKNOWN])

/** @type {[string, [string, unknown][]][]} */
const CANDIDATE_PATHS = [
  ['candidates[1]', NOT_OBJECT],
  ['candidates[1].id', BAD_ID],
  ['candidates[1].content', NOT_STRING_OR_MISSING],
  ['candidates[1].source', NOT_STRING_OR_MISSING],
  ['candidates[1].sourceId', NOT_STRING_OR_NULL],
  ['candidates[1].promptVersion', [...NOT_STRING_OR_MISSING, ...BAD_TEXT]],
  ['candidates[1].features', NOT_OBJECT_OR_MISSING],
  ['candidates[1].features.isOverdue', NOT_BOOLEAN],
  ['candidates[1].features.taskAgeDays', NOT_FINITE_OR_MISSING],
  ['candidates[1].features.priority', NOT_PRIORITY],
]
/** @type {[string, [string, unknown][]][]} */
const SCORE_PATHS = [
  ['userId', BAD_ID],
  ['candidates', except('an array')],
  ...CANDIDATE_PATHS,
  ['context', NOT_OBJECT_OR_MISSING],
  ['context.hourOfDay', NOT_HOUR],
  ['context.dayOfWeek', NOT_DAY],
  ['profileFeatures', NOT_OBJECT_OR_NULL],
  ['profileFeatures.computedAt', [...NOT_STRING_OR_NULL, ...BAD_TEXT]],
  ...PROFILE,
  ['policy', NOT_POLICY_STRING],
]
/** @type {[string, [string, unknown][]][]} */
const REWARD_PATHS = [
  ['userId', BAD_ID],
  ['tipId', BAD_ID],
  ['reward', except(...NUMBERS)],
  ['features', NOT_OBJECT],
  ['features.isOverdue', NOT_BOOLEAN],
  ['features.taskAgeDays', NOT_FINITE_OR_MISSING],
  ['features.priority', NOT_PRIORITY],
  ['features.hourOfDay', NOT_HOUR],
  ['dayOfWeek', NOT_DAY],
  ['profileFeatures', NOT_OBJECT_OR_NULL],
  ['profileFeatures.computedAt', [...NOT_STRING_OR_NULL, ...BAD_TEXT]],
  ...PROFILE,
  ['policy', NOT_POLICY_STRING],
]

/**
 * Runs `calls`, none of which may change anything.
 * @param {() => unknown} calls
 */
async function changesNothing(calls) {
  const everything = async () => {
    await bandits.checkpoint()
    return [standingOf(bandits, USERS), contentsOf(stateDir), eventsIn(stateDir), bandits.health().users]
  }
  const before = await everything()
  await calls()
  assert.deepEqual(await everything(), before)
}

for (const policy of POLICIES) {
  for (const userId of ['known', '__proto__']) {
    bandits.score({ ...scoreRequest(), userId, policy })
    rewardOnce(bandits, userId, { policy })
  }
}

describe('score', () => {
  for (const [path, values] of SCORE_PATHS) {
    test(path, () => changesNothing(() => {
      for (const [kind, value] of values) assertRefuses(() => bandits.score(withAt(scoreRequest(), path, value)), INVALID, path, kind)
    }))
  }
  test('the request itself', () => changesNothing(() => {
    for (const [kind, value] of NOT_OBJECT) assertRefuses(() => bandits.score(/** @type {any} */ (value)), INVALID, 'request', kind)
  }))
})

describe('scoreMany names the request', () => {
  for (const [path, values] of SCORE_PATHS) {
    test(path, () => changesNothing(() => {
      for (const [kind, value] of values) {
        const requests = [{ ...scoreRequest(), userId: 'other' }, withAt(scoreRequest(), path, value)]
        assertRefuses(() => bandits.scoreMany(requests), INVALID, `requests[1].${path}`, kind)
      }
    }))
  }
  test('the array and its entries', () => changesNothing(() => {
    for (const [kind, value] of except('an array')) assertRefuses(() => bandits.scoreMany(/** @type {any} */ (value)), INVALID, 'requests', kind)
    for (const [kind, value] of NOT_OBJECT) assertRefuses(() => bandits.scoreMany(/** @type {any} */ ([scoreRequest(), value])), INVALID, 'requests[1]', kind)
    // oxlint-disable-next-line no-sparse-arrays -- the subject
    assertRefuses(() => bandits.scoreMany(/** @type {any} */ ([scoreRequest(), , scoreRequest()])), INVALID, 'requests[1]')
    assertRefuses(() => bandits.scoreMany(Array.from({ length: 10_001 }, scoreRequest)), INVALID, 'requests')
    assert.deepEqual(bandits.scoreMany([]), [])
  }))
  test('the last of many', () => changesNothing(() => {
    const requests = [...Array.from({ length: 1200 }, scoreRequest), { ...scoreRequest(), context: { hourOfDay: 24 } }]
    assertRefuses(() => bandits.scoreMany(requests), INVALID, 'requests[1200].context.hourOfDay')
  }))
})

describe('reward', () => {
  for (const [path, values] of REWARD_PATHS) {
    test(path, () => changesNothing(() => {
      for (const [kind, value] of values) assertRefuses(() => bandits.reward(withAt(rewardRequest(), path, value)), INVALID, path, kind)
    }))
  }
  test('the request itself', () => changesNothing(() => {
    for (const [kind, value] of NOT_OBJECT) assertRefuses(() => bandits.reward(/** @type {any} */ (value)), INVALID, 'request', kind)
  }))
})

describe('prepare', () => {
  for (const [path, values] of /** @type {[string, [string, unknown][]][]} */ ([['candidates', except('an array')], ...CANDIDATE_PATHS])) {
    test(path, () => changesNothing(() => {
      for (const [kind, value] of values) assertRefuses(() => bandits.prepare(withAt(scoreRequest(), path, value).candidates), INVALID, path, kind)
    }))
  }
})

describe('stats, features, reset, erase', () => {
  test('userId', () => changesNothing(async () => {
    for (const [kind, value] of BAD_ID) {
      const userId = /** @type {any} */ (value)
      assertRefuses(() => bandits.stats(userId), INVALID, 'userId', kind)
      assertRefuses(() => bandits.features(userId), INVALID, 'userId', kind)
      assertRefuses(() => bandits.reset(userId), INVALID, 'userId', kind)
      await assertRejects(() => bandits.erase(userId), INVALID, 'userId', kind)
    }
  }))
  test('policy', () => changesNothing(() => {
    for (const [kind, value] of NOT_POLICY_STRING) assertRefuses(() => bandits.stats('known', /** @type {any} */ (value)), INVALID, 'policy', kind)
  }))
})

test('an unknown policy has a code of its own and the message lists those that there are', () => changesNothing(() => {
  for (const policy of /** @type {any[]} */ (['linucb', 'LINUCB-V1', '', '__proto__', 'constructor', ' egreedy-v1', 'x'.repeat(10_000)])) {
    assertRefuses(() => bandits.score({ ...scoreRequest(), policy }), 'ERR_UNKNOWN_POLICY', 'policy')
    assertRefuses(() => bandits.scoreMany([{ ...scoreRequest(), policy }]), 'ERR_UNKNOWN_POLICY', 'requests[0].policy')
    assertRefuses(() => bandits.reward({ ...rewardRequest(), policy }), 'ERR_UNKNOWN_POLICY', 'policy')
    assertRefuses(() => bandits.stats('known', policy), 'ERR_UNKNOWN_POLICY', 'policy')
  }
  assert.throws(() => bandits.stats('known', /** @type {any} */ ('greedy')), /"greedy".*linucb-v1, egreedy-v1, egreedy-v2/)
}))

test('no candidates have a code of their own', () => changesNothing(() => {
  assertRefuses(() => bandits.score({ userId: 'known', candidates: [] }), 'ERR_NO_CANDIDATES', 'candidates')
  assertRefuses(() => bandits.scoreMany([scoreRequest(), { userId: 'known', candidates: [] }]), 'ERR_NO_CANDIDATES', 'requests[1].candidates')
  assertRefuses(() => bandits.prepare([]), 'ERR_NO_CANDIDATES', 'candidates')
}))

test('a hole among the candidates is refused', () => changesNothing(() => {
  // oxlint-disable-next-line no-sparse-arrays -- the subject
  const sparse = /** @type {any} */ ([candidate, , candidate])
  assertRefuses(() => bandits.score({ userId: 'known', candidates: sparse }), INVALID, 'candidates[1]')
  assertRefuses(() => bandits.score({ userId: 'known', candidates: Array.from({ length: 3 }) }), INVALID, 'candidates[0]')
}))

test('100,001 candidates are refused before any is read', () => changesNothing(() => {
  const many = Array.from({ length: 100_001 })
  assertRefuses(() => bandits.score({ userId: 'known', candidates: many }), INVALID, 'candidates')
  assertRefuses(() => bandits.scoreMany([{ userId: 'known', candidates: many }]), INVALID, 'requests[0].candidates')
  assertRefuses(() => bandits.prepare(many), INVALID, 'candidates')
}))

test('the last of 100,000 is checked as the first is', () => changesNothing(() => {
  const many = Array.from({ length: 100_000 }, () => candidate)
  many[99_999] = { id: 'a', features: { ...candidate.features, priority: 0 } }
  assertRefuses(() => bandits.score({ userId: 'known', candidates: many }), INVALID, 'candidates[99999].features.priority')
}))

test('a reward past `maxReward`', (t) => {
  const own = openEngine(t, { maxReward: 1e12 })
  for (const policy of POLICIES) {
    const huge = { userId: 'rich', tipId: 'a', reward: 1e12, features: { isOverdue: true, priority: 4 }, policy }
    own.reward(huge)
    const before = standingOf(own, ['rich'])
    for (const reward of [1.01e12, 1e300, Number.MAX_VALUE, -Number.MAX_VALUE]) assertRefuses(() => own.reward({ ...huge, reward }), INVALID, 'reward')
    assert.deepEqual(standingOf(own, ['rich']), before)
    own.reward({ ...huge, reward: -1e12 })
    const { theta, cumulativeReward } = own.stats('rich', policy)
    assert.equal(cumulativeReward, 0)
    assert.ok(theta.every(Number.isFinite))
    assert.ok(Number.isFinite(own.score({ ...scoreRequest(), userId: 'rich', policy }).score))
  }
})

test('an array where an object is due', () => changesNothing(() => {
  for (const path of ['context', 'profileFeatures', 'candidates[1]', 'candidates[1].features']) {
    assertRefuses(() => bandits.score(withAt(scoreRequest(), path, [])), INVALID, path)
  }
  for (const path of ['features', 'profileFeatures']) assertRefuses(() => bandits.reward(withAt(rewardRequest(), path, [])), INVALID, path)
}))

test('the constructors are not for callers', () => {
  for (const make of /** @type {any[]} */ ([Bandits, bandits.prepare([candidate]).constructor])) {
    assertRefuses(() => new make(), INVALID)
    assertRefuses(() => new make({}, 1, []), INVALID)
  }
})
