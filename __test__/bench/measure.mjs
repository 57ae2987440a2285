// @ts-check
// One scenario in one process: short samples of the package (the subject) and of its opponents take turns, and each round
// gives one ratio per opponent.
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { engineNamed } from './engines.mjs'
import { median } from './statistics.mjs'
import { candidateArrays, contexts, profiles, random, reaction, ROTATION, uuid } from './workload.mjs'

/** @typedef {import('./scenarios.mjs').Scenario} Scenario */
/**
 * @typedef {object} Job
 * @property {Scenario} scenario
 * @property {string} subject
 * @property {string} directory an empty one, for state
 * @property {number} rounds
 * @property {number} warmMs per engine
 * @property {number} seed
 * @property {{ python: string, directory: string }} [service]
 */
/** @typedef {{ ns: Record<string, number>, ratios: Record<string, number>, checksum: number }} Answer */

const SAMPLE_MS = 0.45
const MOST_CALLS = 8192
const BATCH = 32

/** What every engine is given. @param {Scenario} scenario @param {number} seed */
export function makeInputs({ n = 10, users, policy }, seed) {
  const rng = random(seed)
  const arrays = candidateArrays(n, seed + 1)
  const rewards = candidateArrays(ROTATION, seed + 2)[0].map(({ id, features }) => ({
    tipId: id, reward: reaction(rng), dayOfWeek: Math.floor(rng() * 7),
    features: JSON.parse(JSON.stringify({ ...features, hourOfDay: Math.floor(rng() * 24) })),
  }))
  // Profiles only where they are used: a program that asks another policy would not fetch one.
  const known = profiles(seed + 3).map((profile) => (policy === 'egreedy-v2' ? profile : undefined))
  return { arrays, contexts: contexts(seed + 4), profiles: known, rewards, users: Array.from({ length: users }, () => uuid(rng)), policy, batch: BATCH }
}

/** @typedef {ReturnType<typeof makeInputs>} Inputs */

/** Each user gets a past, so that θ is not zero and no call is a user's first. @param {any} engine @param {Inputs} inputs */
function givePast(engine, { arrays, contexts: hours, profiles: known, rewards, users, policy }) {
  const times = users.length > 100 ? 2 : 120
  for (const [i, userId] of users.entries()) {
    for (let k = i; k < i + times; k++) {
      const slot = k % ROTATION
      engine.score({ userId, candidates: arrays[k % arrays.length], context: hours[slot], profileFeatures: known[slot], policy })
      engine.reward({ userId, ...rewards[slot], profileFeatures: known[slot], policy })
    }
  }
}

/** Strings as they come: parsed anew, not hashed, equal to the known ones but not the same. @param {readonly string[]} ids @returns {string[]} */
const asTheyCome = (ids) => JSON.parse(JSON.stringify(ids))

class Runner {
  /** @param {string} name @param {any} engine @param {any} inputs @param {string} operation @param {any} sampling */
  constructor(name, engine, inputs, operation, sampling) {
    this.name = name
    this.engine = engine
    this.inputs = inputs
    this.sampling = sampling
    this.timed = sampling.timed[operation]
    this.unit = operation === 'scoreMany' ? BATCH : 1
    this.calls = this.unit
    /** @type {number[]} ns per call, one per round */
    this.times = []
  }

  /** One sample, in ns per call. @param {() => number} rng draws the users */
  sample(rng) {
    const { users } = this.inputs
    const ids = Array.from({ length: this.calls }, () => users[Math.floor(rng() * users.length)])
    return (this.timed(this.engine, this.inputs, asTheyCome(ids)) * 1e6) / this.calls
  }

  /** Until it is compiled and as fast as it gets; ends with as many calls as make a sample take SAMPLE_MS. @param {() => number} rng @param {number} ms */
  warm(rng, ms) {
    const recent = []
    for (const start = performance.now(); performance.now() - start < ms || recent.length < 3; ) {
      recent.push(this.sample(rng))
      const units = Math.round((SAMPLE_MS * 1e6) / median(recent.slice(-9)) / this.unit)
      this.calls = this.unit * Math.min(MOST_CALLS / this.unit, Math.max(1, units))
    }
  }
}

/** @param {string} name @param {Job} job @param {Inputs} inputs */
export async function makeRunner(name, { scenario, directory }, inputs) {
  const own = join(directory, name)
  mkdirSync(own)
  const definition = engineNamed(name)
  const engine = await definition.create(own)
  givePast(engine, inputs)
  const prepared = scenario.prepared === true && definition.prepared === true
  const arrays = prepared ? inputs.arrays.map((array) => engine.prepare(array)) : inputs.arrays
  return new Runner(name, engine, { ...inputs, arrays }, scenario.operation, await import(`./sampling.mjs?of=${name}`))
}

/** @param {Job} job @returns {Promise<Answer>} */
export async function measure(job) {
  const inputs = makeInputs(job.scenario, job.seed)
  const runners = []
  for (const name of [job.subject, ...job.scenario.opponents]) runners.push(await makeRunner(name, job, inputs))
  const rng = random(job.seed + 5)
  // Twice: what one engine's warming up does to what is shared (the heap, the caches) must not meet the others' samples only.
  for (const share of [0.7, 0.3]) for (const runner of runners) runner.warm(rng, job.warmMs * share)

  for (let round = 0; round < job.rounds; round++) {
    // Another one begins each time: who follows whom must not matter.
    for (let k = 0; k < runners.length; k++) {
      const runner = runners[(round + k) % runners.length]
      runner.times.push(runner.sample(rng))
    }
  }
  const [subject, ...opponents] = runners
  return {
    ns: Object.fromEntries(runners.map(({ name, times }) => [name, median(times)])),
    ratios: Object.fromEntries(opponents.map(({ name, times }) => [name, median(times.map((time, round) => time / subject.times[round]))])),
    checksum: runners.reduce((sum, runner) => sum + runner.sampling.checksum(), 0),
  }
}
