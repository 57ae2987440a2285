// @ts-check
// A log of decisions of every kind, made by real engines, and what a reader finds in its lines in the simplest way.

import assert from 'node:assert/strict'

import { chance } from './chance.mjs'
import { linesIn } from './log-lines.mjs'
import { POLICIES } from './standing.mjs'
import { openEngine } from './state-dir.mjs'

/** @typedef {import('@oo/bandits').Bandits} Bandits */
/** @typedef {import('@oo/bandits').Decision} Decision */
/** @typedef {import('./log-lines.mjs').Line} Line */
/** @typedef {{ action: string | null, reward: number, at: number }} Reaction */

/** @type {import('@oo/bandits').Action[]} */
const ACTIONS = ['done', 'helpful', 'snooze', 'not_helpful', 'dismiss']
const VERSIONS = [undefined, 'v1', 'v2,"x"]']
/** @param {ReturnType<typeof chance>} draw @param {number} i */
export function request(draw, i) {
  const n = 1 + draw.below(7)
  const candidates = Array.from({ length: n }, (_candidate, k) => {
    const promptVersion = VERSIONS[draw.below(3)]
    const features = draw.happens(0.2) ? {} : { isOverdue: draw.happens(0.3), taskAgeDays: draw.below(400) / 10, priority: 1 + draw.below(4) }
    return { id: `tip ${i}.${k} "é"`, features, ...(promptVersion !== undefined && { promptVersion }) }
  })
  const computedAt = [new Date(Date.now() - draw.below(100) * 3_600_000).toISOString(), 'yesterday', null][draw.below(3)]
  const profile = { completionRate30d: draw.next(), ...(draw.happens(0.5) && { preferredHour: draw.below(24) }), computedAt }
  return {
    userId: `user-${draw.below(12)}`,
    candidates,
    context: draw.happens(0.3) ? {} : { hourOfDay: draw.below(24), dayOfWeek: draw.below(7) },
    profileFeatures: draw.happens(0.3) ? null : profile,
    ...(n > 3 && draw.happens(0.3) && { mask: candidates.map((_candidate, k) => k !== 1) }),
    ...(draw.happens(0.5) && { holdout: 0.3 }),
  }
}

/**
 * Decides and reacts on an engine that is open. Some reactions come twice, some are revised, some are numbers.
 * @param {Bandits} bandits @param {number} count @param {ReturnType<typeof chance>} draw
 */
export function live(bandits, count, draw) {
  for (let i = 0; i < count; i++) {
    if (i % 40 === 0) bandits.setPolicy(POLICIES[draw.below(3)], { mode: 'active' })
    const { decisionId, tipId } = bandits.recommend(request(draw, i))
    const at = Date.now() + draw.below(2e5) - 1e4
    if (draw.happens(0.7)) bandits.feedback({ decisionId, ...(draw.happens(0.2) ? { reward: draw.next() } : { action: ACTIONS[draw.below(5)] }), at })
    if (draw.happens(0.2)) bandits.feedback({ decisionId, action: ACTIONS[draw.below(5)], at: at + 1000 })
    if (draw.happens(0.2)) bandits.reward({ userId: 'user-1', tipId, reward: 1, features: {} })
    if (draw.happens(0.2)) bandits.score({ userId: 'user-2', candidates: [{ id: 'x' }] })
    if (draw.happens(0.02)) bandits.reset(`user-${draw.below(12)}`)
  }
}

/**
 * A directory with so many segments, and an engine on it that is open and writes the last one.
 * @param {import('./state-dir.mjs').TestContext} t
 * @param {{ stateDir: string, segments?: number, decisions?: number, seed?: number }} settings
 */
export async function openWorld(t, { stateDir, segments = 4, decisions = 100, seed = 5 }) {
  const draw = chance(seed)
  for (let i = 1; i < segments; i++) {
    const bandits = openEngine(t, { stateDir })
    live(bandits, decisions, draw)
    await bandits.close()
  }
  const bandits = openEngine(t, { stateDir })
  live(bandits, decisions, draw)
  await bandits.flush()
  return { bandits, draw }
}

/** @param {[number, number]} a @param {[number, number]} b */
export const bySeq = (a, b) => a[0] - b[0] || a[1] - b[1]
/** @param {readonly number[]} numbers */
export const sum = (numbers) => numbers.reduce((total, number) => total + number, 0)

/** The decisions of a log, newest first, each with the reaction that counts. @param {string} stateDir */
export function decided(stateDir) {
  const lines = linesIn(stateDir).sort((a, b) => bySeq(a.seq, b.seq))
  /** @type {Map<string, Reaction>} */
  const reactions = new Map()
  for (const { kind, decision, action, reward, at } of lines) if (kind === 'feedback') reactions.set(decision.join('.'), { action, reward, at })
  return lines.filter(({ kind }) => kind === 'decision').reverse().map((line) => ({ line, id: line.seq.join('.'), reaction: reactions.get(line.seq.join('.')) }))
}

/** @typedef {ReturnType<typeof decided>[number]} Decided */

/** What a row of `decisions()` has to say. @param {Decided} decided @returns {Decision} */
export function rowOf({ line, id, reaction }) {
  const { index, choices, ids, promptVersions, heldOut = false } = line
  const [own, ...others] = choices
  return {
    decisionId: id,
    at: line.ts,
    userId: line.userId,
    tipId: ids[index],
    policy: line.policy,
    assigned: line.assigned,
    score: own.index === index ? own.score : null,
    propensity: line.probabilities[index],
    exploring: heldOut || own.exploring,
    heldOut,
    features: { hourOfDay: line.hourOfDay, dayOfWeek: line.dayOfWeek, isOverdue: line.isOverdue[index], taskAgeDays: line.taskAgeDays[index], priority: line.priority[index] },
    promptVersion: promptVersions?.[index] ?? null,
    candidates: ids.length,
    shadows: others.map((/** @type {any} */ { policy, index: place, score }) => ({ policy, tipId: ids[place], score, agrees: place === index })),
    latencyUs: line.us,
    feedback: reaction === undefined ? null : { ...reaction, at: new Date(reaction.at).toISOString() },
  }
}

/** @param {number} a @param {number | null | undefined} b @param {string} what */
export function assertNear(a, b, what) {
  assert.ok(typeof b === 'number' && Math.abs(a - b) <= 1e-9 * Math.max(1, Math.abs(a)), `${what}: ${a} against ${b}`)
}
