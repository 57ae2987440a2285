// @ts-check
// Decisions with reactions that come twice, out of order, late over restarts and revised, with resets, users that leave memory,
// changes of policies and kill -9 in between: what is known of everybody in the end is what each final reward teaches, once.
//
//   npm run torture -- decisions [--decisions 100000] [--seed N]

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

import { Bandits } from '@oo/bandits'
import { random } from '../bench/workload.mjs'
import { keyOf, readStateFiles } from '../torture/directory.mjs'
import { POLICIES } from '../torture/features.mjs'
import { quickPlace, withScratch } from '../torture/scratch.mjs'
import { callsOf } from './torture-calls.mjs'
import { Oracle } from './torture-oracle.mjs'

/** @typedef {import('./torture-calls.mjs').Call} Call */
/** @typedef {import('@oo/bandits').PolicyName} PolicyName */
/** @typedef {{ calls: Call[], options: import('@oo/bandits').BanditsOptions, stop: number, spinMs: number }} Life `stop`: killed after so many calls, or during open(); else it closes by itself */

const CHILD = fileURLToPath(new URL('torture-child.mjs', import.meta.url))
/** So many decisions a user, on average: far below what a user's ledger holds, so that only resets expire. */
const DECISIONS_EACH = 20
/** For `stop`. */
const NEVER = -1
const DURING_OPEN = -2

/** @param {{ decisions: number, seed: number, onLife?: (done: number) => void }} settings */
export async function decisionTorture({ decisions, seed, onLife }) {
  const rng = random(seed)
  const oracle = new Oracle()
  const script = callsOf({ rng: random(seed + 1), users: Math.ceil(decisions / DECISIONS_EACH) })
  const longest = Math.max(200, Math.min(6000, decisions / 6))
  const figures = { lives: 0, kills: 0, duringOpen: 0, inFlight: 0, survived: 0, evicted: 0 }
  await withScratch(async (scratch) => {
    const stateDir = join(scratch, 'state')
    /** @type {string[]} */
    const problems = []
    /** @type {Call[]} that a killed child did not come to */
    let left = []
    while (oracle.tally.decisions < decisions && problems.length === 0) {
      const life = drawLife(rng, left, script, longest, seed * 7919 + figures.lives)
      const { inFlight, made, opened, evicted, wrong } = await live(life, oracle, stateDir, join(scratch, 'life.json'))
      left = life.calls.slice(made)
      problems.push(...wrong)
      figures.lives++
      figures.kills += life.stop === NEVER ? 0 : 1
      figures.duringOpen += life.stop === DURING_OPEN && !opened ? 1 : 0
      figures.inFlight += inFlight === undefined ? 0 : 1
      figures.evicted += evicted
      oracle.life++
      if (problems.length === 0) {
        const { problems: found, survived } = await look(stateDir, oracle, inFlight)
        problems.push(...found)
        figures.survived += survived ? 1 : 0
      }
      onLife?.(oracle.tally.decisions)
    }
    if (problems.length === 0) problems.push(...judge(stateDir, oracle), ...proof(oracle, figures))
    if (problems.length > 0) throw new Error(`decisions, seed ${seed}, after ${oracle.tally.decisions}: ${problems.length} problems:\n  ${problems.slice(0, 20).join('\n  ')}\n${JSON.stringify({ ...oracle.tally, ...figures })}`)
  }, quickPlace())
  return { ...oracle.tally, ...figures, users: oracle.users.size, seed }
}

/** @param {() => number} rng @param {Call[]} left @param {Generator<Call, never>} script @param {number} longest @param {number} seed @returns {Life} */
function drawLife(rng, left, script, longest, seed) {
  const count = 50 + Math.floor(rng() * longest)
  const calls = Array.from({ length: count }, (_call, i) => left[i] ?? script.next().value)
  // What is left over now comes later, too.
  calls.push(...left.slice(count))
  const hot = rng() < 0.5 ? { maxHotUsers: 5 + Math.floor(rng() * 40) } : {}
  const how = rng()
  const stop = how < 0.15 ? DURING_OPEN : how < 0.35 ? NEVER : Math.floor(rng() * count)
  return { calls, options: { seed, historySize: 5, ...hot }, stop, spinMs: rng() * (stop === DURING_OPEN ? 12 : 0.3) }
}

