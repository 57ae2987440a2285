// @ts-check
// A service like services/api, called over HTTP by thirty people and an operator: decisions with shadow policies, reactions that come
// twice, are revised, or are to nothing known, a switch of policies, a share of users, a restart in the middle. What every read says is
// held against what the test itself did.

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'

import { random } from '../bench/workload.mjs'
import { startLlmServer, tips } from '../support/llm-server.mjs'
import { POLICIES } from '../support/standing.mjs'
import { emptyDirectory, openEngine } from '../support/state-dir.mjs'
import { ADMIN } from './admin.mjs'
import { RECOMMENDER } from './recommender.mjs'
import { serve } from './server.mjs'
import { STATUSES } from './statuses.mjs'
import { evaluated, WhatHappened, WORTH } from './what-happened.mjs'

/** @typedef {import('@oo/bandits').PolicyName} PolicyName */
/** @typedef {import('@oo/bandits').Action} Action */
/** @typedef {import('./what-happened.mjs').Decided} Decided */
/** @typedef {import('../support/state-dir.mjs').TestContext} TestContext */

const PEOPLE = Array.from({ length: 30 }, (_person, i) => `person ${i}/ä`)
const ACTIONS = /** @type {Action[]} */ (Object.keys(WORTH))
/** Nothing here takes so long. */
const MINUTE_MS = 60_000
const DAY_MS = 24 * 3600 * 1000
const IN_DAYS = 2 * DAY_MS

/** A service on a directory, and how it is called. @param {TestContext} t @param {import('@oo/bandits').BanditsOptions} options */
async function start(t, options) {
  const bandits = openEngine(t, options)
  const server = serve(bandits, { ...RECOMMENDER, ...ADMIN })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => server.close())
  const { port } = /** @type {import('node:net').AddressInfo} */ (server.address())
  /** @param {string} method @param {string} path @param {unknown} [body] @returns {Promise<{ status: number, body: any }>} */
  const call = async (method, path, body) => {
    const response = await fetch(`http://127.0.0.1:${port}${path}`, { method, ...(body !== undefined && { body: JSON.stringify(body) }) })
    const text = await response.text()
    return { status: response.status, body: text === '' ? undefined : JSON.parse(text) }
  }
  /** The same where it has to succeed. @param {string} method @param {string} path @param {unknown} [body] */
  const ok = async (method, path, body) => {
    const answer = await call(method, path, body)
    assert.ok(answer.status === 200 || answer.status === 204, `${method} ${path}: ${answer.status} ${JSON.stringify(answer.body)}`)
    return answer.body
  }
  /** All of a list in pages. @param {string} path @param {'decisions' | 'users'} what @param {number} limit @returns {Promise<any[]>} */
  const all = async (path, what, limit) => {
    const rows = []
    for (let after = ''; ; ) {
      const page = await ok('GET', `${path}${path.includes('?') ? '&' : '?'}limit=${limit}${after}`)
      rows.push(...page[what])
      assert.ok(page[what].length <= limit)
      if (page.next === null) return rows
      after = `&after=${encodeURIComponent(page.next)}`
    }
  }
  const stop = async () => {
    server.closeAllConnections()
    server.close()
    await bandits.close()
  }
  return { bandits, call, ok, all, stop }
}

/** @typedef {Awaited<ReturnType<typeof start>>} Service */

/** Everybody asks for a tip. @param {Service} service @param {WhatHappened} happened @param {() => number} rng @param {object} [more] */
async function round({ ok }, happened, rng, more = {}) {
  /** @type {Decided[]} */
  const made = []
  for (const userId of PEOPLE) {
    const candidates = Array.from({ length: 3 + Math.floor(rng() * 4) }, (_candidate, i) => ({ id: `todo-${happened.decided.length}-${i}`, content: 'Something', source: 'todoist', features: { isOverdue: rng() < 0.3, taskAgeDays: Math.floor(rng() * 30), priority: 1 + Math.floor(rng() * 4) } }))
    const computedAt = new Date(Date.now() - (rng() < 0.3 ? IN_DAYS : 1000)).toISOString()
    const profileFeatures = rng() < 0.3 ? null : { completionRate30d: rng(), dismissRate30d: null, computedAt }
    const request = { userId, candidates, context: { hourOfDay: Math.floor(rng() * 24), dayOfWeek: Math.floor(rng() * 7) }, profileFeatures, holdout: 0.2, ...(rng() < 0.2 && { mask: candidates.map((_candidate, i) => i > 0) }), ...more }
    const answer = await ok('POST', '/recommend', request)
    assert.equal(answer.tipId, candidates[answer.index]?.id)
    assert.ok(!('mask' in request && answer.index === 0), 'a masked tip is shown')
    made.push(happened.decide(request, answer))
  }
  return made
}

