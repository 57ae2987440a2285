// @ts-check
// decisions(): the recommendation log against its lines, page by page, while the log goes on.

import assert from 'node:assert/strict'
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'

import { decided, live, openWorld, request, rowOf } from '../support/insight-world.mjs'
import { segmentsIn } from '../support/log-lines.mjs'
import { assertRejects } from '../support/refusal.mjs'
import { POLICIES } from '../support/standing.mjs'
import { emptyDirectory, openEngine } from '../support/state-dir.mjs'

/** @typedef {import('@oo/bandits').Bandits} Bandits */
/** @typedef {import('@oo/bandits').DecisionQuery} DecisionQuery */

/** All pages; `between` runs after each. @param {Bandits} bandits @param {DecisionQuery} query @param {() => unknown} [between] */
async function pages(bandits, query, between) {
  const rows = []
  for (let after; ; ) {
    const { decisions, next } = await bandits.decisions({ ...query, ...(after !== undefined && { after }) })
    rows.push(...decisions)
    assert.ok(decisions.length <= (query.limit ?? 100))
    if (next === null) return rows
    assert.equal(next, decisions.at(-1)?.decisionId)
    assert.equal(decisions.length, query.limit ?? 100, 'a page that is not the last one is full')
    after = next
    await between?.()
  }
}

describe('a log of four segments, the last of which is being written', async () => {
  test('every row says what its line says, whatever is asked for', async (t) => {
    const stateDir = emptyDirectory(t)
    const { bandits } = await openWorld(t, { stateDir })
    const all = decided(stateDir)
    const [from, to] = [all[320].line.ts, all[80].line.ts]
    /** @type {[DecisionQuery, (decided: import('../support/insight-world.mjs').Decided) => boolean][]} */
    const questions = [
      [{}, () => true],
      [{ limit: 7 }, () => true],
      [{ limit: 500 }, () => true],
      [{ userId: 'user-3', limit: 5 }, ({ line }) => line['userId'] === 'user-3'],
      [{ userId: 'user' }, () => false],
      ...POLICIES.map((policy) => /** @type {any} */ ([{ policy, limit: 9 }, (/** @type {any} */ { line }) => line.policy === policy])),
      // `since` belongs to what is asked for, `until` does not.
      [{ since: from, limit: 11 }, ({ line }) => line.ts >= from],
      [{ until: new Date(to) }, ({ line }) => line.ts < to],
      [{ since: Date.parse(from), until: to, userId: 'user-7' }, ({ line }) => line.ts >= from && line.ts < to && line['userId'] === 'user-7'],
      [{ since: from, until: from }, () => false],
      [{ since: Date.now() + 1e9 }, () => false],
      [{ since: 0, until: 8.64e15 }, () => true],
      [{ until: 0 }, () => false],
    ]
    assert.equal(all.length, 400)
    for (const [query, isAsked] of questions) assert.deepEqual(await pages(bandits, query), all.filter(isAsked).map(rowOf), JSON.stringify(query))
  })

  test('a page that begins anywhere has what comes before it', async (t) => {
    const stateDir = emptyDirectory(t)
    const { bandits } = await openWorld(t, { stateDir })
    const all = decided(stateDir).map(rowOf)
    for (const place of [0, 1, 99, 100, 101, 250, 398, 399]) {
      const { decisions, next } = await bandits.decisions({ after: all[place].decisionId, limit: 3 })
      assert.deepEqual(decisions, all.slice(place + 1, place + 4), `after ${place}`)
      assert.equal(next, place + 4 < all.length ? all[place + 3].decisionId : null, `after ${place}`)
    }
    // An id need not be a decision's.
    assert.deepEqual((await bandits.decisions({ after: '4000000000.0', limit: 1 })).decisions, [all[0]])
  })
})

test('pages have neither holes nor doubles while decisions arrive', async (t) => {
  const stateDir = emptyDirectory(t)
  const { bandits, draw } = await openWorld(t, { stateDir, segments: 3 })
  const before = decided(stateDir).map(({ id }) => id)
  const rows = await pages(bandits, { limit: 13 }, () => live(bandits, 5, draw))
  assert.deepEqual(rows.map(({ decisionId }) => decisionId), before)
})

