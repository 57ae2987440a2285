// @ts-check
// Decisions done again by the documents alone, from the lines of a log that a real engine wrote: what each policy learned before, each
// score, each probability and what chance did. Nothing of it is the engine's code, nor Rust's.

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { Bandits } from '@oo/bandits'
import { random } from '../bench/workload.mjs'
import { below, drawOf, EPSILON, happens, hexOf, part, PARTS } from '../support/draws.mjs'
import { linesIn } from '../support/log-lines.mjs'
import { POLICIES } from '../support/standing.mjs'
import { emptyDirectory } from '../support/state-dir.mjs'
import { vector } from '../torture/features.mjs'
import { learn, revise, start } from '../torture/standing.mjs'

/** @typedef {import('@oo/bandits').PolicyName} PolicyName */
/** @typedef {import('@oo/bandits').Recommendation} Recommendation */
/** @typedef {import('../torture/standing.mjs').Standing} Standing */
/** @typedef {import('../support/log-lines.mjs').Line} Line */

/** The solution of Ax = b, by elimination. @param {number[][]} A @param {number[]} b */
function solve(A, b) {
  const rows = A.map((row, i) => [...row, Number(b[i])])
  for (const [i, row] of rows.entries()) {
    for (const other of rows.slice(i + 1)) {
      const factor = Number(other[i]) / Number(row[i])
      for (const [j, value] of row.entries()) other[j] = Number(other[j]) - factor * value
    }
  }
  /** @type {number[]} */
  const x = []
  for (const [i, row] of [...rows.entries()].reverse()) x[i] = (Number(row.at(-1)) - row.slice(i + 1, -1).reduce((sum, value, j) => sum + value * Number(x[i + 1 + j]), 0)) / Number(row[i])
  return x
}
/** @param {number[]} a @param {number[]} b */
const dot = (a, b) => a.reduce((sum, value, i) => sum + value * Number(b[i]), 0)

/** The score of each candidate of a line. @param {Standing} standing @param {PolicyName} policy @param {Line} line */
function scoresOf({ A, b }, policy, line) {
  const { ids, isOverdue, taskAgeDays, priority, hourOfDay, dayOfWeek, profileFeatures } = line
  const theta = solve(A, b)
  return ids.map((/** @type {string} */ _id, /** @type {number} */ i) => {
    const x = vector(policy, { features: { isOverdue: isOverdue[i], taskAgeDays: taskAgeDays[i], priority: priority[i] }, hourOfDay, dayOfWeek, profileFeatures })
    return dot(theta, x) + (policy === 'linucb-v1' ? Math.sqrt(dot(x, solve(A, x))) : 0)
  })
}

/** @param {number} actual @param {number} expected @param {string} what @param {number} [within] */
function assertClose(actual, expected, what, within = 1e-12) {
  assert.ok(Math.abs(actual - expected) <= within * Math.max(1, Math.abs(expected)), `${what}: ${actual} instead of ${expected}`)
}

/** Holds a decision's line against what follows from the lines before it. @param {Line} line @param {(policy: PolicyName) => Standing} standingOf */
function assertFollows(line, standingOf) {
  const { draw: hex, drawn: [opening, k], ids, choices, masked = [], holdout = 0, heldOut = false } = line
  const draw = BigInt(`0x${hex}`)
  const at = `decision ${line.seq}`
  // Opening 1 has seed 1, and 2 has 2.
  assert.equal(hex, hexOf(drawOf(opening, opening, k)), at)
  assert.equal(opening, line.seq[0], at)
  const open = [...ids.keys()].filter((i) => !masked.includes(i))
  for (const { policy, index, score, exploring, probabilities } of choices) {
    const scores = scoresOf(standingOf(policy), policy, line)
    const best = open.reduce((one, i) => (scores[i] > scores[one] ? i : one), /** @type {number} */ (open[0]))
    // Which of two is better by less than rounding, the probabilities say.
    const said = open.reduce((one, i) => (probabilities[i] > probabilities[one] ? i : one), /** @type {number} */ (open[0]))
    assertClose(scores[said], scores[best], `${at}: the best of ${policy}`)
    const number = part(draw, PARTS[/** @type {PolicyName} */ (policy)])
    const byChance = policy !== 'linucb-v1' && happens(number, EPSILON)
    assert.deepEqual([index, exploring], [byChance ? open[below(number, open.length)] : said, byChance], `${at}: ${policy}`)
    assertClose(score, scores[index], `${at}: the score of ${policy}`)
    const epsilon = policy === 'linucb-v1' ? 0 : EPSILON
    const expected = ids.map((/** @type {string} */ _id, /** @type {number} */ i) => (open.includes(i) ? epsilon / open.length + (i === said ? 1 - epsilon : 0) : 0))
    for (const [i, p] of expected.entries()) assertClose(probabilities[i], p, `${at}: the probability of ${i} under ${policy}`, 1e-15)
  }
  const number = part(draw, PARTS.holdout)
  assert.equal(heldOut, holdout > 0 && happens(number, holdout), at)
  assert.equal(line['index'], heldOut ? open[below(number, open.length)] : choices[0].index, at)
  for (const [i, p] of line['probabilities'].entries()) {
    assertClose(p, (1 - holdout) * choices[0].probabilities[i] + (open.includes(i) ? holdout / open.length : 0), `${at}: the probability of showing ${i}`, 1e-15)
    if (masked.includes(i)) assert.equal(p, 0)
  }
  assertClose(line['probabilities'].reduce((/** @type {number} */ sum, /** @type {number} */ p) => sum + p, 0), 1, `${at}: the sum of probabilities`)
}

