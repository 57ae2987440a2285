// @ts-check
// recommend(): what is decided against what the log says of it, what is refused, and what the answer is made of.

import assert from 'node:assert/strict'
import { describe, test } from 'node:test'

import { prepare } from '@oo/bandits'
import { run } from '../support/child.mjs'
import { assertRefuses } from '../support/refusal.mjs'
import { linesIn } from '../support/log-lines.mjs'
import { POLICIES, timelessStandingOf } from '../support/standing.mjs'
import { emptyDirectory, openEngine } from '../support/state-dir.mjs'
import { startWorker } from '../support/worker.mjs'

/** @typedef {import('@oo/bandits').Bandits} Bandits */
/** @typedef {import('@oo/bandits').Recommendation} Recommendation */

const EPSILON = 0.1
const list = (/** @type {number} */ n, prefix = 'c') => Array.from({ length: n }, (_entry, i) => ({ id: `${prefix}${i}`, features: { priority: 1 + (i % 4), taskAgeDays: (i * 7) % 31, isOverdue: i % 3 === 0 } }))
const near = (/** @type {number} */ a, /** @type {number} */ b) => Math.abs(a - b) <= 1e-12
const sum = (/** @type {readonly number[]} */ numbers) => numbers.reduce((total, number) => total + number, 0)

/** The lines of decisions. @param {string} stateDir */
const decisionsIn = (stateDir) => linesIn(stateDir).filter(({ kind }) => kind === 'decision')

/** An engine whose policies know something of user `u`. @param {import('node:test').TestContext} t @param {import('@oo/bandits').BanditsOptions} [options] */
function taught(t, options) {
  const bandits = openEngine(t, options)
  for (const [i, { features }] of list(12).entries()) {
    for (const policy of POLICIES) bandits.reward({ userId: 'u', tipId: 't', reward: 1 - (i % 3), features: { ...features, hourOfDay: i }, policy })
  }
  return bandits
}

/** Holds an answer and its line against each other. @param {Recommendation} answer @param {import('../support/log-lines.mjs').Line} line */
function assertSame(answer, line) {
  const [own, ...others] = line['choices']
  assert.equal(answer.decisionId, line.seq.join('.'))
  assert.deepEqual([answer.index, answer.tipId, answer.policy, answer.assigned], [line['index'], line['ids'][line['index']], line['policy'], line['assigned']])
  assert.equal(own.policy, answer.policy)
  assert.equal(answer.propensity, line['probabilities'][answer.index])
  assert.equal(answer.heldOut, line['heldOut'] ?? false)
  assert.equal(answer.exploring, own.exploring || answer.heldOut)
  if (!answer.heldOut) assert.deepEqual([answer.index, answer.score], [own.index, own.score])
  assert.deepEqual(answer.shadows, others.map((/** @type {any} */ { policy, index, score, probabilities }) => (
    { policy, tipId: line['ids'][index], score, propensity: probabilities[index], agrees: index === answer.index })))
  assert.ok(answer.latencyUs > 0 && answer.latencyUs < 60e6)
  const masked = new Set(line['masked'])
  for (const vector of [line['probabilities'], ...line['choices'].map((/** @type {any} */ choice) => choice.probabilities)]) {
    assert.equal(vector.length, line['ids'].length)
    assert.ok(near(sum(vector), 1), `${vector}`)
    for (const [i, p] of vector.entries()) assert.ok(masked.has(i) ? p === 0 : p >= 0 && p <= 1)
  }
}