/**
 * Runs a child until it is killed or has closed, and tells the oracle what it said.
 * @param {Life} life @param {Oracle} oracle @param {string} stateDir @param {string} path of the file that the child reads its life from
 */
async function live({ calls, options, stop, spinMs }, oracle, stateDir, path) {
  const decided = Object.fromEntries(calls.flatMap((call) => {
    const { id, at } = (call.kind === 'feedback' ? oracle.decisions[call.slot] : undefined) ?? {}
    return id === undefined ? [] : [[/** @type {any} */ (call).slot, { id, at }]]
  }))
  writeFileSync(path, JSON.stringify({ stateDir, options, calls, decided, close: stop === NEVER }))
  const { NODE_OPTIONS: _options, STATE_DIR: _dir, ACTIVE_POLICY: _policy, ...env } = process.env
  const child = spawn(process.execPath, [CHILD, path], { env, stdio: ['ignore', 'inherit', 'inherit', 'pipe'] })
  const ended = once(child, 'close')
  /** @type {string[]} */
  const wrong = []
  let [made, answered, evicted, phase, rest] = [0, 0, 0, '', '']
  /** @param {string} word */
  const hear = (word) => {
    if (word === 'i') made++
    else if (['o', 'O', 'C'].includes(word)) phase = word
    else if (word.startsWith('e ')) evicted = Number(word.slice(2))
    else if (word.startsWith('! ')) wrong.push(`the child failed: ${word.slice(2)}`)
    else {
      const problem = take(oracle, /** @type {Call} */ (calls[answered++]), word)
      if (problem !== undefined) wrong.push(problem)
    }
  }
  const pipe = /** @type {import('node:stream').Readable} */ (child.stdio[3])
  pipe.setEncoding('utf8').on('data', (text) => {
    const words = (rest + text).split('\n')
    rest = words.pop() ?? ''
    words.forEach(hear)
    if ((stop === DURING_OPEN ? phase !== '' : stop >= 0 && phase === 'O' && answered >= stop) && !child.killed) {
      for (const end = performance.now() + spinMs; performance.now() < end; );
      child.kill('SIGKILL')
    }
  })
  await ended
  if (stop === NEVER && phase !== 'C') wrong.push('the child ended without a close')
  return { inFlight: made > answered ? calls[answered] : undefined, made, opened: phase !== 'o', evicted, wrong }
}

/** Holds an answer against what it has to be, and takes it over. @param {Oracle} oracle @param {Call} call @param {string} word */
function take(oracle, call, word) {
  const [kind, ...rest] = word.split(' ')
  if (word === 'r ERR_BACKPRESSURE') {
    oracle.tally.refused++
    return undefined
  }
  const said = `${word} instead of`
  if (call.kind === 'recommend') {
    const [id, index, policies = '', at] = rest
    if (kind !== 'd') return `a decision: ${word}`
    const [active, ...others] = policies.split(',')
    oracle.decide(call.request, call.slot, { id: String(id), at: Number(at) }, Number(index))
    return `${[active, ...others].toSorted()}` === `${oracle.enabled().toSorted()}` ? undefined : `chosen by ${policies} instead of ${oracle.enabled()}`
  }
  if (call.kind === 'feedback') {
    const decision = oracle.decisions[call.slot]
    if (decision?.id === undefined) return word === 'r NEVER' ? undefined : `${said} never decided`
    const expected = oracle.expect(decision, call)
    const sorted = kind === 'f' ? `f ${rest[0]} ${rest[1]} ${rest[2]?.split(',').toSorted()}` : word
    if (sorted !== expected) return `${said} ${expected}: ${JSON.stringify(call)} on ${JSON.stringify(decision)}`
    if (expected.startsWith('f 1')) oracle.react(decision, call)
    else oracle.tally[kind === 'f' ? 'ignored' : 'expired']++
    return undefined
  }
  if (call.kind === 'setPolicy') {
    const isRefused = call.policy === oracle.active && ['off', 'shadow'].includes(call.change.mode)
    if (isRefused) return word === 'r ERR_INVALID_ARGUMENT' ? undefined : `${said} a refusal: ${JSON.stringify(call)}`
    if (word === 'a') oracle.change(call.policy, call.change)
  }
  if (call.kind === 'reset' && word === 'a') oracle.reset(call.userId)
  return word === 'a' ? undefined : `${said} a: ${JSON.stringify(call)}`
}