/** Two lives of an engine; what it answered by the number of the decision. @param {string} stateDir */
async function live(stateDir) {
  const rng = random(11)
  /** @type {Map<string, Recommendation>} */
  const answers = new Map()
  /** @type {string[]} */
  const ids = []
  const features = () => ({ isOverdue: rng() < 0.3, taskAgeDays: Math.floor(rng() * 400) / 10, priority: 1 + Math.floor(rng() * 4) })
  const known = (/** @type {number} */ value) => (rng() < 0.8 ? value : null)
  const profile = () => (rng() < 0.4 ? null : { completionRate30d: known(rng()), dismissRate30d: known(rng()), meanDwellMs30d: known(rng() * 7e5), preferredHour: known(Math.floor(rng() * 24)), tipVolume30d: known(Math.floor(rng() * 120)), computedAt: '2026-01-02T03:04:05Z' })
  for (const seed of [1, 2]) {
    const bandits = Bandits.open({ stateDir, seed })
    for (let i = 0; i < 400; i++) {
      const userId = `user ${i % 4}`
      const candidates = Array.from({ length: 1 + Math.floor(rng() * 12) }, (_candidate, k) => ({ id: `${seed}-${i}-${k}`, features: features() }))
      const sure = Math.floor(rng() * candidates.length)
      const context = { hourOfDay: Math.floor(rng() * 24), dayOfWeek: Math.floor(rng() * 7) }
      const more = { ...(rng() < 0.4 && { mask: candidates.map((_candidate, k) => k === sure || rng() < 0.5) }), ...(rng() < 0.4 && { holdout: rng() }) }
      const answer = bandits.recommend({ userId, candidates, context, profileFeatures: profile(), ...more })
      answers.set(answer.decisionId, answer)
      ids.push(answer.decisionId)
      // Of each user the last few, some of them again.
      if (rng() < 0.7) bandits.feedback({ decisionId: String(ids[ids.length - 1 - Math.floor(rng() * Math.min(30, ids.length))]), reward: rng() * 2 - 1 })
      if (rng() < 0.2) bandits.reward({ userId, tipId: 't', reward: rng(), policy: /** @type {PolicyName} */ (POLICIES[i % 3]), features: { ...features(), hourOfDay: i % 24 }, dayOfWeek: i % 7, profileFeatures: profile() })
      if (rng() < 0.2) bandits.score({ userId, candidates, policy: /** @type {PolicyName} */ (POLICIES[i % 3]) })
      if (i === 150) bandits.setPolicy('linucb-v1', { mode: 'active' })
      if (i === 200) bandits.setPolicy('egreedy-v2', { mode: 'off' })
      if (i === 250) bandits.setPolicy('egreedy-v2', { mode: 'active', share: 0.5 })
      if (i === 300) {
        bandits.reset(userId)
        ids.length = 0
      }
    }
    await bandits.close()
  }
  return answers
}

test('every draw follows from its line, and every score from the lines before it', async (t) => {
  const stateDir = emptyDirectory(t)
  const answers = await live(stateDir)
  /** @type {Map<string, Standing>} */
  const standings = new Map()
  /** @type {Map<string, number>} what each policy learned from each decision */
  const learned = new Map()
  const of = (/** @type {string} */ userId, /** @type {PolicyName} */ policy) => {
    const key = `${userId} ${policy}`
    const standing = standings.get(key) ?? start(policy)
    standings.set(key, standing)
    return standing
  }
  const seen = { decisions: 0, exploring: 0, heldOut: 0, masked: 0, revised: 0, rewards: 0, resets: 0 }
  for (const line of linesIn(stateDir).sort(({ seq: [e, n] }, { seq: [f, m] }) => e - f || n - m)) {
    const { kind, userId, policy } = line
    if (kind === 'decision') {
      assertFollows(line, (one) => of(userId, one))
      const answer = answers.get(line.seq.join('.'))
      assert.ok(answer !== undefined)
      const { index, tipId, propensity, heldOut, exploring, shadows, score } = answer
      const [own, ...others] = line['choices']
      assert.deepEqual([index, tipId, propensity, heldOut, exploring, answer.policy, answer.assigned], [line['index'], line['ids'][index], line['probabilities'][index], line['heldOut'] ?? false, own.exploring || heldOut, policy, line['assigned']])
      assertClose(score, scoresOf(of(userId, policy), policy, line)[index], 'the score of what is shown')
      assert.deepEqual(shadows, others.map((/** @type {any} */ one) => ({ policy: one.policy, tipId: line['ids'][one.index], score: one.score, propensity: one.probabilities[one.index], agrees: one.index === index })))
      seen.decisions++
      seen.exploring += own.exploring
      seen.heldOut += heldOut ? 1 : 0
      seen.masked += line['masked'] === undefined ? 0 : 1
    } else if (kind === 'feedback') {
      for (const one of line['policies']) {
        const key = `${one} ${line['decision']}`
        const before = learned.get(key)
        if (before === undefined) learn(of(userId, one), one, /** @type {any} */ (line))
        else revise(of(userId, one), one, /** @type {any} */ (line), before)
        assert.equal(line['revision'], before !== undefined)
        learned.set(key, line['reward'])
      }
      seen.revised += line['revision'] ? 1 : 0
    } else if (kind === 'reward') {
      learn(of(userId, policy), policy, /** @type {any} */ (line))
      seen.rewards++
    } else if (kind === 'reset') {
      for (const one of POLICIES) standings.delete(`${userId} ${one}`)
      seen.resets++
    }
  }
  t.diagnostic(JSON.stringify(seen))
  assert.deepEqual([seen.decisions, seen.resets], [800, 2])
  for (const [what, count] of Object.entries({ exploring: seen.exploring, heldOut: seen.heldOut, masked: seen.masked, revised: seen.revised, rewards: seen.rewards })) assert.ok(count > 20, `${count} ${what}`)
})