/**
 * A person reacts; what is answered has to follow from what was known before.
 * @param {Service} service @param {Decided} decided @param {Action} action @param {number} [at] @param {PolicyName[]} [learning] those that learn from the first reaction
 */
async function react({ ok }, decided, action, at, learning = POLICIES) {
  const { final, decisionId } = decided
  const reward = WORTH[action]
  const isSame = final?.reward === reward && (at === undefined || at === final.at)
  const applied = final === undefined || (!isSame && (at ?? Date.now()) >= (final.at ?? 0))
  const answer = await ok('POST', '/feedback', { decisionId, action, ...(at !== undefined && { at: new Date(at).toISOString() }) })
  if (final === undefined) decided.learning = learning
  assert.deepEqual(answer, { ok: true, applied, revision: final !== undefined, policies: decided.learning })
  if (applied) decided.final = { action, reward, at }
}

/** Most react to what they were shown: once, twice, later otherwise, or late and out of order. @param {Service} service @param {Decided[]} decided @param {() => number} rng @param {PolicyName[]} [learning] */
async function reactions(service, decided, rng, learning) {
  const one = () => /** @type {Action} */ (ACTIONS[Math.floor(rng() * ACTIONS.length)])
  for (const decision of decided) {
    const at = Date.now()
    const how = rng()
    if (how < 0.25) continue
    if (how < 0.4) {
      const action = one()
      for (let i = 0; i < 3; i++) await react(service, decision, action, undefined, learning)
    } else {
      await react(service, decision, one(), at, learning)
      if (how > 0.6) await react(service, decision, one(), at + MINUTE_MS)
      if (how > 0.8) await react(service, decision, one(), at - MINUTE_MS)
      if (how > 0.9) await react(service, decision, /** @type {Action} */ (decision.final?.action), decision.final?.at)
    }
  }
}

/** Where everybody stands. @param {Service} service @param {WhatHappened} happened */
async function assertStandings({ ok }, happened) {
  for (const userId of PEOPLE) {
    for (const policy of POLICIES) {
      const { pulls, rewardCount, cumulativeReward } = await ok('GET', `/admin/users/${encodeURIComponent(userId)}/stats?policy=${policy}`)
      assert.deepEqual({ pulls, rewardCount, cumulativeReward }, happened.counts(userId, policy), `${userId} ${policy}`)
    }
    const { history } = await ok('GET', `/admin/users/${encodeURIComponent(userId)}/features`)
    const expected = happened.of(userId).flatMap(({ policy, shadows, request, index, tipId, heldOut }) => [
      // What the deciding policy chose is not told where the holdout showed something else.
      { policy, tipId: heldOut ? undefined : tipId, index: heldOut ? undefined : index, request },
      ...shadows.map((shadow) => ({ policy: shadow.policy, tipId: shadow.tipId, index: request.candidates.findIndex(({ id }) => id === shadow.tipId), request })),
    ]).slice(-100)
    assert.equal(history.length, expected.length, userId)
    for (const [i, { policy, tipId, index, request }] of expected.entries()) {
      assert.deepEqual([history[i].policy, tipId ?? history[i].tipId, history[i].features.hourOfDay], [policy, history[i].tipId, request.context?.hourOfDay])
      if (index !== undefined) assert.equal(history[i].features.taskAgeDays, request.candidates[index]?.features?.taskAgeDays)
    }
  }
}

