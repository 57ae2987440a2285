// @ts-check
// One kind of call in one process of the paired bench: two builds of the package make the same calls, taking turns. Answers with a line of JSON.
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { median } from './statistics.mjs'
import { candidateArrays, contexts, random, uuid } from './workload.mjs'

/** @typedef {{ name: string, call: string, n: number, log: 'on' | 'off', prepared?: boolean, options?: object }} Kind */
/** @typedef {{ kind: Kind, builds: [string, string], rounds: number, directory: string, seed: number }} Job */
/** @typedef {{ ratio: number, ns: [number, number], calls: number, checksum: number }} Answer `ratio`: the second build's time by the first one's */

/** Short: what else the machine does then meets few of the blocks, and medians leave those out. */
const BLOCK_MS = 0.5
const WARM_MS = 250
const MOST_CALLS = 4096

/** @type {Job} */
const { kind, builds, rounds, directory, seed } = JSON.parse(process.argv[2])
const rng = random(seed)
const users = Array.from({ length: 64 }, () => uuid(rng))
const inputs = {
  arrays: candidateArrays(kind.n, seed + 1), contexts: contexts(seed + 2), userIds: users,
  rewards: candidateArrays(64, seed + 3)[0].map(({ id, features }) => ({ tipId: id, features: { ...features, hourOfDay: 9 } })),
}

/** @param {string} build @param {number} place */
async function side(build, place) {
  const { Bandits } = createRequire(import.meta.url)(build)
  const engine = Bandits.open({ stateDir: join(directory, String(place)), seed: 1, log: kind.log, ...(place === 1 && kind.options) })
  for (const [i, userId] of users.entries()) engine.reward({ userId, tipId: 't', reward: i % 2, features: { priority: 1 + (i % 4), hourOfDay: i % 24 } })
  const arrays = kind.prepared ? inputs.arrays.map((array) => engine.prepare(array)) : inputs.arrays
  const { timed, checksum } = await import(`./paired-calls.mjs?of=${place}`)
  const run = (/** @type {number} */ calls) => timed[kind.call](engine, { ...inputs, arrays }, calls)
  return { run, checksum, settle: () => (kind.log === 'on' ? engine.flush() : undefined) }
}

// Which of the two is loaded first changes from process to process.
const order = seed % 2 === 0 ? [0, 1] : [1, 0]
/** @type {Awaited<ReturnType<typeof side>>[]} */
const sides = []
for (const place of order) sides[place] = await side(builds[place], place)

/** Until both are compiled; ends with as many calls as make a block of the slower one take BLOCK_MS. */
async function warm() {
  let blocks = 4
  for (const start = performance.now(); performance.now() - start < 2 * WARM_MS; ) {
    const took = Math.max(sides[0].run(blocks), sides[1].run(blocks), 0.01)
    blocks = Math.max(1, Math.min(MOST_CALLS, Math.round((blocks * BLOCK_MS) / took)))
    for (const { settle } of sides) await settle()
  }
  return blocks
}

const calls = await warm()

const ratios = []
/** @type {[number[], number[]]} */
const times = [[], []]
for (let round = 0; round < rounds; round++) {
  // ABBA, then BAAB: what changes steadily meets both alike.
  const [x, y] = (round + seed) % 2 === 0 ? [0, 1] : [1, 0]
  const sums = [0, 0]
  for (const place of [x, y, y, x]) sums[place] += sides[place].run(calls)
  for (const place of [0, 1]) times[place].push((sums[place] * 1e6) / (2 * calls))
  ratios.push(sums[1] / sums[0])
  for (const { settle } of sides) await settle()
}
/** @type {Answer} */
const answer = { ratio: median(ratios), ns: [median(times[0]), median(times[1])], calls, checksum: sides[0].checksum() + sides[1].checksum() }
process.stdout.write(`${JSON.stringify(answer)}\n`, () => process.kill(process.pid, 'SIGKILL'))
