// @ts-check
// Masks of score(), scoreMany() and prepared sets: what is masked is never chosen, and everything is as if it were not there.

import assert from 'node:assert/strict'
import { join } from 'node:path'
import { describe, test } from 'node:test'

import { prepare, replay } from '@oo/bandits'
import { linesIn } from './support/log-lines.mjs'
import { assertRefuses } from './support/refusal.mjs'
import { POLICIES, standingOf } from './support/standing.mjs'
import { contentsOf, emptyDirectory, openEngine } from './support/state-dir.mjs'

/** @typedef {import('@oo/bandits').Bandits} Bandits */
/** @typedef {import('@oo/bandits').ScoreRequest} ScoreRequest */
/** @typedef {import('@oo/bandits').ScoreResult} ScoreResult */

const INVALID = 'ERR_INVALID_ARGUMENT'
const EPSILON = 0.1
const SIZES = [1, 2, 7, 8, 9, 31, 32, 33, 64, 65, 100, 257, 1000]

const list = (/** @type {number} */ n) => Array.from({ length: n }, (_entry, i) => ({ id: `c${i}`, features: { priority: 1 + (i % 4), taskAgeDays: (i * 7) % 31, isOverdue: i % 3 === 0 } }))

/** Masks of n flags, none of them all false. @param {number} n */
const masks = (n) => [
  Array.from({ length: n }, (_may, i) => i % 3 === n % 3 || i === n - 1),
  Array.from({ length: n }, (_may, i) => i === n >> 1),
  Array.from({ length: n }, (_may, i) => i !== 0 || n === 1),
  Array.from({ length: n }, () => true),
]

/** An engine whose policies know something. @param {{ after(fn: () => unknown): void }} t @param {import('@oo/bandits').BanditsOptions} [options] */
function taught(t, options) {
  const bandits = openEngine(t, options)
  for (const [i, { features }] of list(12).entries()) {
    for (const policy of POLICIES) bandits.reward({ userId: 'u', tipId: 't', reward: 1 - (i % 3), features: { ...features, hourOfDay: i }, policy })
  }
  return bandits
}

/** Every request of the test, with candidates as they are and as a set. */
function requests() {
  /** @type {(ScoreRequest & { mask: readonly boolean[], candidates: readonly import('@oo/bandits').Candidate[] })[]} */
  const all = []
  for (const n of SIZES) for (const mask of masks(n)) for (const policy of POLICIES) for (let time = 0; time < 4; time++) all.push({ userId: 'u', candidates: list(n), policy, mask })
  return all
}

/** What a masked request is answered, if the masked candidates were not there. @param {Bandits} bandits @param {ReturnType<typeof requests>[number]} request @returns {ScoreResult} */
function withoutMasked(bandits, { mask, candidates, ...rest }) {
  const open = candidates.map((_candidate, i) => i).filter((i) => mask[i])
  const result = bandits.score({ ...rest, candidates: candidates.filter((_candidate, i) => mask[i]) })
  return { ...result, index: /** @type {number} */ (open[result.index]) }
}

describe('a masked request is answered as if what is masked were not there: same choice, score, chance and propensity', () => {
  /** @type {Record<string, (bandits: Bandits, all: ReturnType<typeof requests>) => ScoreResult[]>} */
  const WAYS = {
    score: (bandits, all) => all.map((request) => bandits.score(request)),
    'score of prepared sets': (bandits, all) => all.map((request) => bandits.score({ ...request, candidates: bandits.prepare(request.candidates) })),
    scoreMany: (bandits, all) => bandits.scoreMany(all),
    'scoreMany of prepared sets and arrays': (bandits, all) => bandits.scoreMany(all.map((request, i) => (i % 2 === 0 ? request : { ...request, candidates: prepare(request.candidates) }))),
  }
  for (const [way, score] of Object.entries(WAYS)) {
    test(way, async (t) => {
      const stateDir = emptyDirectory(t)
      const [masked, plain] = [taught(t, { stateDir }), taught(t)]
      const all = requests()
      const results = score(masked, all)
      const lines = (await masked.flush(), linesIn(stateDir)).filter(({ kind }) => kind === 'pull')
      assert.equal(lines.length, all.length)
      for (const [i, request] of all.entries()) {
        const result = /** @type {ScoreResult} */ (results[i])
        const line = /** @type {import('./support/log-lines.mjs').Line} */ (lines[i])
        const { mask, policy } = request
        const allowed = mask.filter(Boolean).length
        assert.equal(mask[result.index], true, 'a masked candidate was chosen')
        assert.deepEqual(result, withoutMasked(plain, request))
        const share = policy === 'linucb-v1' ? 0 : EPSILON / allowed
        const best = policy === 'linucb-v1' ? 1 : 1 - EPSILON + share
        assert.ok([share, best].some((p) => Math.abs(p - result.propensity) < 1e-12), `${result.propensity} of ${allowed}`)
        assert.deepEqual([line['tipId'], line['index'], line['candidates'], line['propensity'], line['score']], [result.tipId, result.index, mask.length, result.propensity, result.score])
        assert.deepEqual([line['allowed'], 'allowed' in line], allowed === mask.length ? [undefined, false] : [allowed, true])
      }
      assert.ok(results.filter(({ exploring }) => exploring).length > 10, 'chance chose nowhere')
    })
  }
})