/** The marginal vector as the contract says it. @param {import('../support/log-lines.mjs').Line} line */
function assertMarginal(line) {
  const [own] = line['choices']
  const open = line['ids'].length - (line['masked']?.length ?? 0)
  const holdout = line['holdout'] ?? 0
  for (const [i, p] of line['probabilities'].entries()) {
    const uniform = line['masked']?.includes(i) ? 0 : 1 / open
    assert.ok(near(p, (1 - holdout) * own.probabilities[i] + holdout * uniform), `${i}: ${p}`)
  }
  for (const { policy, probabilities } of line['choices']) {
    const epsilon = policy === 'linucb-v1' ? 0 : EPSILON
    const sorted = probabilities.toSorted((/** @type {number} */ a, /** @type {number} */ b) => b - a).slice(0, open)
    assert.ok(near(sorted[0], 1 - epsilon + epsilon / open), `${policy}: ${sorted}`)
    for (const p of sorted.slice(1)) assert.ok(near(p, epsilon / open), `${policy}: ${sorted}`)
  }
}

test('the log has the whole decision, and before the call returns', (t) => {
  const stateDir = emptyDirectory(t)
  const bandits = taught(t, { stateDir })
  const candidates = [
    { id: 'a', content: 'not logged', promptVersion: 'v1', features: { isOverdue: true, taskAgeDays: 2.5, priority: 4 } },
    { id: 'é "\n\u{1F600}', features: {} },
    { id: 'c', promptVersion: '', features: { taskAgeDays: -1e9, priority: 2 } },
  ]
  const profileFeatures = { completionRate30d: 0.3, preferredHour: 7, computedAt: '2026-11-01T00:00:00Z' }
  const answer = bandits.recommend({ userId: 'u', candidates, context: { hourOfDay: 9, dayOfWeek: 3 }, profileFeatures, mask: [true, true, false], holdout: 0.25 })
  const [line] = decisionsIn(stateDir)
  assert.ok(line !== undefined)
  assertSame(answer, line)
  assertMarginal(line)
  const { userId, ids, isOverdue, taskAgeDays, priority, promptVersions, hourOfDay, dayOfWeek, masked, holdout, ordinal, choices, draw } = line
  assert.deepEqual({ userId, ids, isOverdue, taskAgeDays, priority, promptVersions, hourOfDay, dayOfWeek, masked, holdout, ordinal }, {
    userId: 'u', ids: candidates.map(({ id }) => id), isOverdue: [true, false, false], taskAgeDays: [2.5, 0, -1e9], priority: [4, 1, 2],
    promptVersions: ['v1', null, ''], hourOfDay: 9, dayOfWeek: 3, masked: [2], holdout: 0.25, ordinal: 0,
  })
  assert.deepEqual(line['profileFeatures'], { completionRate30d: 0.3, dismissRate30d: null, meanDwellMs30d: null, preferredHour: 7, tipVolume30d: null, computedAt: profileFeatures.computedAt })
  assert.deepEqual(choices.map((/** @type {any} */ choice) => choice.policy), ['egreedy-v1', 'linucb-v1', 'egreedy-v2'])
  assert.match(draw, /^[0-9a-f]{16}$/)
})

test('answers and lines agree over masks, holdouts, sizes and sets', (t) => {
  const stateDir = emptyDirectory(t)
  const bandits = taught(t, { stateDir })
  const answers = []
  for (const n of [1, 2, 7, 8, 9, 17, 100, 1000]) {
    const sets = [list(n), bandits.prepare(list(n)), prepare(list(n).map((candidate, i) => (i % 2 === 0 ? { ...candidate, promptVersion: `p${i}` } : candidate)))]
    for (const candidates of [...sets, ...sets]) {
      for (const mask of [undefined, Array.from({ length: n }, (_may, i) => i % 3 === n % 3 || i === n - 1), Array.from({ length: n }, (_may, i) => i === n >> 1), Array.from({ length: n }, () => true)]) {
        for (const holdout of [undefined, 0, 0.5, 1]) answers.push(bandits.recommend({ userId: 'u', candidates, ...(mask && { mask }), ...(holdout !== undefined && { holdout }) }))
      }
    }
  }
  const lines = decisionsIn(stateDir)
  assert.equal(lines.length, answers.length)
  for (const [i, line] of lines.entries()) {
    assertSame(/** @type {Recommendation} */ (answers[i]), line)
    assertMarginal(line)
    const n = line['ids'].length
    assert.deepEqual([line['ids'], line['priority']], [list(n).map(({ id }) => id), list(n).map(({ features }) => features.priority)])
    assert.deepEqual(line['taskAgeDays'], list(n).map(({ features }) => features.taskAgeDays))
  }
  const heldOut = answers.filter((answer) => answer.heldOut).length
  const always = lines.filter(({ holdout }) => holdout === 1).length
  const half = lines.filter(({ holdout }) => holdout === 0.5).length
  assert.ok(heldOut > always + half / 3 && heldOut < always + (2 * half) / 3, String(heldOut))
  assert.ok(lines.some(({ promptVersions }) => promptVersions?.[2] === 'p2' && promptVersions[1] === null))
})

