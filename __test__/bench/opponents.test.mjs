// @ts-check
// The opponents of the bench answer what the service answered (recorded in the golden files), refuse what the package
// refuses, and remember what the package remembers: they are fast at the same job.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { OPPONENTS } from './engines.mjs'

const golden = ['parity-1.json', 'parity-2.json'].map((name) => new URL(`../fixtures/golden/${name}`, import.meta.url))

/** @param {number} actual @param {number} expected @param {string} where */
function close(actual, expected, where) {
  assert.ok(Math.abs(actual - expected) <= 1e-9 * Math.max(1, Math.abs(expected)), `${where}: ${actual} instead of ${expected}`)
}

/** @param {Record<string, any>} object snake_case keys become camelCase, at every depth @returns {any} */
function camel(object) {
  if (Array.isArray(object)) return object.map(camel)
  if (typeof object !== 'object' || object === null) return object
  const rename = (/** @type {string} */ key) => key.replace(/_(\w)/g, (_, letter) => letter.toUpperCase())
  return Object.fromEntries(Object.entries(object).map(([key, value]) => [rename(key), camel(value)]))
}

/** @param {any} engine @param {any} op @param {string} where */
function replayScore(engine, op, where) {
  const request = { ...camel(op.request), policy: op.policy }
  const result = engine.score(request)
  const scores = op.candidate_scores
  close(result.score, scores[result.index], where)
  assert.equal(result.tipId, request.candidates[result.index].id, where)
  assert.equal(result.policy, op.policy, where)
  const best = Math.max(...scores)
  if (!result.exploring) close(scores[result.index], best, where)
  if (!result.exploring && !op.exploring && scores.filter((/** @type {number} */ s) => best - s < 1e-9).length === 1)
    assert.equal(result.tipId, op.response.tip_id, where)
  const share = 0.1 / scores.length
  const allowed = op.policy === 'linucb-v1' ? [1] : [share, share + 0.9]
  assert.ok(allowed.some((value) => Math.abs(value - result.propensity) < 1e-12), `${where}: propensity ${result.propensity}`)
  if (op.policy !== 'linucb-v1' && !result.exploring) close(result.propensity, share + 0.9, where)
}

/** @param {any} engine @param {any} op @param {string} userId @param {boolean} full @param {string} where */
function replay(engine, op, userId, full, where) {
  if (op.op === 'score') return replayScore(engine, op, where)
  if (op.op === 'reward') return assert.deepEqual(engine.reward({ ...camel(op.request), policy: op.policy }), { ok: true })
  if (op.op === 'reset') return engine.reset(userId)
  const stats = engine.stats(userId, op.policy)
  op.response.theta.forEach((/** @type {number} */ weight, /** @type {number} */ i) => close(stats.theta[i], weight, `${where} theta[${i}]`))
  if (!full) return
  assert.equal(stats.pulls, op.response.pulls, where)
  assert.equal(stats.rewardCount, op.response.reward_count, where)
  close(stats.cumulativeReward, op.response.cumulative_reward, where)
}

const candidate = { id: 'tip', content: 'do it', source: 'todoist', sourceId: null, features: { isOverdue: true, taskAgeDays: 3, priority: 2 } }
const good = { userId: 'user', candidates: [candidate], context: { hourOfDay: 8, dayOfWeek: 1 }, policy: 'egreedy-v2' }