test('a batch that is chosen for in portions', (t) => {
  const [bandits, one] = [openEngine(t), openEngine(t)]
  const [n, times] = [100_000, 5]
  const many = list(n)
  const all = Array.from({ length: times }, (_request, k) => ({
    userId: `u${k}`, candidates: many, policy: /** @type {const} */ ('linucb-v1'), mask: k === 2 ? many.map(() => true) : many.map((_may, i) => i % 7 === k || i === n - 1),
  }))
  const results = bandits.scoreMany(all)
  for (const [k, { index }] of results.entries()) assert.ok(all[k]?.mask[index], `request ${k}`)
  assert.deepEqual(results, all.map((request) => one.score(request)))
})

test('the choices follow the propensities that are told (χ²)', (t) => {
  const bandits = taught(t, { seed: 5, log: 'off' })
  const candidates = list(6)
  const mask = [false, true, true, false, true, true]
  const seen = [0, 0, 0, 0, 0, 0]
  /** @type {(number | undefined)[]} */
  const said = []
  const draws = 20_000
  for (let i = 0; i < draws; i++) {
    const { index, propensity } = bandits.score({ userId: 'u', candidates, mask })
    seen[index] = Number(seen[index]) + 1
    said[index] = propensity
  }
  assert.deepEqual([seen[0], seen[3]], [0, 0])
  const open = [1, 2, 4, 5]
  const chi2 = open.reduce((sum, i) => sum + (Number(seen[i]) - Number(said[i]) * draws) ** 2 / (Number(said[i]) * draws), 0)
  assert.ok(chi2 < 16.3, `${chi2}, seed 5`) // the 99.9 % point with 3 degrees of freedom
})

test('the log of masked pulls is whole: replayed, it makes the same state files', async (t) => {
  const stateDir = emptyDirectory(t)
  const bandits = taught(t, { stateDir })
  for (const request of requests()) bandits.score(request)
  await bandits.close()
  const copy = join(emptyDirectory(t), 'replayed')
  const { complete, reasons } = await replay(join(stateDir, 'log'), copy)
  assert.deepEqual([complete, reasons], [true, []])
  assert.deepEqual(contentsOf(copy), contentsOf(stateDir))
})

describe('what is refused, as recommend() refuses it', () => {
  const candidates = list(3)
  /** @type {[unknown, string, string][]} */
  const WRONG = [
    ...[null, 5, 'yes', true, {}, () => 1, Symbol('s'), 5n, new Uint8Array(3)].map((mask) => /** @type {[unknown, string, string]} */ ([mask, INVALID, 'mask'])),
    [[], INVALID, 'mask'],
    [[true, true], INVALID, 'mask'],
    [[true, true, true, true], INVALID, 'mask'],
    [[true, 1, true], INVALID, 'mask[1]'],
    [[true, true, null], INVALID, 'mask[2]'],
    // oxlint-disable-next-line no-sparse-arrays -- the subject
    [[true, , true], INVALID, 'mask[1]'],
    [[false, false, false], 'ERR_NO_CANDIDATES', 'mask'],
  ]
  const message = (/** @type {() => unknown} */ call) => {
    try {
      call()
    } catch (error) {
      return /** @type {Error} */ (error).message
    }
    return assert.fail('accepted')
  }
  for (const [mask, code, path] of /** @type {[any, string, string][]} */ (WRONG)) {
    test(`${code}: ${Array.isArray(mask) ? `[${mask}]` : typeof mask}`, (t) => {
      const bandits = taught(t)
      const before = standingOf(bandits, ['u'])
      for (const given of [candidates, bandits.prepare(candidates)]) {
        assertRefuses(() => bandits.score({ userId: 'u', candidates: given, mask }), code, path)
        assert.equal(message(() => bandits.score({ userId: 'u', candidates: given, mask })), message(() => bandits.recommend({ userId: 'u', candidates: given, mask })))
        assertRefuses(() => bandits.scoreMany([{ userId: 'u', candidates: given }, { userId: 'u', candidates: given, mask }]), code, `requests[1].${path}`)
      }
      assert.deepEqual(standingOf(bandits, ['u']), before)
    })
  }
})

test('a proxy that lies about the length, and getters that throw', (t) => {
  const bandits = taught(t)
  const error = new Error('from the getter')
  const lying = new Proxy([true, true, true], { get: (target, key) => (key === 'length' ? 3.5 : Reflect.get(target, key)) })
  assertRefuses(() => bandits.score({ userId: 'u', candidates: list(3), mask: lying }), INVALID, 'mask')
  const throwing = Object.defineProperty([true, true, true], 1, { get: () => { throw error } })
  assert.throws(() => bandits.score({ userId: 'u', candidates: list(3), mask: throwing }), (thrown) => thrown === error)
  assert.equal(bandits.score({ userId: 'u', candidates: list(3), mask: [false, false, true] }).index, 2)
})