test('every policy that is not off has pulled once, and once each in the history', (t) => {
  const stateDir = emptyDirectory(t)
  const bandits = openEngine(t, { stateDir })
  for (let i = 1; i <= 20; i++) {
    bandits.recommend({ userId: 'u', candidates: list(5), context: { hourOfDay: 4, dayOfWeek: 2 } })
    assert.deepEqual(POLICIES.map((policy) => bandits.stats('u', policy).pulls), [i, i, i])
  }
  bandits.score({ userId: 'u', candidates: list(2), policy: 'egreedy-v2' })
  bandits.recommend({ userId: 'u', candidates: list(5), context: { hourOfDay: 4, dayOfWeek: 2 } })
  const lines = decisionsIn(stateDir)
  const { history } = bandits.features('u')
  const expected = lines.flatMap(({ choices, ids }) => choices.map((/** @type {any} */ { policy, index, score, exploring }) => ({ policy, tipId: ids[index], score, exploring })))
  assert.equal(history.length, 64)
  const own = history.filter((record) => record.features.hourOfDay === 4)
  assert.deepEqual(own.map(({ policy, tipId, score, exploring }) => ({ policy, tipId, score, exploring })), expected)
  for (const { policy, tipId, features } of own) {
    const { isOverdue, taskAgeDays, priority } = /** @type {any} */ (list(5).find(({ id }) => id === tipId)).features
    assert.deepEqual(features, { hourOfDay: 4, isOverdue, taskAgeDays, priority, ...(policy !== 'linucb-v1' && { dayOfWeek: 2 }) })
  }
  // The pull in between came after 20 decisions of three.
  assert.deepEqual(lines.slice(-2).map(({ ordinal }) => ordinal), [57, 61])
  const explored = lines.map(({ choices }) => choices[0].exploring).filter(Boolean).length
  assert.equal(bandits.stats('u').explorationRate, explored / 21)
})

test('the same seed decides the same', (t) => {
  const choices = (/** @type {number} */ seed) => {
    const bandits = taught(t, { seed })
    return Array.from({ length: 100 }, (_run, i) => {
      const { latencyUs: _latency, ...answer } = bandits.recommend({ userId: 'u', candidates: list(10), holdout: i % 2 ? 0.3 : 0 })
      return answer
    })
  }
  assert.deepEqual(choices(3), choices(3))
  assert.notDeepEqual(choices(3), choices(4))
})

