// @ts-check
// Whether groups of users are served alike, and whether a user's id makes a difference.
import { draw } from '../../demo/draw.mjs'
import { captured } from './earnings.mjs'
import { TRAITS } from './population.mjs'
import { ratioDifference, ratioOf } from './statistics.mjs'

/** @import { Bandits } from '@oo/bandits' */
/** @import { Outcome } from './play.mjs' */
/** @import { Group } from './population.mjs' */

/** Ids of every kind: two that the Python service took for one, a number, another script, the longest. */
const IDS = ['robin', 'a-b', 'a_b', '0', 'robin@example.com', '龟背竹', 'Zoë', '../x', 'x'.repeat(512)]
const REWARDS = 200

/** @param {readonly Outcome[][]} worlds */
export function groupGaps(worlds) {
  const pairs = (/** @type {(outcome: Outcome) => boolean} */ belongs) => worlds.map((outcomes) => captured(outcomes.filter(belongs)))
  const compare = (/** @type {string} */ name, /** @type {string[]} */ labels, /** @type {((outcome: Outcome) => boolean)[]} */ groups) => {
    const [first = [], second = []] = groups.map(pairs)
    return { name, labels, first: ratioOf(first), second: ratioOf(second), gap: ratioDifference(first, second) }
  }
  const traits = Object.entries(TRAITS).map(([trait, values]) => {
    const belongs = values.map((value) => (/** @type {Outcome} */ { person }) => person.group[/** @type {keyof Group} */ (trait)] === value)
    return compare(trait, [...values], belongs)
  })
  // Light users have had fewer rewards to learn from: at equal experience nothing should be left of the difference.
  const light = (/** @type {Outcome} */ { person }) => person.group.activity === 'light'
  const lightTurns = Math.max(...worlds.flat().filter(light).map(({ turn }) => turn))
  const early = (/** @type {Outcome} */ outcome) => !light(outcome) && outcome.turn <= lightTurns
  return [...traits, compare(`activity, the first ${lightTurns + 1} decisions`, ['heavy', 'light'], [early, light])]
}

/**
 * The same rewards for users of different names, in turns, and scores of the same tasks afterwards.
 * @param {Bandits} bandits
 */
export function equalTreatment(bandits) {
  for (const userId of IDS) bandits.reset(userId)
  const bystander = bandits.stats('bystander').theta
  for (let i = 0; i < REWARDS; i += 1) {
    const features = { isOverdue: draw('overdue', i) < 0.3, taskAgeDays: 40 * draw('age', i), priority: 1 + (i % 4), hourOfDay: i % 24 }
    for (const userId of IDS) bandits.reward({ userId, tipId: 'tip', reward: 2 * draw('reward', i) - 1, features, dayOfWeek: i % 7 })
  }
  const thetas = IDS.map((userId) => bandits.stats(userId).theta)
  // One candidate at a time: its score is told whatever the policy would have explored.
  const scores = IDS.map((userId) =>
    Array.from({ length: 10 }, (_task, i) => bandits.score({ userId, candidates: [{ id: 'tip', features: { taskAgeDays: 3 * i, priority: 1 + (i % 4) } }] }).score),
  )
  return { users: IDS.length, rewards: REWARDS, theta: spread(thetas), scores: spread(scores), bystander: spread([bystander, bandits.stats('bystander').theta]) }
}

/** The largest difference between any list and the first. @param {readonly number[][]} lists */
function spread(lists) {
  const [first = []] = lists
  return Math.max(...lists.flatMap((list) => list.map((value, i) => Math.abs(value - (first[i] ?? NaN)))))
}