/**
 * Opens what the child has left. The call that was in flight has happened or not; then the oracle holds on to what is seen.
 * @param {string} stateDir @param {Oracle} oracle @param {Call | undefined} inFlight
 */
async function look(stateDir, oracle, inFlight) {
  /** @type {string[]} */
  const problems = []
  const bandits = Bandits.open({ stateDir, historySize: 5, seed: 1 })
  const seenOf = (/** @type {string} */ userId) => new Map(POLICIES.map((policy) => [policy, bandits.stats(userId, policy)]))
  const roles = bandits.policies()
  const seenRoles = JSON.stringify([roles.find(({ mode }) => mode === 'active')?.name, roles.filter(({ mode }) => mode === 'off').map(({ name }) => name)])
  let survived = false
  const userId = inFlight === undefined ? undefined : oracle.userOf(inFlight)
  if (inFlight?.kind === 'setPolicy' && seenRoles !== oracle.roles()) {
    oracle.change(inFlight.policy, inFlight.change)
    survived = true
  } else if (inFlight !== undefined && userId !== undefined && oracle.statsDifference(userId, seenOf(userId)) !== undefined) {
    if (inFlight.kind === 'recommend') oracle.decide(inFlight.request, inFlight.slot)
    if (inFlight.kind === 'reset') oracle.reset(userId)
    if (inFlight.kind === 'feedback') {
      const decision = /** @type {import('./torture-oracle.mjs').Decision} */ (oracle.decisions[inFlight.slot])
      if (oracle.expect(decision, inFlight).startsWith('f 1')) oracle.react(decision, inFlight)
    }
    survived = true
  }
  if (seenRoles !== oracle.roles()) problems.push(`policies are ${seenRoles} instead of ${oracle.roles()}`)
  for (const touched of oracle.touched) {
    const wrong = oracle.statsDifference(touched, seenOf(touched))
    if (wrong !== undefined) problems.push(wrong)
  }
  oracle.touched.clear()
  const { damagedFiles } = bandits.health()
  const { damagedLines, ambiguousUsers } = bandits.recovery
  if (damagedLines > 0 || damagedFiles.length > 0 || ambiguousUsers.length > 0) problems.push(`damage: ${JSON.stringify([bandits.recovery, damagedFiles])}`)
  await bandits.close()
  return { problems, survived }
}

/** Holds everybody's files against the oracle. @param {string} stateDir @param {Oracle} oracle */
function judge(stateDir, oracle) {
  const files = readStateFiles(stateDir)
  const differences = () => [...oracle.users.keys()].flatMap((userId) => POLICIES.flatMap((policy) => oracle.fileDifference(userId, policy, files.get(keyOf(userId, policy))?.standing) ?? []))
  const problems = differences()
  for (const [key, { userId }] of files) if (!oracle.users.has(userId)) problems.push(`a file of somebody unknown: ${key}`)
  // That the judge can tell: one reward a little different, and one twice.
  const learned = [...oracle.users.values()].flatMap((user) => user.decisions.filter((decision) => decision.final !== undefined).map((decision) => ({ user, decision })))
  const { user, decision } = learned[Math.floor(learned.length / 2)] ?? {}
  if (user === undefined || decision?.final === undefined) return [...problems, 'nothing was learned']
  decision.final.reward += 1e-6
  if (differences().length === problems.length) problems.push('the judge cannot tell another reward')
  decision.final.reward -= 1e-6
  user.decisions.push(decision)
  if (differences().length === problems.length) problems.push('the judge cannot tell a reward that counts twice')
  user.decisions.pop()
  return problems
}

/** That the run did what it is for. @param {Oracle} oracle @param {Record<string, number>} figures @returns {string[]} */
function proof({ tally }, { kills = 0, evicted = 0 }) {
  return [
    tally.revised < tally.decisions / 20 ? ['few revisions'] : [], tally.ignored < tally.decisions / 20 ? ['few that came twice or late'] : [], tally.expired < 1 ? ['none expired'] : [],
    tally.late < 1 ? ['none over a restart'] : [], kills < 2 ? ['few kills'] : [], evicted < 1 ? ['nobody left memory'] : [], tally.changes < 1 ? ['no change of policies'] : [],
  ].flat()
}