describe('explain', () => {
  test('takes the score apart', (t) => {
    const bandits = taught(t)
    for (const policy of POLICIES) {
      bandits.setPolicy(policy, { mode: 'active' })
      for (let i = 0; i < 60; i++) {
        const mask = i % 2 === 0 ? list(6).map((_candidate, at) => at !== 3) : undefined
        const { explanation, score, index } = bandits.recommend({ userId: 'u', candidates: list(6), context: { hourOfDay: i % 24 }, explain: true, holdout: 0.3, ...(mask && { mask }) })
        assert.ok(explanation !== undefined)
        const { contributions, uncertainty, runnerUp } = explanation
        const { theta, featureLabels } = bandits.stats('u', policy)
        assert.equal(contributions.length, featureLabels.length)
        const bonus = policy === 'linucb-v1' ? uncertainty : 0
        assert.ok(near(sum(contributions) + bonus, score), `${policy}: ${sum(contributions)} + ${bonus} is not ${score}`)
        assert.ok(uncertainty > 0 && uncertainty < Math.sqrt(2 + featureLabels.length))
        const { priority = 0 } = list(6)[index]?.features ?? {}
        assert.ok(near(Number(contributions[4]), (Number(theta[4]) * (priority - 1)) / 3))
        assert.ok(runnerUp !== null && runnerUp.index !== index && runnerUp.tipId === `c${runnerUp.index}`)
        if (mask !== undefined) assert.notEqual(runnerUp.index, 3)
      }
    }
  })
  test('has no runner-up where nothing else may be shown, and is not there unasked', (t) => {
    const bandits = openEngine(t)
    assert.equal(bandits.recommend({ userId: 'u', candidates: list(1), explain: true }).explanation?.runnerUp, null)
    assert.equal(bandits.recommend({ userId: 'u', candidates: list(3), mask: [false, true, false], explain: true }).explanation?.runnerUp, null)
    assert.ok(!('explanation' in bandits.recommend({ userId: 'u', candidates: list(3) })))
    assert.ok(!('explanation' in bandits.recommend({ userId: 'u', candidates: list(3), explain: false })))
  })
  test('uncertainty falls with every reaction', (t) => {
    const bandits = openEngine(t, { activePolicy: 'linucb-v1' })
    let last = Infinity
    for (let i = 0; i < 10; i++) {
      const { decisionId, explanation } = bandits.recommend({ userId: 'u', candidates: list(1), explain: true })
      assert.ok(explanation !== undefined && explanation.uncertainty < last)
      last = explanation.uncertainty
      bandits.feedback({ decisionId, action: 'snooze' })
    }
  })
})

describe('ids of any text', () => {
  const ids = ['ä', 'a', '日本語', 'a"b', 'c\\d', 'e\nf', '😀', '\u2028', 'x'.repeat(512), '日'.repeat(512), '😀'.repeat(256)]
  for (const [name, subset] of Object.entries({ 'ASCII and others': ids, 'ASCII alone': ids.filter((id) => Buffer.byteLength(id) === id.length), 'one': ['😀'] })) {
    for (const prepared of [false, true]) {
      test(`${name}${prepared ? ', in a set' : ''}, come back and stand in the log as they were`, (t) => {
        const stateDir = emptyDirectory(t)
        const bandits = openEngine(t, { stateDir })
        const candidates = subset.map((id) => ({ id }))
        const mask = subset.map((_id, i) => i === subset.length - 1)
        const answer = bandits.recommend({ userId: 'u', candidates: prepared ? prepare(candidates) : candidates, mask })
        assert.equal(answer.tipId, subset.at(-1))
        assert.deepEqual(decisionsIn(stateDir)[0].ids, subset)
        assert.equal(bandits.features('u').history[0].tipId, subset.at(-1))
      })
    }
  }
})