/** @type {[string, any][]} what is wrong and the request that has it wrong */
const wrongScores = [
  ['userId', { ...good, userId: '' }],
  ['userId', { ...good, userId: 'a\0b' }],
  ['userId', { ...good, userId: '\ud800' }],
  ['userId', { ...good, userId: 'u'.repeat(513) }],
  ['userId', { ...good, userId: 7 }],
  ['candidates', { ...good, candidates: [] }],
  ['candidates', { ...good, candidates: 'tips' }],
  ['candidates', { ...good, candidates: Array.from({ length: 100_001 }, () => candidate) }],
  ['candidates[1]', { ...good, candidates: [candidate, null] }],
  ['candidates[1].id', { ...good, candidates: [candidate, { ...candidate, id: '\udfff' }] }],
  ['candidates[0].content', { ...good, candidates: [{ ...candidate, content: null }] }],
  ['candidates[0].source', { ...good, candidates: [{ ...candidate, source: 1 }] }],
  ['candidates[0].sourceId', { ...good, candidates: [{ ...candidate, sourceId: 1 }] }],
  ['candidates[0].promptVersion', { ...good, candidates: [{ ...candidate, promptVersion: null }] }],
  ['candidates[0].features', { ...good, candidates: [{ ...candidate, features: null }] }],
  ['candidates[0].features.isOverdue', { ...good, candidates: [{ ...candidate, features: { isOverdue: 1 } }] }],
  ['candidates[0].features.taskAgeDays', { ...good, candidates: [{ ...candidate, features: { taskAgeDays: NaN } }] }],
  ['candidates[0].features.taskAgeDays', { ...good, candidates: [{ ...candidate, features: { taskAgeDays: '3' } }] }],
  ['candidates[0].features.priority', { ...good, candidates: [{ ...candidate, features: { priority: 5 } }] }],
  ['candidates[0].features.priority', { ...good, candidates: [{ ...candidate, features: { priority: 1.5 } }] }],
  ['context', { ...good, context: null }],
  ['context.hourOfDay', { ...good, context: { hourOfDay: 24 } }],
  ['context.dayOfWeek', { ...good, context: { dayOfWeek: -1 } }],
  ['profileFeatures.preferredHour', { ...good, profileFeatures: { preferredHour: Infinity } }],
  ['profileFeatures.computedAt', { ...good, profileFeatures: { computedAt: 5 } }],
  ['policy', { ...good, policy: 'thompson' }],
]

for (const { name, full, create } of OPPONENTS) {
  test(`${name} answers as the golden transcripts`, async () => {
    for (const url of golden) {
      for (const { user_id: userId, ops } of JSON.parse(readFileSync(url, 'utf8')).transcripts) {
        const engine = await create('')
        for (const [i, op] of ops.entries()) replay(engine, op, userId, full, `${userId} op ${i} (${op.op} ${op.policy})`)
      }
    }
  })

  test(`${name} explores one time in ten, uniformly`, async () => {
    const engine = await create('')
    const candidates = Array.from({ length: 4 }, (_, i) => ({ id: `tip${i}`, features: { priority: i + 1 } }))
    engine.reward({ userId: 'user', tipId: 'tip3', reward: 1, features: { priority: 4 } })
    const drawn = [0, 0, 0, 0]
    for (let i = 0; i < 40_000; i++) {
      const result = engine.score({ userId: 'user', candidates })
      if (result.exploring) drawn[result.index]++
      else assert.equal(result.index, 3)
    }
    for (const count of drawn) assert.ok(Math.abs(count - 1000) < 150, String(drawn))
  })

  if (!full) continue
  test(`${name} refuses what the package refuses, and names it`, async () => {
    const engine = await create('')
    for (const known of [false, true]) {
      if (known) engine.score(good)
      for (const [path, request] of wrongScores) assert.throws(() => engine.score(request), { message: new RegExp(`^${path.replace(/[[\].]/g, '\\$&')} must be`) }, path)
    }
    assert.equal(engine.stats('user', 'egreedy-v2').pulls, 1)
    const reward = { userId: 'user', tipId: 'tip', reward: 1, features: { hourOfDay: 3 } }
    assert.throws(() => engine.reward({ ...reward, reward: NaN }), /^Error: reward must be/)
    assert.throws(() => engine.reward({ ...reward, features: { hourOfDay: 3.5 } }), /^Error: features.hourOfDay must be/)
    assert.equal(engine.stats('user').rewardCount, 0)
  })

  test(`${name} remembers the last 100 vectors`, async () => {
    const engine = await create('')
    for (let i = 0; i < 130; i++) engine.score({ ...good, candidates: [{ ...candidate, id: `tip${i}` }], context: { hourOfDay: i % 24, dayOfWeek: i % 7 } })
    const { history } = engine.features('user')
    assert.equal(history.length, 100)
    const { time, score, exploring } = history[0]
    assert.ok(Math.abs(Date.now() - time) < 60_000)
    assert.deepEqual(history[0], { time, score, exploring, policy: 'egreedy-v2', tipId: 'tip30', hourOfDay: 30 % 24, dayOfWeek: 30 % 7, isOverdue: true, taskAgeDays: 3, priority: 2 })
    assert.equal(history[99].tipId, 'tip129')
  })
}