/** The recommendation log, all of it and in parts. @param {Service} service @param {WhatHappened} happened */
async function assertDecisions({ ok, all }, happened) {
  const rows = await all('/admin/decisions', 'decisions', 50)
  const expected = happened.decided.toReversed()
  assert.deepEqual(rows.map(({ decisionId }) => decisionId), expected.map(({ decisionId }) => decisionId))
  for (const [i, { request, final, shadows, ...decided }] of expected.entries()) {
    const { at: _at, latencyUs, score, feedback, features, shadows: seen, ...row } = rows[i]
    const { decisionId, tipId, policy, assigned, propensity, exploring, heldOut, index } = decided
    const candidate = request.candidates[index]
    assert.deepEqual(row, { decisionId, userId: request.userId, tipId, policy, assigned, propensity, exploring, heldOut, promptVersion: candidate?.promptVersion ?? null, candidates: request.candidates.length })
    assert.ok(score === decided.score || (heldOut && score === null), decisionId)
    assert.ok(latencyUs > 0 && latencyUs < 1e6, `${latencyUs} µs`)
    assert.deepEqual(features, { ...request.context, isOverdue: false, taskAgeDays: 0, priority: 1, ...candidate?.features })
    assert.deepEqual(seen, shadows.map(({ propensity: _propensity, ...shadow }) => shadow))
    if (final === undefined) assert.equal(feedback, null)
    else assert.deepEqual(feedback, { action: final.action, reward: final.reward, at: final.at === undefined ? feedback?.at : new Date(final.at).toISOString() })
  }
  const [userId, policy] = [String(PEOPLE[3]), expected[0]?.policy]
  const ids = (/** @type {any[]} */ some) => some.map(({ decisionId }) => decisionId)
  assert.deepEqual(ids(await all(`/admin/decisions?userId=${encodeURIComponent(userId)}`, 'decisions', 3)), ids(expected.filter(({ request }) => request.userId === userId)))
  assert.deepEqual(ids(await all(`/admin/decisions?policy=${policy}`, 'decisions', 500)), ids(expected.filter((decided) => decided.policy === policy)))
  const middle = rows[Math.floor(rows.length / 2)].at
  assert.deepEqual(ids(await all(`/admin/decisions?since=${middle}`, 'decisions', 500)), ids(rows.filter(({ at }) => at >= middle)))
  assert.deepEqual(ids(await all(`/admin/decisions?until=${middle}`, 'decisions', 500)), ids(rows.filter(({ at }) => at < middle)))
  assert.equal((await ok('GET', '/admin/decisions')).decisions.length, Math.min(100, rows.length))
  return rows
}

/** @param {any} actual @param {ReturnType<WhatHappened['summary']>} expected @param {string} what */
function assertSummary(actual, expected, what) {
  const { decisions, feedback, actions, meanReward, ci95 } = actual
  assert.deepEqual({ decisions, feedback, actions }, { decisions: expected.decisions, feedback: expected.feedback, actions: expected.actions }, what)
  if (expected.meanReward === null) assert.equal(meanReward, null, what)
  else assert.ok(Math.abs(meanReward - expected.meanReward) < 1e-12, `${what}: ${meanReward} instead of ${expected.meanReward}`)
  if (expected.feedback > 1) assert.ok(ci95[0] <= meanReward && meanReward <= ci95[1], what)
  else assert.equal(ci95, null, what)
}

/** @param {Service} service @param {WhatHappened} happened @param {any[]} rows the recommendation log */
async function assertAnalytics({ ok }, happened, rows) {
  const days = new Map(rows.map(({ decisionId, at }) => [decisionId, at.slice(0, 10)]))
  /** @type {Record<string, (decided: Decided) => string | null | undefined>} */
  const keys = {
    day: ({ decisionId }) => days.get(decisionId),
    policy: ({ policy }) => policy,
    promptVersion: ({ request, index }) => request.candidates[index]?.promptVersion ?? null,
    action: ({ final }) => (final === undefined ? undefined : final.action),
  }
  for (const [by, key] of Object.entries(keys)) {
    const { groups, totals, heldOut, policies } = await ok('GET', `/admin/analytics?by=${by}`)
    const expected = new Set(happened.decided.map(key).filter((one) => one !== undefined))
    assert.deepEqual(new Set(groups.map((/** @type {any} */ group) => group.key)), expected, by)
    assert.equal(groups.length, expected.size)
    for (const group of groups) assertSummary(group, happened.summary((decided) => key(decided) === group.key), `${by} ${group.key}`)
    assertSummary(totals, happened.summary(), 'all')
    assertSummary(heldOut, happened.summary((decided) => decided.heldOut), 'the holdout')
    for (const of of policies) {
      assertSummary(of.shown, happened.summary((decided) => decided.policy === of.policy && !decided.heldOut), of.policy)
      assert.equal(of.evaluated, happened.decided.filter((decided) => evaluated(decided).includes(of.policy)).length)
      const shadows = happened.decided.flatMap((decided) => decided.shadows.filter((shadow) => shadow.policy === of.policy))
      const agreed = shadows.filter(({ agrees }) => agrees).length
      assert.deepEqual(of.shadow, shadows.length === 0 ? null : { decisions: shadows.length, agreed, share: agreed / shadows.length })
      assert.ok(of.estimate === null || (of.estimate.effectiveSampleSize <= of.estimate.samples + 1e-9 && Math.abs(of.estimate.mean) <= 1), JSON.stringify(of.estimate))
    }
    assert.deepEqual(policies.map((/** @type {any} */ of) => of.policy).toSorted(), POLICIES.toSorted())
  }
}