describe('refused', () => {
  const good = { userId: 'u', candidates: list(3) }
  /** @type {Record<string, [request: any, code: string, path?: string]>} */
  const WRONG = {
    'no request': [undefined, 'ERR_INVALID_ARGUMENT', 'request'],
    'an array': [[good], 'ERR_INVALID_ARGUMENT', 'request'],
    'the same id twice': [{ ...good, candidates: [{ id: 'a' }, { id: 'b' }, { id: 'a' }] }, 'ERR_INVALID_ARGUMENT', 'candidates[2].id'],
    'the same id twice of many': [{ ...good, candidates: [...list(40), list(39)[38]] }, 'ERR_INVALID_ARGUMENT', 'candidates[40].id'],
    'the same id twice in a set': [{ ...good, candidates: prepare([{ id: 'a' }, { id: 'a' }]) }, 'ERR_INVALID_ARGUMENT', 'candidates[1].id'],
    'a mask too short': [{ ...good, mask: [true, true] }, 'ERR_INVALID_ARGUMENT', 'mask'],
    'a mask too long': [{ ...good, mask: [true, true, true, true] }, 'ERR_INVALID_ARGUMENT', 'mask'],
    'a mask of numbers': [{ ...good, mask: [1, 0, 1] }, 'ERR_INVALID_ARGUMENT', 'mask[0]'],
    'a mask with holes': [{ ...good, mask: Object.assign([true], { 2: true }) }, 'ERR_INVALID_ARGUMENT', 'mask[1]'],
    'a mask of null': [{ ...good, mask: null }, 'ERR_INVALID_ARGUMENT', 'mask'],
    'a mask that is no array': [{ ...good, mask: 'ttt' }, 'ERR_INVALID_ARGUMENT', 'mask'],
    'nothing allowed': [{ ...good, mask: [false, false, false] }, 'ERR_NO_CANDIDATES', 'mask'],
    'no candidates': [{ ...good, candidates: [] }, 'ERR_NO_CANDIDATES', 'candidates'],
    'no candidates in a set': [{ ...good, get candidates() { return prepare([]) } }, 'ERR_NO_CANDIDATES', 'candidates'],
    'no candidates, and a mask': [{ ...good, candidates: [], mask: [] }, 'ERR_NO_CANDIDATES'],
    'more than 1,000': [{ ...good, candidates: list(1001) }, 'ERR_INVALID_ARGUMENT', 'candidates'],
    'more than 1,000 in a set': [{ ...good, candidates: prepare(list(1001)) }, 'ERR_INVALID_ARGUMENT', 'candidates'],
    'a policy': [{ ...good, policy: 'linucb-v1' }, 'ERR_INVALID_ARGUMENT', 'policy'],
    'a policy that there is not': [{ ...good, policy: 'x' }, 'ERR_INVALID_ARGUMENT', 'policy'],
    'a holdout below 0': [{ ...good, holdout: -0.01 }, 'ERR_INVALID_ARGUMENT', 'holdout'],
    'a holdout above 1': [{ ...good, holdout: 1.01 }, 'ERR_INVALID_ARGUMENT', 'holdout'],
    'a holdout that is no number': [{ ...good, holdout: NaN }, 'ERR_INVALID_ARGUMENT', 'holdout'],
    'a holdout of text': [{ ...good, holdout: '0.1' }, 'ERR_INVALID_ARGUMENT', 'holdout'],
    'an explain of 1': [{ ...good, explain: 1 }, 'ERR_INVALID_ARGUMENT', 'explain'],
    'no user': [{ candidates: list(3) }, 'ERR_INVALID_ARGUMENT', 'userId'],
    'an empty user id': [{ ...good, userId: '' }, 'ERR_INVALID_ARGUMENT', 'userId'],
    'a wrong priority': [{ ...good, candidates: [{ id: 'a' }, { id: 'b', features: { priority: 5 } }] }, 'ERR_INVALID_ARGUMENT', 'candidates[1].features.priority'],
    'a wrong hour': [{ ...good, context: { hourOfDay: 24 } }, 'ERR_INVALID_ARGUMENT', 'context.hourOfDay'],
    'a wrong time of a profile': [{ ...good, profileFeatures: { computedAt: 5 } }, 'ERR_INVALID_ARGUMENT', 'profileFeatures.computedAt'],
  }
  for (const [name, [request, code, path]] of Object.entries(WRONG)) {
    test(name, (t) => {
      const stateDir = emptyDirectory(t)
      const bandits = openEngine(t, { stateDir })
      const twin = openEngine(t)
      assertRefuses(() => bandits.recommend(request), code, path, name)
      assert.deepEqual([bandits.stats('u').lastUpdated, decisionsIn(stateDir).length], [null, 0])
      // It has used no random number, and the next call goes as if it had not been.
      const answers = [bandits, twin].map((engine) => Array.from({ length: 30 }, () => engine.recommend({ ...good, candidates: list(20) }).index))
      assert.deepEqual(answers[0], answers[1])
    })
  }
  test('brings nobody into memory', (t) => {
    const bandits = openEngine(t)
    // That an id comes twice is found where the user is known already.
    for (const [name, [request, code]] of Object.entries(WRONG).filter(([wrong]) => !wrong.startsWith('the same id twice'))) {
      assertRefuses(() => bandits.recommend(request), code, undefined, name)
      assert.equal(bandits.health().users, 0, name)
    }
  })
  test('an undefined policy is none', (t) => {
    assert.equal(openEngine(t).recommend(/** @type {any} */ ({ ...good, policy: undefined, mask: undefined, holdout: undefined, explain: undefined })).policy, 'egreedy-v1')
  })
  test('a mask that changes while it is read is no mask of anything else', (t) => {
    const bandits = openEngine(t)
    let reads = 0
    const mask = new Proxy([true, true, true], { get(target, key) { if (key === '1') reads++; return key === '1' && reads > 1 ? 'yes' : Reflect.get(target, key) } })
    const answer = bandits.recommend({ ...good, mask })
    assert.ok(answer.index >= 0 && answer.index < 3)
  })
  test('without a log', (t) => {
    const bandits = openEngine(t, { log: 'off' })
    assertRefuses(() => bandits.recommend(good), 'ERR_INVALID_ARGUMENT', 'options.log')
    assertRefuses(() => bandits.feedback({ decisionId: '1.1', action: 'done' }), 'ERR_INVALID_ARGUMENT', 'options.log')
    assert.equal(bandits.stats('u').lastUpdated, null)
  })
  test('after close()', async (t) => {
    const bandits = openEngine(t)
    const { decisionId } = bandits.recommend(good)
    await bandits.close()
    for (const call of [() => bandits.recommend(good), () => bandits.feedback({ decisionId, action: 'done' }), () => bandits.policies(), () => bandits.setPolicy('linucb-v1', { mode: 'active' })]) assertRefuses(call, 'ERR_CLOSED')
  })
  test('after a getter has closed the engine', (t) => {
    const bandits = openEngine(t)
    const request = { ...good, get candidates() { void bandits.close(); return list(3) } }
    assertRefuses(() => bandits.recommend(request), 'ERR_CLOSED')
  })
})

