// @ts-check
// `npm run bench:decisions`: what a decision and a reaction cost. Ratios within one run, taking turns:
//   recommend() of ten candidates under three policies against three score() of the same (one a policy) and two bare appends
//   (fs.writeSync) of a line of its size;
//   feedback() to a decision, which three policies learn from, against reward().
import { closeSync, openSync, readdirSync, readFileSync, rmSync, writeSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { conditions } from './conditions.mjs'
import { say, timed, turns } from './turns.mjs'

const { Bandits } = createRequire(import.meta.url)('@oo/bandits')
const ROOT = fileURLToPath(new URL(`../../.cache/decisions-bench-${process.pid}/`, import.meta.url))
const ROUNDS = 31
const CALLS = 2000
/** @type {import('../../index.d.ts').PolicyName[]} */
const POLICIES = ['egreedy-v1', 'linucb-v1', 'egreedy-v2']
const candidates = Array.from({ length: 10 }, (_, i) => ({
  id: `task-${i}-${'x'.repeat(29)}`,
  features: { isOverdue: i % 2 === 0, taskAgeDays: i * 1.5, priority: 1 + (i % 4) },
}))
const context = { hourOfDay: 9, dayOfWeek: 2 }
const request = { userId: 'user-1', candidates, context }
const scores = POLICIES.map((policy) => ({ ...request, policy }))
const reward = { userId: 'user-1', tipId: candidates[1].id, reward: 1, features: { ...candidates[1].features, hourOfDay: 9 }, dayOfWeek: 2 }

const bandits = Bandits.open({ stateDir: join(ROOT, 'state'), seed: 1 })
try {
  const { cpu, system, node } = conditions()
  process.stdout.write(`${cpu}, ${system}, ${node}\n`)
  await decisions()
  await reactions()
} finally {
  await bandits.close()
  rmSync(ROOT, { recursive: true, force: true })
}

async function decisions() {
  bandits.recommend(request)
  await bandits.flush()
  const log = join(ROOT, 'state', 'log')
  const lines = readdirSync(log).flatMap((segment) => readFileSync(join(log, segment), 'utf8').split('\n'))
  const line = Buffer.from(`${lines.findLast((text) => text.includes('"kind":"decision"'))}\n`)
  const bare = openSync(join(ROOT, 'bare'), 'a')
  const three = () => timed(CALLS, () => scores.forEach((one) => bandits.score(one)))
  const append = () => timed(CALLS, () => writeSync(bare, line))
  let appended = 0
  const { a, b, ratio } = await turns(
    ROUNDS,
    () => timed(CALLS, () => bandits.recommend(request)),
    () => three() + 2 * (appended = append()),
    () => bandits.flush(),
  )
  closeSync(bare)
  say(`recommend(), n=10, 3 policies, a line of ${line.length} B`, `${us(a)}, allowed ${us(b)} (append ${us(appended)}): ${ratio.toFixed(2)}`, ratio <= 1, '≤ 1')
}

async function reactions() {
  const { a, b, ratio } = await turns(
    ROUNDS,
    () => {
      const ids = Array.from({ length: CALLS }, () => bandits.recommend(request).decisionId)
      return timed(CALLS, (i) => bandits.feedback({ decisionId: ids[i], action: 'done' }))
    },
    () => timed(CALLS, () => bandits.reward(reward)),
    () => bandits.flush(),
  )
  say('feedback(), three policies, against reward()', `${us(a)} / ${us(b)}: ${ratio.toFixed(2)}`, ratio <= 4, '≤ 4')
}

/** @param {number} ns */
function us(ns) {
  return `${(ns / 1000).toFixed(2)} µs`
}
