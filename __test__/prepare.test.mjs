// @ts-check
// prepare(): a set is as good as the array that it was made of, forever.

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { Bandits, CandidateSet, prepare } from '@oo/bandits'
import { run } from './support/child.mjs'
import { eventsIn } from './support/log-lines.mjs'
import { assertRefuses } from './support/refusal.mjs'
import { POLICIES, rewardOnce, timelessStandingOf } from './support/standing.mjs'
import { emptyDirectory, openEngine } from './support/state-dir.mjs'

const list = (/** @type {number} */ n) => Array.from({ length: n }, (_entry, i) => ({ id: `c${i}`, features: { priority: 1 + (i % 4), taskAgeDays: (i * 7) % 40, isOverdue: i % 3 === 0 } }))

test('a set gives the results of the array', (t) => {
  const [sets, arrays] = [openEngine(t), openEngine(t)]
  for (const n of [1, 2, 7, 8, 9, 100, 1001, 30_000]) {
    const candidates = list(n)
    const set = sets.prepare(candidates)
    for (const policy of POLICIES) {
      for (let i = 0; i < 30; i++) {
        for (const bandits of [sets, arrays]) rewardOnce(bandits, 'u', { policy, reward: Math.sin(i), features: { priority: 1 + (i % 4), isOverdue: i % 2 === 0, taskAgeDays: i } })
        const rest = { userId: 'u', policy, context: { hourOfDay: i % 24, dayOfWeek: i % 7 }, profileFeatures: { preferredHour: i } }
        assert.deepEqual(sets.score({ ...rest, candidates: set }), arrays.score({ ...rest, candidates }))
      }
    }
  }
  assert.deepEqual(timelessStandingOf(sets, ['u']), timelessStandingOf(arrays, ['u']))
})

test('sets and arrays mix in a batch', (t) => {
  const [mixed, arrays] = [openEngine(t), openEngine(t)]
  const sizes = [3, 1, 50, 2000, 4, 4]
  const requests = (/** @type {boolean} */ withSets) => sizes.map((n, i) => ({ userId: `u${i % 2}`, candidates: withSets && i % 2 === 0 ? prepare(list(n)) : list(n) }))
  assert.deepEqual(mixed.scoreMany(requests(true)), arrays.scoreMany(requests(false)))
  assert.deepEqual(timelessStandingOf(mixed, ['u0', 'u1']), timelessStandingOf(arrays, ['u0', 'u1']))
})

test('history and log have of a set what they would have of the array', async (t) => {
  const ids = ['a', 'L'.repeat(512), '名前', '😀'.repeat(256), 'a\u0000b', 'ü', '__proto__', '"quoted" \\ id', 'b', 'é'.repeat(300)]
  const candidates = ids.map((id, i) => ({ id, features: { priority: 1 + (i % 4), taskAgeDays: i }, ...(i % 3 === 0 ? {} : { promptVersion: i === 4 ? '' : `v${i} ✓` }) }))
  const logs = []
  for (const of of [candidates, prepare(candidates)]) {
    const stateDir = emptyDirectory(t)
    const bandits = openEngine(t, { stateDir })
    for (let i = 0; i < 120; i++) {
      const profileFeatures = [undefined, null, { preferredHour: 3 }, { computedAt: `${i} ✓` }][i % 4]
      const { tipId, index } = bandits.score({ userId: `u${i % 3}`, candidates: of, policy: POLICIES[i % 3], context: { hourOfDay: i % 24 }, profileFeatures })
      assert.equal(tipId, ids[index])
      bandits.reward({ userId: `u${i % 3}`, tipId, reward: index % 2, features: { priority: 2, taskAgeDays: index }, policy: POLICIES[i % 3] })
      if (i % 10 === 0) bandits.recommend({ userId: 'v', candidates: of, mask: ids.map((_id, k) => (k + i) % 3 > 0) })
    }
    await bandits.close()
    const events = eventsIn(stateDir).map(({ us: _time, ...rest }) => rest)
    assert.ok(events.length > 240 && new Set(events.map(({ promptVersion }) => promptVersion)).size > 4)
    logs.push([events, timelessStandingOf(openEngine(t, { stateDir }), ['u0', 'u1', 'u2', 'v'])])
  }
  assert.deepEqual(logs[1], logs[0])
})