describe('getters that call back', () => {
  /** Reading candidate `at` does something. @param {number} n @param {number} at @param {() => unknown} meanwhile */
  function spiked(n, at, meanwhile) {
    const candidates = list(n)
    const { id, features } = /** @type {ReturnType<typeof list>[0]} */ (candidates[at])
    candidates[at] = { id, get features() { meanwhile(); return features } }
    return candidates
  }
  /** @type {Record<string, (bandits: Bandits) => unknown>} */
  const MEANWHILE = {
    decides: (b) => b.recommend({ userId: 'in', candidates: list(4, 'x'), mask: [true, false, true, true], holdout: 0.5, explain: true }),
    'decides among 1,000': (b) => b.recommend({ userId: 'in', candidates: list(1000, 'x') }),
    'decides on a set': (b) => b.recommend({ userId: 'in', candidates: prepare(list(30, 'x')) }),
    scores: (b) => b.score({ userId: 'in', candidates: list(700, 'x'), policy: 'linucb-v1' }),
    rewards: (b) => b.reward({ userId: 'in', tipId: 't', reward: 1, features: {} }),
    'gives feedback': (b) => b.feedback({ decisionId: b.recommend({ userId: 'in', candidates: list(2) }).decisionId, action: 'done' }),
    'is refused': (b) => assertRefuses(() => b.recommend({ userId: 'in', candidates: [{ id: 'a' }, { id: 'a' }] }), 'ERR_INVALID_ARGUMENT', 'candidates[1].id'),
    'is refused an empty mask': (b) => assertRefuses(() => b.recommend({ userId: 'in', candidates: list(2), mask: [false, false] }), 'ERR_NO_CANDIDATES', 'mask'),
  }
  /** @type {Record<string, (bandits: Bandits, meanwhile: () => unknown) => unknown>} */
  const OUTER = {
    'recommend, in a candidate': (b, meanwhile) => b.recommend({ userId: 'out', candidates: spiked(9, 5, meanwhile), context: { hourOfDay: 7 } }),
    'recommend, in the context': (b, meanwhile) => b.recommend({ userId: 'out', candidates: list(5), context: { hourOfDay: 7, get dayOfWeek() { meanwhile(); return 2 } } }),
    'recommend, in the profile': (b, meanwhile) => b.recommend({ userId: 'out', candidates: list(5), profileFeatures: { completionRate30d: 0.5, get computedAt() { meanwhile(); return 'now' } } }),
    'recommend, in the mask': (b, meanwhile) => b.recommend({ userId: 'out', candidates: list(2), get mask() { meanwhile(); return [true, true] } }),
    'recommend of a set, in the holdout': (b, meanwhile) => b.recommend({ userId: 'out', candidates: prepare(list(9)), get holdout() { meanwhile(); return 0.5 } }),
    'score, in a candidate': (b, meanwhile) => b.score({ userId: 'out', candidates: spiked(9, 5, meanwhile), policy: 'linucb-v1' }),
    'scoreMany, in the last candidate': (b, meanwhile) => b.scoreMany([{ userId: 'out', candidates: list(3), policy: 'linucb-v1' }, { userId: 'out', candidates: spiked(9, 8, meanwhile), policy: 'linucb-v1' }]),
    'reward, in features': (b, meanwhile) => b.reward({ userId: 'out', tipId: 't', reward: 1, features: { isOverdue: true, taskAgeDays: 20, get priority() { meanwhile(); return /** @type {number} */ (4) } } }),
  }
  /** Numbers and times that a call in between moves. @param {unknown} answer */
  const timeless = (answer) => JSON.parse(JSON.stringify(answer, (key, value) => (['latencyUs', 'decisionId', 'exploring', 'tipId', 'index', 'agrees', 'heldOut', 'score', 'propensity'].includes(key) ? undefined : value)))

  for (const [outerName, outer] of Object.entries(OUTER)) {
    test(outerName, (t) => {
      for (const [name, meanwhile] of Object.entries(MEANWHILE)) {
        const [stateDir, aloneDir] = [emptyDirectory(t), emptyDirectory(t)]
        const [bandits, alone] = [openEngine(t, { stateDir }), openEngine(t, { stateDir: aloneDir })]
        let calls = 0
        const answer = outer(bandits, () => { calls++; meanwhile(bandits) })
        assert.deepEqual(timeless(answer), timeless(outer(alone, () => undefined)), name)
        assert.ok(calls > 0)
        const [ours, theirs] = [stateDir, aloneDir].map((dir) => decisionsIn(dir).filter(({ userId }) => userId === 'out').map(({ ids, isOverdue, taskAgeDays, priority, hourOfDay, dayOfWeek, profileFeatures }) => ({ ids, isOverdue, taskAgeDays, priority, hourOfDay, dayOfWeek, profileFeatures })))
        assert.deepEqual(ours, theirs, name)
        if (!outerName.startsWith('recommend')) assert.deepEqual(timelessStandingOf(bandits, ['out']), timelessStandingOf(alone, ['out']), name)
      }
    })
  }

  test('a call in between that native code refuses leaves the outer one as it was', (t) => {
    for (const outerName of ['score, in a candidate', 'scoreMany, in the last candidate', 'reward, in features', 'recommend, in a candidate']) {
      const [stateDir, aloneDir] = [emptyDirectory(t), emptyDirectory(t)]
      const [bandits, alone, off] = [openEngine(t, { stateDir }), openEngine(t, { stateDir: aloneDir }), openEngine(t, { log: 'off' })]
      const refused = () => assertRefuses(() => off.recommend({ userId: 'in', candidates: list(40, 'x') }), 'ERR_INVALID_ARGUMENT', 'options.log')
      const outer = /** @type {(bandits: Bandits, meanwhile: () => unknown) => unknown} */ (OUTER[outerName])
      outer(bandits, refused)
      outer(alone, () => undefined)
      assert.deepEqual(timelessStandingOf(bandits, ['out']), timelessStandingOf(alone, ['out']), outerName)
      const [ours, theirs] = [stateDir, aloneDir].map((dir) => decisionsIn(dir).map(({ taskAgeDays, priority, isOverdue }) => ({ taskAgeDays, priority, isOverdue })))
      assert.deepEqual(ours, theirs, outerName)
    }
  })
})