/** @param {Service} service @param {WhatHappened} happened */
async function assertQuality({ ok }, happened) {
  const quality = await ok('GET', '/admin/data-quality')
  const { decisions, feedback } = happened.summary()
  assert.deepEqual([quality.decisions, quality.feedback, quality.joinRate], [decisions, feedback, feedback / decisions])
  const without = happened.decided.filter(({ request }) => request.profileFeatures === null).length
  const stale = happened.decided.filter(({ request }) => Date.parse(request.profileFeatures?.computedAt ?? '') < Date.now() - DAY_MS).length
  for (const [name, count] of Object.entries({ withoutProfile: without, withoutTime: 0, stale })) assert.equal(quality.profiles[name], count, name)
  assert.equal(quality.days.reduce((/** @type {number} */ total, /** @type {any} */ day) => total + day.decisions, 0), decisions)
  assert.deepEqual(quality.days.map((/** @type {any} */ { gaps, droppedPulls }) => gaps + droppedPulls), quality.days.map(() => 0))
  const missing = Object.fromEntries(quality.features.map((/** @type {any} */ feature) => [feature.feature, feature.missing]))
  const dismissals = Object.entries(missing).find(([feature]) => /dismiss/i.test(feature))
  assert.equal(dismissals?.[1], 1, JSON.stringify(missing))
  assert.equal(quality.holdout.observed, happened.decided.filter(({ heldOut }) => heldOut).length)
  assert.ok(Math.abs(quality.holdout.z) < 4, JSON.stringify(quality.holdout))
  for (const { policy, greedy, exploring } of quality.calibration) assert.ok(Math.abs(greedy.z ?? 0) < 4 && Math.abs(exploring.z ?? 0) < 4, JSON.stringify([policy, greedy, exploring]))
}

/** @param {Service} service @param {WhatHappened} happened */
async function assertUsers({ all }, happened) {
  const users = await all('/admin/users', 'users', 7)
  assert.deepEqual(users.map(({ userId }) => userId).toSorted(), happened.users.toSorted())
  for (const { userId, policies } of users) {
    for (const { policy, pulls, rewardCount, cumulativeReward } of policies) assert.deepEqual({ pulls, rewardCount, cumulativeReward }, happened.counts(userId, policy), `${userId} ${policy}`)
  }
}

/** Every read. @param {Service} service @param {WhatHappened} happened */
async function assertReads(service, happened) {
  await assertStandings(service, happened)
  const rows = await assertDecisions(service, happened)
  await assertAnalytics(service, happened, rows)
  await assertQuality(service, happened)
  await assertUsers(service, happened)
  const health = await service.ok('GET', '/admin/health')
  assert.deepEqual([health.ok, health.log.failing], [true, false])
}