test('what is done to the objects afterwards changes nothing', (t) => {
  const bandits = openEngine(t, { activePolicy: 'linucb-v1' })
  const candidates = list(4)
  const set = bandits.prepare(candidates)
  const before = bandits.score({ userId: 'u', candidates: set })
  for (const candidate of candidates) Object.assign(candidate, { id: 'changed', features: null })
  candidates.length = 0
  assert.deepEqual(bandits.score({ userId: 'u', candidates: set }), before)
  assert.deepEqual(set.ids, ['c0', 'c1', 'c2', 'c3'])
})

test('a set is frozen, and so are its ids', () => {
  const set = prepare(list(2))
  assert.ok(set instanceof CandidateSet)
  assert.deepEqual([set.length, set.ids], [2, ['c0', 'c1']])
  assert.ok(Object.isFrozen(set) && Object.isFrozen(set.ids))
  assert.throws(() => { /** @type {any} */ (set).ids[0] = 'x' }, TypeError)
  assert.throws(() => { /** @type {any} */ (set).length = 9 }, TypeError)
  assert.throws(() => { /** @type {any} */ (set).extra = 9 }, TypeError)
})

test('a set serves several engines, and outlives the one that made it', async (t) => {
  const [one, two] = [openEngine(t), openEngine(t)]
  const set = one.prepare(list(5))
  assert.deepEqual(one.score({ userId: 'u', candidates: set }), two.score({ userId: 'u', candidates: set }))
  await one.close()
  assert.equal(two.score({ userId: 'u', candidates: set, policy: 'linucb-v1' }).policy, 'linucb-v1')
  assert.equal(openEngine(t).score({ userId: 'u', candidates: set }).tipId.slice(0, 1), 'c')
})

test('sets of sets are refused', (t) => {
  const bandits = openEngine(t)
  const set = bandits.prepare(list(2))
  assertRefuses(() => bandits.prepare(/** @type {any} */ (set)), 'ERR_INVALID_ARGUMENT', 'candidates')
  assertRefuses(() => bandits.score({ userId: 'u', candidates: /** @type {any} */ ([set]) }), 'ERR_INVALID_ARGUMENT', 'candidates[0].id')
  assert.equal(typeof Bandits.open, 'function')
})

test('sets that nobody holds give their memory back', (t) => {
  const script = `
    import { setImmediate as turn } from 'node:timers/promises'
    const engine = Bandits.open({ stateDir })
    const candidates = Array.from({ length: 50_000 }, (_, i) => ({ id: 'c' + (i % 10) }))
    const kept = engine.prepare([{ id: 'kept' }, { id: 'kept too' }])
    const make = async () => {
      for (let i = 0; i < 20; i++) engine.score({ userId: 'u', candidates: engine.prepare(candidates) })
      // The last set is remembered until the next call.
      engine.score({ userId: 'u', candidates: kept })
      for (let i = 0; i < 5; i++) { gc(); await turn() }
    }
    await make()
    const before = process.memoryUsage().rss
    for (let i = 0; i < 8; i++) await make()
    const grown = (process.memoryUsage().rss - before) / 2 ** 20
    if (engine.score({ userId: 'u', candidates: kept, policy: 'linucb-v1' }).tipId !== 'kept') throw new Error('the kept set is damaged')
    // 160 sets of 50,000 candidates take 2.4 MB each: 380 MB if they stayed.
    console.log(grown < 100 ? 'small' : 'grown by ' + grown + ' MB')
    await engine.close()`
  const { code, stdout, stderr } = run(script, { stateDir: emptyDirectory(t), flags: ['--expose-gc'] })
  assert.deepEqual([code, stdout], [0, 'small\n'], stderr)
})

test('collecting sets while others are made and used mixes none up', (t) => {
  const script = `
    import { setImmediate as turn } from 'node:timers/promises'
    const engine = Bandits.open({ stateDir, activePolicy: 'linucb-v1' })
    const kept = []
    for (let round = 0; round < 300; round++) {
      const n = 2 + (round % 5)
      const best = round % n
      const set = engine.prepare(Array.from({ length: n }, (_, i) => ({ id: 'r' + round + '-' + i, features: { priority: i === best ? 4 : 1 } })))
      if (round % 3 === 0) kept.push([set, 'r' + round + '-' + best])
      for (const [one, tip] of kept) {
        const { tipId } = engine.score({ userId: 'u' + round, candidates: one })
        if (tipId !== tip) throw new Error(tipId + ' instead of ' + tip)
      }
      if (round % 10 === 9) { kept.splice(0, 2); gc(); await turn() }
    }
    console.log('done')
    await engine.close()`
  const { code, stdout, stderr } = run(script, { stateDir: emptyDirectory(t), flags: ['--expose-gc'] })
  assert.deepEqual([code, stdout], [0, 'done\n'], stderr)
})