test('worker threads decide on one engine, and any thread learns from any decision', async (t) => {
  const stateDir = emptyDirectory(t)
  const own = openEngine(t, { stateDir, seed: undefined })
  const { decisionId } = own.recommend({ userId: 'u', candidates: list(3) })
  const after = Date.now()
  // Few enough a user that none expires.
  const script = `
    const engine = Bandits.open({ stateDir })
    const ids = []
    for (let i = 0; i < 300; i++) ids.push(engine.recommend({ userId: 'u' + i % 20, candidates: [{ id: 'a' }, { id: 'b', features: { priority: 4 } }], holdout: 0.2 }).decisionId)
    for (let i = 0; i < 300; i += 2) engine.feedback({ decisionId: ids[i], action: 'done' })
    engine.feedback({ decisionId: workerData.decisionId, reward: workerData.reward, at: workerData.after + workerData.reward })
    say(JSON.stringify(ids))
    await heard('end')
    await engine.close()
    process.exit()`
  const workers = [1, 2, 3].map((reward) => startWorker(script, { stateDir, decisionId, reward, after }, t))
  const ids = (await Promise.all(workers.map(({ said }) => said()))).flatMap((word) => /** @type {string[]} */ (JSON.parse(word)))
  assert.equal(new Set(ids).size, 900)
  // Whichever came last, the one of the greatest `at` counts.
  assert.deepEqual(POLICIES.map((policy) => own.stats('u', policy).cumulativeReward), [3, 3, 3])
  for (const id of ids) own.feedback({ decisionId: id, action: 'done', at: Date.now() + 60_000 })
  const users = Array.from({ length: 20 }, (_user, i) => `u${i}`)
  for (const policy of POLICIES) {
    const counts = users.map((userId) => own.stats(userId, policy))
    assert.equal(sum(counts.map(({ pulls }) => pulls)), 900)
    for (const { rewardCount, cumulativeReward } of counts) assert.equal(rewardCount, cumulativeReward)
  }
  for (const { say } of workers) say('end')
  assert.deepEqual(await Promise.all(workers.map(({ ended }) => ended)), [0, 0, 0])
  assert.equal(decisionsIn(stateDir).length, 901)
})

test('the functions beside the class are those of the default engine', (t) => {
  const stateDir = emptyDirectory(t)
  const { stdout, stderr, code } = run(`
    const { recommend, feedback, policies, setPolicy, stats, close } = bandits
    setPolicy('linucb-v1', { mode: 'active' })
    const { decisionId, policy } = recommend({ userId: 'u', candidates: [{ id: 'a' }] })
    const { applied } = feedback({ decisionId, action: 'done' })
    console.log(JSON.stringify([policy, applied, stats('u').rewardCount, policies()[0].mode]))
    await close()`, { stateDir, env: { STATE_DIR: stateDir } })
  assert.equal(code, 0, stderr)
  assert.deepEqual(JSON.parse(stdout), ['linucb-v1', true, 1, 'active'])
})