test('a reaction to an old decision is in its page', async (t) => {
  const stateDir = emptyDirectory(t)
  const { bandits } = await openWorld(t, { stateDir })
  const old = decided(stateDir).findLast(({ line }) => line['policy'] === 'egreedy-v1')
  const { decisionId } = bandits.recommend({ userId: 'new', candidates: [{ id: 'a' }] })
  const second = 1000 * Math.floor(Date.now() / 1000)
  const [before, after] = [second, second + 1000].map((ms) => new Date(ms).toISOString())
  bandits.feedback({ decisionId, action: 'done', at: String(before).replace('.000Z', '.5Z') })
  bandits.feedback({ decisionId, reward: 0.25, at: String(after).replace('.000Z', 'Z') })
  const [row] = (await bandits.decisions({ limit: 1 })).decisions
  assert.deepEqual(row.feedback, { action: null, reward: 0.25, at: after })
  assert.ok(old !== undefined)
  if (old.reaction === undefined) bandits.feedback({ decisionId: old.id, action: 'dismiss', at: Date.now() })
  const at = old.line.ts
  const page = await pages(bandits, { since: at, until: Date.parse(at) + 1, policy: 'egreedy-v1' })
  assert.deepEqual(page, decided(stateDir).filter(({ line }) => line.ts === at && line['policy'] === 'egreedy-v1').map(rowOf))
})

test('segments that are gone are not missed, damage is left out', async (t) => {
  const stateDir = emptyDirectory(t)
  const { bandits } = await openWorld(t, { stateDir })
  const [first, second, third] = segmentsIn(stateDir).map((name) => join(stateDir, 'log', name))
  const all = decided(stateDir)
  const { next } = await bandits.decisions({ limit: 150 })
  rmSync(first)
  const text = readFileSync(third, 'utf8')
  const at = text.indexOf('"kind":"decision"')
  writeFileSync(third, `${text.slice(0, at)}#${text.slice(at + 1)}`)
  const damaged = all.find(({ line }) => line.seq[0] === 3 && line.seq[1] === Number(/\[3,(\d+)\],"ts":"[^"]*",$/.exec(text.slice(0, at))?.[1]))
  assert.ok(damaged !== undefined)
  const expected = all.filter(({ line, id }) => line.seq[0] > 1 && id !== damaged.id).map(({ id }) => id)
  assert.deepEqual((await pages(bandits, {})).map(({ decisionId }) => decisionId), expected)
  assert.deepEqual((await pages(bandits, { after: String(next) })).map(({ decisionId }) => decisionId), expected.filter((id) => all.findIndex((one) => one.id === id) > 149))
  rmSync(second)
  assert.equal((await bandits.analytics()).found.segments, 2)
  assert.equal((await bandits.analytics()).found.damagedLines, 1)
})

test('a person who was erased is in no page', async (t) => {
  const stateDir = emptyDirectory(t)
  const { bandits } = await openWorld(t, { stateDir })
  await bandits.erase('user-3')
  assert.deepEqual((await bandits.decisions({ userId: 'user-3' })).decisions, [])
  const left = decided(stateDir)
  assert.ok(left.length > 300 && left.length < 400)
  assert.deepEqual(await pages(bandits, { limit: 50 }), left.map(rowOf))
})

test('without decisions there is an empty page, without a log a refusal that says so', async (t) => {
  const bandits = openEngine(t)
  assert.deepEqual(await bandits.decisions(), { decisions: [], next: null })
  bandits.score({ userId: 'u', candidates: [{ id: 'a' }] })
  await bandits.flush()
  assert.deepEqual(await bandits.decisions({ userId: 'u' }), { decisions: [], next: null })
  const off = openEngine(t, { log: 'off' })
  for (const ask of [() => off.decisions(), () => off.analytics(), () => off.dataQuality(), () => off.simulate({ policy: 'linucb-v1' })]) {
    await assertRejects(ask, 'ERR_INVALID_ARGUMENT', 'options.log')
  }
})

test('latency is that of native code, and part of what recommend() tells', async (t) => {
  const bandits = openEngine(t)
  const seed = 3
  for (let i = 0; i < 50; i++) bandits.recommend(request({ next: () => 0.5, below: () => seed, happens: () => false }, i))
  const told = bandits.recommend({ userId: 'u', candidates: [{ id: 'a' }, { id: 'b' }] })
  const [row] = (await bandits.decisions({ limit: 1 })).decisions
  assert.equal(row.decisionId, told.decisionId)
  assert.ok(row.latencyUs !== null && row.latencyUs > 0 && row.latencyUs < told.latencyUs, `${row.latencyUs} of ${told.latencyUs}`)
})
