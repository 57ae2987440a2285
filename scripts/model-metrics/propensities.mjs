// @ts-check
// Whether candidates are chosen as often as the policy says: with what was learned held still, and while it learns.
import { draw } from '../../demo/draw.mjs'
import { EPSILON } from './engine.mjs'
import { at } from './play.mjs'
import { chiSquare, mean, sum } from './statistics.mjs'

/** @import { Bandits } from '@oo/bandits' */
/** @import { Outcome } from './play.mjs' */

const CANDIDATES = [2, 5, 20]

/**
 * The same request again and again: scoring does not change what is learned, so each choice is a draw from one distribution.
 * @param {Bandits} bandits
 * @param {number} draws
 */
export function calibration(bandits, draws) {
  return CANDIDATES.map((n) => {
    const userId = `calibration-${n}`
    const candidates = Array.from({ length: n }, (_candidate, i) => ({ id: `task-${i}`, features: { taskAgeDays: 30 * draw('age', n, i), priority: 1 + (i % 4) } }))
    for (const { id, features } of candidates) bandits.reward({ userId, tipId: id, reward: draw('reward', n, id) - 0.5, features })
    const prepared = bandits.prepare(candidates)
    const counts = Array.from(candidates, () => 0)
    const reported = Array.from(candidates, () => 0)
    let contradictions = 0
    for (let i = 0; i < draws; i += 1) {
      const { index, propensity } = bandits.score({ userId, candidates: prepared })
      if (at(counts, index) > 0 && reported[index] !== propensity) contradictions += 1
      counts[index] = at(counts, index) + 1
      reported[index] = propensity
    }
    const shown = counts.filter((count) => count > 0).length
    return { n, draws, shown, contradictions, sumError: Math.abs(sum(reported) - 1), fit: shown > 1 ? chiSquare(counts, reported) : null }
  })
}

/**
 * Over all decisions of a learning policy: how often it explored, and how often an ε-greedy one explored and showed its best, in
 * standard errors from what was to be expected.
 * @param {readonly Outcome[][]} worlds
 */
export function whileLearning(worlds) {
  const outcomes = worlds.flat()
  const expected = outcomes.map(({ moment }) => 1 - EPSILON + EPSILON / moment.candidates.length)
  const best = outcomes.filter(({ propensity }) => propensity > 0.5).length
  return {
    decisions: outcomes.length,
    explored: mean(outcomes.map(({ exploring }) => Number(exploring))),
    exploredZ: (outcomes.filter(({ exploring }) => exploring).length - EPSILON * outcomes.length) / Math.sqrt(EPSILON * (1 - EPSILON) * outcomes.length),
    bestZ: (best - sum(expected)) / Math.sqrt(sum(expected.map((p) => p * (1 - p)))),
  }
}
