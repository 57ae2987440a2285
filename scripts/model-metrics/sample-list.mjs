// @ts-check
// The task list in the repository (demo/sample-todoist.csv), lived with for the demo's month, many times over: each seed is
// another mood and other new tasks.
import { readFileSync } from 'node:fs'
import { parseIsoDay } from '../../demo/calendar.mjs'
import { BanditChooser, RandomChooser } from '../../demo/choosers.mjs'
import { liking } from '../../demo/person.mjs'
import { simulate } from '../../demo/simulation.mjs'
import { parseTodoistCsv } from '../../demo/todoist-csv.mjs'
import { FIRST } from './earnings.mjs'
import { at } from './play.mjs'
import { expectedReward } from './reaction.mjs'
import { mean, meanOf, ratioOf } from './statistics.mjs'

/** @import { Bandits } from '@oo/bandits' */
/** @import { Chooser, Occasion } from '../../demo/choosers.mjs' */
/** @import { Task } from '../../demo/todoist-csv.mjs' */

const SAMPLE = new URL('../../demo/sample-todoist.csv', import.meta.url)
const START_DAY = parseIsoDay('2026-03-02') ?? 0
export const DAYS = 30

/**
 * @param {Bandits} bandits
 * @param {number} worlds
 */
export async function sampleList(bandits, worlds) {
  const { tasks } = parseTodoistCsv(readFileSync(SAMPLE, 'utf8'), START_DAY)
  /** @type {{ random: number[], policy: number[], oracle: number[] }[]} */
  const runs = []
  for (let seed = 1; seed <= worlds; seed += 1) {
    bandits.reset('robin')
    const live = (/** @type {Chooser} */ chooser) => expectedRewards(tasks, seed, chooser)
    runs.push({ random: await live(new RandomChooser(seed)), policy: await live(new BanditChooser(bandits, 'robin')), oracle: await live(new Knowing(tasks)) })
  }
  const share = (/** @type {number} */ decisions) =>
    ratioOf(
      runs.map(({ random, policy, oracle }) => {
        const early = (/** @type {number[]} */ rewards) => mean(rewards.slice(0, decisions))
        return { part: early(policy) - early(random), whole: early(oracle) - early(random) }
      }),
    )
  const earned = (/** @type {'random' | 'policy' | 'oracle'} */ who) => meanOf(runs.map((run) => mean(run[who])))
  return { random: earned('random'), policy: earned('policy'), oracle: earned('oracle'), share: share(Infinity), first: share(FIRST) }
}

/** Of each decision of the month. @param {readonly Task[]} tasks @param {number} seed @param {Chooser} chooser */
async function expectedRewards(tasks, seed, chooser) {
  const { decisions } = await simulate({ tasks, startDay: START_DAY, days: DAYS, seed }, chooser)
  return decisions.map(({ tip, task, hour, dayOfWeek }) => expectedReward(liking(tip.features, { hour, dayOfWeek }, task.labels)))
}

/** Knows how much the person likes each tip, and takes the best one of the moment. @implements {Chooser} */
class Knowing {
  #labels

  /** @param {readonly Task[]} tasks */
  constructor(tasks) {
    this.#labels = new Map(tasks.map((task) => [task.key, task.labels]))
  }

  /** @param {Occasion} occasion */
  choose({ candidates, context }) {
    const moment = { hour: context.hourOfDay, dayOfWeek: context.dayOfWeek }
    const likings = candidates.map(({ features, sourceId }) => liking(features, moment, this.#labels.get(sourceId ?? '') ?? []))
    const score = Math.max(...likings)
    const index = likings.indexOf(score)
    return { index, score: at(likings, index), exploring: false, propensity: 1, theta: [] }
  }

  learn() {}

  /** @returns {number[]} */
  theta() {
    return []
  }
}
