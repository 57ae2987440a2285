// @ts-check
// The calls of one life of a child, drawn from a seed: the child makes them, and its parent draws the same ones to know what
// was asked without being told.

import { random } from '../bench/workload.mjs'
import { POLICIES } from './features.mjs'

/** @typedef {import('@oo/bandits').ScoreRequest} ScoreRequest */
/** @typedef {import('@oo/bandits').RewardRequest} RewardRequest */
/**
 * @typedef {{ kind: 'reward', request: RewardRequest } | { kind: 'score', request: ScoreRequest } | { kind: 'scoreMany', requests: ScoreRequest[] } | { kind: 'reset', userId: string }
 *   | { kind: 'recommend', request: Omit<ScoreRequest, 'policy'> } | { kind: 'feedback', decision: number, reward: number, at: number }} Call `decision`: the how manieth of this script; `at`: so many milliseconds after it
 */
/** @typedef {Partial<Record<Call['kind'], number>>} Mix */

/** Ids whose files would fall together, whose names are too long, and that a careless join would take out of the directory. */
const AWKWARD = [
  'a-b', 'a_b', 'a.b', 'a b', 'x', 'x_egreedy', 'x_egreedy_v2', 'x-egreedy', 'x_egreedy_egreedy', 'Alice', 'alice', 'ALICE', 'É', 'E\u0301',
  '.', '..', '/', '../..', '../../etc/passwd', 'a/b', 'a\\b', 'a\0b', 'a\nb', '\t', '"', '{"v":1', ',"crc":"00000000"}', 'log', 'lock', '.lock', '.state.tmp',
  'set-aside', 'con', 'nul.json', 'user@example.com', '名前', '😀', 'x²', '~', 'a~b', '-', '_', '__', ' ', '0', '00', '-1', 'constructor', '__proto__',
  'y'.repeat(251), 'y'.repeat(250), 'y'.repeat(512), `${'y'.repeat(511)}z`, 'ß'.repeat(200), '語'.repeat(512), `${'語'.repeat(511)}言`, '_'.repeat(260), '-'.repeat(260),
]

/** @param {number} count */
export const userIds = (count) => Array.from({ length: count }, (_user, i) => AWKWARD[i] ?? `user-${i}`)

const REWARDS = [1, 0.5, 0, -0.5, -1]
/** @type {Mix} */
const MIX = { reward: 55, score: 38, scoreMany: 4, reset: 3 }
/** With all that the log knows. @type {Mix} */
export const MIX_WITH_DECISIONS = { reward: 35, score: 26, scoreMany: 4, reset: 3, recommend: 16, feedback: 16 }

/**
 * An endless draw. Tip ids are never used twice, so that a pull can be recognised in a history.
 * @param {{ seed: number, users: readonly string[], mix?: Mix, policies?: readonly import('@oo/bandits').PolicyName[] }} settings
 * @returns {Generator<Call, never>}
 */
export function* callsOf({ seed, users, mix = MIX, policies = POLICIES }) {
  const rng = random(seed)
  /** @template T @param {readonly T[]} from @returns {T} */
  const one = (from) => /** @type {T} */ (from[Math.floor(rng() * from.length)])
  const total = Object.values(mix).reduce((sum, weight) => sum + weight, 0)
  const kind = () => {
    let left = rng() * total
    for (const [name, weight] of Object.entries(mix)) if ((left -= weight) < 0) return /** @type {Call['kind']} */ (name)
    return 'reward'
  }
  // A handful is busy while most are not: users with nothing new and users with much new are met at the same time.
  const user = () => (rng() < 0.3 ? /** @type {string} */ (users[Math.floor(rng() * Math.min(10, users.length))]) : one(users))
  const features = () => ({ isOverdue: rng() < 0.3, taskAgeDays: Math.floor(rng() * 400) / 10, priority: 1 + Math.floor(rng() * 4) })
  const known = (/** @type {number} */ value) => (rng() < 0.8 ? value : null)
  const profile = () => (rng() < 0.3 ? null : {
    completionRate30d: known(rng()), dismissRate30d: known(rng()), meanDwellMs30d: known(rng() * 7e5), preferredHour: known(Math.floor(rng() * 24)),
    tipVolume30d: known(Math.floor(rng() * 120)), computedAt: known(0) === null ? null : '2026-01-02T03:04:05Z',
  })
  /** @param {string} tip @returns {ScoreRequest} */
  const score = (tip) => ({
    userId: user(), policy: one(policies), profileFeatures: profile(), context: { hourOfDay: Math.floor(rng() * 24), dayOfWeek: Math.floor(rng() * 7) },
    candidates: Array.from({ length: 1 + Math.floor(rng() * 4) }, (_candidate, i) => ({ id: `${tip}-${i}`, features: features() })),
  })
  let decisions = 0
  for (let number = 0; ; number++) {
    const tip = `${seed}-${number}`
    const what = kind()
    if (what === 'recommend' || (what === 'feedback' && decisions === 0)) {
      decisions++
      const { policy: _policy, ...request } = score(tip)
      yield { kind: 'recommend', request }
    } else if (what === 'feedback') {
      // Most are about the last ones, so that some come twice; few rewards and times, so that some are the same.
      yield { kind: what, decision: Math.max(0, decisions - 1 - Math.floor(rng() * 20)), reward: one(REWARDS), at: Math.floor(rng() * 5) }
    } else if (what === 'reset') yield { kind: what, userId: user() }
    else if (what === 'score') yield { kind: what, request: score(tip) }
    else if (what === 'scoreMany') yield { kind: what, requests: [score(`${tip}-0`), score(`${tip}-1`), score(`${tip}-2`)] }
    else {
      const reward = rng() < 0.8 ? one(REWARDS) : rng() * 4 - 2
      yield { kind: 'reward', request: { userId: user(), policy: one(policies), tipId: tip, reward, features: { ...features(), hourOfDay: Math.floor(rng() * 24) }, dayOfWeek: Math.floor(rng() * 7), profileFeatures: profile() } }
    }
  }
}
