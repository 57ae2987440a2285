// @ts-check
// kill -9 at random moments of a child that rewards, scores and resets, some during its open(), some before it has written a
// file, some twice in a row. After each row of kills the directory has to hold what was acknowledged, once.

import { join } from 'node:path'

import { random } from '../bench/workload.mjs'
import { Child, PULL_MARGIN_MS, spin } from './child.mjs'
import { readDirectory } from './directory.mjs'
import { Oracle } from './oracle.mjs'
import { quickPlace, withScratch } from './scratch.mjs'
import { MIX_WITH_DECISIONS } from './script.mjs'
import { verify } from './verify.mjs'

/** @typedef {'late' | 'early'} Moment */
/** Rows of kills with nothing in between, and how often each is drawn: a third of all kills is early, and most of these come while there is something to recover. */
const ROWS = /** @type {[number, Moment[]][]} */ ([[45, ['late']], [30, ['late', 'early']], [10, ['late', 'early', 'early']], [10, ['late', 'late']], [5, ['early']]])
const USERS = 300
const HISTORY = 10
/** Every so many kills one life fills more than a segment. */
const LONG_EVERY = 250
const LONG_CALLS = 130_000

/**
 * @param {{ cycles: number, seed: number, onCycle?: (done: number) => void, retain?: boolean, place?: string, keep?: (stateDir: string) => Promise<void> }} settings `keep` sees the directory at the
 *   end. A killed process leaves to the kernel what it has written, so memory does for a disk, and more kills fit into a minute
 */
export async function killTorture({ cycles, seed, onCycle, keep, place = quickPlace(), retain = cycles > 50 }) {
  const rng = random(seed)
  const oracle = new Oracle({ historySize: HISTORY })
  const tally = { kills: 0, rows: 0, early: 0, duringOpen: 0, beforeMark: 0, beyondFiles: 0, recovered: 0, acknowledged: oracle.acknowledged, lost: oracle.lost, torn: 0, refusals: 0, longest: 0, seed }
  /** @type {string[]} */
  const problems = []
  const options = { historySize: HISTORY, ...(retain && { logRetentionBytes: 24 << 20 }) }
  await withScratch(async (scratch) => {
    const stateDir = join(scratch, 'state')
    let openMs = 5
    while (tally.kills < cycles && problems.length === 0) {
      for (const moment of draw(rng)) {
        const isLong = moment === 'late' && tally.longest < Math.floor((tally.kills + 1) / LONG_EVERY)
        if (isLong) tally.longest++
        const child = new Child(life(rng, stateDir, seed * 1_000_003 + tally.kills, options), oracle)
        const during = await killAt(child, moment, rng, openMs, isLong)
        tally.kills++
        tally.early += moment === 'early' ? 1 : 0
        tally.duringOpen += during === 'opening' ? 1 : 0
        tally.refusals += [...child.refusals.values()].reduce((sum, count) => sum + count, 0)
        const { beyondFiles, lines } = readDirectory(stateDir)
        tally.beyondFiles += beyondFiles > 0 ? 1 : 0
        tally.torn += lines.some(({ torn }) => torn) ? 1 : 0
        const epoch = lines.at(-1)?.record?.seq[0]
        tally.beforeMark += lines.some(({ record }) => record?.kind === 'mark' && record.seq[0] === epoch) ? 0 : 1
      }
      tally.rows++
      const verdict = await verify(stateDir, oracle, { ...options, seed: 1 })
      openMs = 0.8 * openMs + 0.2 * Math.min(50, verdict.openMs)
      tally.recovered += verdict.recovery?.applied > 0 ? 1 : 0
      if (verdict.beyondFiles > 0 && !(verdict.recovery?.applied > 0)) problems.push(`${verdict.beyondFiles} records beyond the files and none applied: ${JSON.stringify(verdict.recovery)}`)
      if (verdict.recovery?.damagedLines > 0 || verdict.health.damagedFiles?.length > 0) problems.push(`damage: ${JSON.stringify([verdict.recovery, verdict.health.damagedFiles])}`)
      if (verdict.recovery?.ambiguousUsers?.length > 0) problems.push(`no file is gone, and yet there are ambiguous users: ${verdict.recovery.ambiguousUsers}`)
      problems.push(...verdict.problems)
      onCycle?.(tally.kills)
    }
    if (problems.length === 0) problems.push(...proof(tally))
    if (problems.length > 0) throw new Error(`kill -9, seed ${seed}, after ${tally.kills} kills: ${problems.length} problems:\n  ${problems.slice(0, 20).join('\n  ')}\n${JSON.stringify(tally)}`)
    await keep?.(stateDir)
  }, place)
  return tally
}