test('a service is used, operated and restarted, and its reads say what was done', async (t) => {
  const rng = random(6)
  const happened = new WhatHappened()
  const stateDir = emptyDirectory(t)
  const options = { stateDir, seed: 3 }
  let service = await start(t, options)

  // Two shadows beside the active one.
  for (let i = 0; i < 3; i++) await reactions(service, await round(service, happened, rng), rng)
  assert.ok(happened.decided.every(({ policy, shadows, assigned }) => policy === 'egreedy-v1' && shadows.length === 2 && assigned === 'default'))
  await assertReads(service, happened)

  // Reactions to nothing.
  const { decisionId } = /** @type {Decided} */ (happened.decided[0])
  for (const [body, status, code] of /** @type {[object, number, string][]} */ ([
    [{ decisionId: '1.99999999', action: 'done' }, 404, 'ERR_UNKNOWN_DECISION'], [{ decisionId: '77.1', action: 'done' }, 404, 'ERR_UNKNOWN_DECISION'],
    [{ decisionId: 'x', action: 'done' }, 400, 'ERR_INVALID_ARGUMENT'], [{ decisionId, action: 'liked' }, 400, 'ERR_INVALID_ARGUMENT'], [{ decisionId }, 400, 'ERR_INVALID_ARGUMENT'],
  ])) {
    const answer = await service.call('POST', '/feedback', body)
    assert.deepEqual([answer.status, answer.body.code, answer.body.retryable], [status, code, false], JSON.stringify(body))
  }

  // Another policy decides; nobody decides and is off.
  const roles = await service.ok('PUT', '/admin/policies/linucb-v1', { mode: 'active' })
  assert.deepEqual(roles.map((/** @type {any} */ role) => [role.name, role.mode]), [['linucb-v1', 'active'], ['egreedy-v1', 'shadow'], ['egreedy-v2', 'shadow']])
  assert.equal((await service.call('PUT', '/admin/policies/linucb-v1', { mode: 'off' })).status, 400)
  const switched = await round(service, happened, rng)
  assert.ok(switched.every(({ policy, assigned }) => policy === 'linucb-v1' && assigned === 'registry'))
  // People react to what an earlier policy had shown, too.
  await reactions(service, [...switched, ...happened.decided.slice(0, 20)], rng)

  // A share of the people, and one person, have another one.
  await service.ok('PUT', '/admin/policies/egreedy-v2', { mode: 'active', share: 0.5, salt: 'autumn' })
  await service.ok('PUT', '/admin/policies/egreedy-v1', { mode: 'active', userId: PEOPLE[3] })
  const before = await round(service, happened, rng)
  await reactions(service, before, rng)
  const share = before.filter(({ policy }) => policy === 'egreedy-v2').length
  assert.ok(share > 5 && share < 25, `${share} of 30`)
  for (const [i, { policy, assigned }] of before.entries()) assert.equal(assigned, i === 3 ? 'user' : policy === 'egreedy-v2' ? 'share' : 'registry')

  // A restart.
  const policies = await service.ok('GET', '/admin/policies')
  await service.stop()
  service = await start(t, options)
  assert.deepEqual(await service.ok('GET', '/admin/policies'), policies)
  await assertReads(service, happened)
  const after = await round(service, happened, rng)
  assert.deepEqual(after.map(({ policy, assigned }) => [policy, assigned]), before.map(({ policy, assigned }) => [policy, assigned]))
  await reactions(service, [...after, ...before, ...happened.decided.slice(0, 30)], rng)

  // What is off learns no more, also from what it had chosen itself.
  await service.ok('PUT', '/admin/policies/egreedy-v2', { mode: 'off' })
  const without = await round(service, happened, rng)
  assert.ok(without.every((decided) => !evaluated(decided).includes('egreedy-v2')))
  await reactions(service, without, rng, ['linucb-v1', 'egreedy-v1'])
  await service.ok('PUT', '/admin/policies/egreedy-v2', { mode: 'default' })
  await assertReads(service, happened)

  // What another policy would have earned, or why that cannot be said.
  const simulated = await service.ok('POST', '/admin/simulate', { policy: 'egreedy-v2', minEffective: 5 })
  assert.equal(simulated.decisions, happened.decided.length)
  assert.ok(simulated.agreed <= simulated.decisions && simulated.accepted <= simulated.randomised && simulated.value.effectiveSampleSize >= 5, JSON.stringify(simulated))
  assert.deepEqual((await service.call('POST', '/admin/simulate', { policy: 'egreedy-v2', minEffective: 1e6 })).body.code, 'ERR_INSUFFICIENT_DATA')

  // One person starts again, and one leaves.
  const [again, gone] = /** @type {[string, string]} */ ([PEOPLE[5], PEOPLE[7]])
  const [old, theirs] = [again, gone].map((userId) => /** @type {Decided} */ (happened.of(userId).at(-1)))
  await service.ok('POST', `/admin/users/${encodeURIComponent(again)}/reset`)
  happened.reset(again)
  assert.equal((await service.call('POST', '/feedback', { decisionId: old?.decisionId, action: 'done' })).status, 404)
  assert.equal((await service.call('DELETE', `/admin/users/${encodeURIComponent(gone)}`)).status, 204)
  happened.erase(gone)
  assert.equal((await service.call('POST', '/feedback', { decisionId: theirs?.decisionId, action: 'done' })).status, 404)
  await assertReads(service, happened)
  await service.stop()
})

