// @ts-check
// Recovery done again by the documents alone: what a state directory says of each user, from its files and its log.

import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

import { compareSeq, lowWaterOf, readLog, tailNames } from './log-reader.mjs'
import { copy, learn, revise, start } from './standing.mjs'
import { POLICIES } from './features.mjs'

/** @typedef {import('./standing.mjs').Standing} Standing */
/** @typedef {import('./log-reader.mjs').Line} Line */
/** @typedef {import('./log-reader.mjs').Seq} Seq */
/** @typedef {import('@oo/bandits').PolicyName} PolicyName */
/** @typedef {{ name: string, userId: string, policy: PolicyName, standing: Standing, seq: Seq, learned: Map<string, number>, meta: Record<string, any> }} StateFile `learned`: the last reward of each decision */

/** Of one user under one policy. @param {string} userId @param {string} policy */
export const keyOf = (userId, policy) => `${policy} ${userId}`

/** The names of the state files; what the package keeps beside them starts with a dot or is a directory. @param {string} stateDir */
export function stateFileNames(stateDir) {
  const entries = readdirSync(stateDir, { withFileTypes: true })
  return entries.filter((entry) => entry.isFile() && entry.name.endsWith('.json') && !entry.name.startsWith('.')).map(({ name }) => name)
}

/**
 * @typedef {(name: string) => { userId: string, policy: PolicyName } | undefined} Owner whose a file is that does not say so itself
 */

/** @param {string} stateDir @param {string} name @param {Owner} [ownerOf] @returns {StateFile} */
export function readStateFile(stateDir, name, ownerOf) {
  const { A, b, meta } = JSON.parse(readFileSync(join(stateDir, name), 'utf8'))
  const [epoch, n] = meta.seq ?? [0, 0]
  const standing = { A, b, pulls: meta.pulls ?? 0, explored: meta.explore_count ?? 0, rewards: meta.reward_count ?? 0, sum: meta.cumulative_reward ?? 0 }
  const { userId = meta.user_id, policy = meta.policy } = meta.user_id === undefined ? (ownerOf?.(name) ?? {}) : {}
  const learned = new Map((meta.feedback?.entries ?? []).map((/** @type {number[]} */ [decisionEpoch, decisionN, _at, reward]) => [`${decisionEpoch},${decisionN}`, reward]))
  return { name, userId, policy, standing, seq: [epoch, n], learned, meta }
}

/** @param {string} stateDir @param {Owner} [ownerOf] @returns {Map<string, StateFile>} */
export function readStateFiles(stateDir, ownerOf) {
  const files = stateFileNames(stateDir).map((name) => readStateFile(stateDir, name, ownerOf))
  const byKey = new Map(files.map((file) => [keyOf(file.userId, file.policy), file]))
  if (byKey.size !== files.length) throw new Error(`two files of one user and policy: ${files.map(({ name }) => name).sort()}`)
  return byKey
}

/** Which policies a line about a user is about. @param {import('./log-reader.mjs').LogRecord} record @returns {PolicyName[]} */
function policiesOf({ kind, policy, choices, policies }) {
  if (kind === 'reset') return POLICIES
  if (kind === 'decision') return choices.map((/** @type {any} */ choice) => choice.policy)
  return kind === 'feedback' ? policies : [policy]
}

/**
 * Files and log put together: each record above the low-water mark that a file's own sequence does not cover, in the order of
 * sequences, once. Users and policies that are not in it stand at the start.
 * @param {Map<string, StateFile>} files
 * @param {Line[]} lines
 * @param {Seq} [lowWater] all up to this is in the files, or in files that somebody has removed since
 */
export function putTogether(files, lines, lowWater = lowWaterOf(lines)) {
  /** @type {Map<string, Standing>} */
  const standings = new Map()
  for (const [key, file] of files) standings.set(key, copy(file.standing))
  /** What was learned from which decision. */
  const learned = new Map([...files].map(([key, file]) => [key, new Map(file.learned)]))
  let beyondFiles = 0
  /** @type {Set<string>} */
  const done = new Set()
  const records = lines.flatMap(({ record }) => (record !== null && 'userId' in record && !['policy', 'dead'].includes(record.kind) ? [record] : []))
  for (const record of records.sort((a, b) => compareSeq(a.seq, b.seq))) {
    const { seq, kind, userId } = record
    if (compareSeq(seq, lowWater) <= 0 || done.has(`${seq}`)) continue
    done.add(`${seq}`)
    let applied = false
    for (const each of policiesOf(record)) {
      const key = keyOf(userId, each)
      const file = files.get(key)
      if (file !== undefined && compareSeq(seq, file.seq) <= 0) continue
      // A policy that knows nothing of the user has nothing to go back from.
      if (kind === 'reset' && !standings.has(key)) continue
      const standing = standings.get(key) ?? start(each)
      standings.set(key, kind === 'reset' ? start(each) : standing)
      if (kind === 'pull' || kind === 'decision') {
        const { exploring } = kind === 'pull' ? record : record['choices'].find((/** @type {any} */ choice) => choice.policy === each)
        standing.pulls++
        standing.explored += exploring && each !== 'linucb-v1' ? 1 : 0
      } else if (kind === 'reward') {
        learn(standing, each, /** @type {any} */ (record))
      } else if (kind === 'feedback') {
        const own = learned.get(key) ?? new Map()
        learned.set(key, own)
        const before = own.get(`${record['decision']}`)
        if (before === undefined) learn(standing, each, /** @type {any} */ (record))
        else revise(standing, each, /** @type {any} */ (record), before)
        own.set(`${record['decision']}`, record['reward'])
      } else if (kind === 'reset') {
        learned.delete(key)
      }
      applied = true
    }
    if (applied && kind !== 'pull') beyondFiles++
  }
  return { standings, beyondFiles }
}

/**
 * What a directory says without opening it.
 * @param {string} stateDir
 * @param {Owner} [ownerOf]
 */
export function readDirectory(stateDir, ownerOf) {
  const logDir = join(stateDir, 'log')
  const lines = readLog(logDir, tailNames(logDir))
  return { lines, ...putTogether(readStateFiles(stateDir, ownerOf), lines) }
}