/** That the run did what it is for. @param {any} tally */
function proof({ kills, early, beyondFiles, acknowledged, rows, recovered }) {
  /** @type {string[]} */
  const missing = []
  // A draw of few comes out as it does.
  const share = kills >= 100 ? 1 : 0
  const least = kills >= 10 ? 1 : 0
  if (acknowledged.rewards < 1 + share * 200 * kills) missing.push('fewer than 200 rewards a kill')
  if (acknowledged.decisions < 3 * least || acknowledged.feedback < 3 * least) missing.push('no decisions, or no feedback')
  if (beyondFiles < least + share * (kills / 2)) missing.push(`only ${beyondFiles} of ${kills} kills left acknowledged records beyond the files`)
  if (recovered < least + share * (rows / 2)) missing.push(`only ${recovered} of ${rows} rows of kills had something to recover`)
  if (early < share * 0.3 * kills) missing.push(`only ${early} of ${kills} kills were early`)
  return missing
}

/** @param {() => number} rng */
function draw(rng) {
  let left = rng() * 100
  for (const [weight, row] of ROWS) if ((left -= weight) < 0) return row
  return ['late']
}

/**
 * @param {() => number} rng @param {string} stateDir @param {number} seed @param {object} options
 * @returns {import('./worker.mjs').Life}
 */
function life(rng, stateDir, seed, options) {
  const one = (/** @type {number[]} */ ...from) => /** @type {number} */ (from[Math.floor(rng() * from.length)])
  const maxHotUsers = one(0, 0, 20, 100)
  return {
    stateDir, seed: seed % 2 ** 32, users: USERS, burst: one(1, 10, 50, 200), flushEvery: one(0, 0, 3, 20), checkpointEvery: one(0, 0, 0, 15), restartEvery: one(0, 0, 0, 40),
    options, mix: MIX_WITH_DECISIONS,
    ...(maxHotUsers > 0 && { options: { ...options, maxHotUsers }, watchDrops: true, mix: { ...MIX_WITH_DECISIONS, score: 30, scoreMany: 0 } }),
  }
}

/**
 * @param {Child} child @param {Moment} moment @param {() => number} rng @param {number} openMs how long open() takes @param {boolean} isLong
 * @returns {Promise<Child['phase']>} what it was doing
 */
async function killAt(child, moment, rng, openMs, isLong) {
  if (moment === 'early' && rng() < 0.6) {
    await child.until(({ phase }) => phase !== 'starting')
    // From its first system call to a little after its last.
    spin(rng() * 1.3 * openMs)
  } else {
    const calls = moment === 'early' ? Math.floor(rng() * 30) : isLong ? LONG_CALLS : 100 + Math.floor(rng() * 2000) + (rng() < 0.03 ? Math.floor(rng() * 20_000) : 0)
    await child.until(({ phase, returned }) => phase !== 'starting' && phase !== 'opening' && returned >= calls)
    spin(rng() * 0.3)
  }
  const at = await child.kill()
  child.oracle.endLife(({ kind, at: when }) => kind !== 'pull' || /** @type {number} */ (when) < at - PULL_MARGIN_MS, at)
  return child.phase
}