test('tips that a model has written are recommended, and known by their prompt version', async (t) => {
  const llm = await startLlmServer(t, tips([{ id: 'walk', content: 'Take a walk' }, { id: 'tea', content: 'Make some tea' }]))
  const service = await start(t, { stateDir: emptyDirectory(t), litellm: { url: llm.url } })
  const { candidates, promptVersion } = await service.ok('POST', '/admin/generate', { userId: 'u', context: { hourOfDay: 9 }, n: 2 })
  const happened = new WhatHappened()
  const request = { userId: 'u', candidates, context: { hourOfDay: 9, dayOfWeek: 1 } }
  const decided = happened.decide(request, await service.ok('POST', '/recommend', request))
  await react(service, decided, 'done')
  await assertAnalytics(service, happened, await assertDecisions(service, happened))
  assert.deepEqual((await service.ok('GET', '/admin/analytics?by=promptVersion')).groups.map((/** @type {any} */ group) => group.key), [promptVersion])
  await llm.close()
  const answer = await service.call('POST', '/admin/generate', { userId: 'u' })
  assert.deepEqual([answer.status, answer.body.code, answer.body.retryable], [503, 'ERR_LLM_UNREACHABLE', true])
})

test('what is wrong is answered with its status, and names what is wrong', async (t) => {
  const service = await start(t, { stateDir: emptyDirectory(t) })
  for (const [method, path, body, status, said] of /** @type {[string, string, unknown, number, RegExp][]} */ ([
    ['POST', '/recommend', { userId: 'u', candidates: [] }, 400, /ERR_NO_CANDIDATES/],
    ['POST', '/recommend', { userId: 'u', candidates: [{ id: 'a', features: { priority: 9 } }] }, 400, /candidates\[0\]\.features\.priority/],
    ['POST', '/recommend', undefined, 400, /request/],
    ['POST', '/recommend', { userId: '', candidates: [{ id: 'a' }] }, 400, /userId/],
    ['PUT', '/admin/policies/thompson', { mode: 'active' }, 400, /ERR_UNKNOWN_POLICY/],
    ['PUT', '/admin/policies/linucb-v1', { mode: 'loud' }, 400, /mode/],
    ['GET', '/admin/users/u/stats?policy=thompson', undefined, 400, /ERR_UNKNOWN_POLICY/],
    ['GET', '/admin/decisions?limit=many', undefined, 400, /limit/],
    ['GET', '/admin/decisions?since=yesterday', undefined, 400, /since/],
    ['GET', '/admin/analytics?by=mood', undefined, 400, /by/],
    ['POST', '/admin/simulate', { policy: 'egreedy-v2' }, 409, /ERR_INSUFFICIENT_DATA/],
    ['POST', '/admin/generate', { userId: 'u', promptVersion: 'v99' }, 400, /ERR_UNKNOWN_PROMPT_VERSION/],
    ['GET', '/nothing', undefined, 404, /no GET \/nothing/],
    ['GET', '/admin/users/%ff/stats', undefined, 400, /UTF-8/],
  ])) {
    const answer = await service.call(method, path, body)
    assert.deepEqual([answer.status, said.test(JSON.stringify(answer.body))], [status, true], `${method} ${path}: ${answer.status} ${JSON.stringify(answer.body)}`)
  }
  await service.bandits.close()
  const closed = await service.call('POST', '/recommend', { userId: 'u', candidates: [{ id: 'a' }] })
  assert.deepEqual([closed.status, closed.body.code], [503, 'ERR_CLOSED'])
})

test('every code has a status', () => {
  const contract = readFileSync(new URL('../../index.d.ts', import.meta.url), 'utf8')
  const codes = /export type BanditErrorCode =(.*?)\n\n/s.exec(contract)?.[1]?.match(/(?<=\| ')ERR_\w+(?=')/g)
  assert.deepEqual(Object.keys(STATUSES).toSorted(), codes?.toSorted())
})
