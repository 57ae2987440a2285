// @ts-check
// Judges bit flips (flips.mjs) one after the other: a list of them on stdin, a line of JSON for each on stdout.

import { readFileSync, rmSync, writeFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'

import { BanditError, Bandits } from '@oo/bandits'
import { keyOf, putTogether, readStateFiles } from './directory.mjs'
import { POLICIES } from './features.mjs'
import { flipped, USERS } from './flips.mjs'
import { copyDirectory } from './scratch.mjs'
import { userIds } from './script.mjs'
import { wholeOf } from './specimen.mjs'
import { start, statsProblems } from './standing.mjs'

/** @typedef {import('./flips.mjs').Flip} Flip */
/** @typedef {import('./standing.mjs').Standing} Standing */
/** @typedef {Map<string, Standing>} Standings */

const users = userIds(USERS)
const work = process.argv[2] ?? ''
/** @type {Map<string, ReturnType<typeof look>>} */
const specimens = new Map()

/** A specimen's own numbers, and its histories as the engine gives them when nothing is damaged. @param {string} directory */
function look(directory) {
  const whole = wholeOf(directory)
  copyDirectory(directory, work)
  const bandits = Bandits.open({ stateDir: work, seed: 1 })
  const histories = new Map(users.map((userId) => [userId, bandits.features(userId).history]))
  return { ...whole, histories, closing: bandits.close() }
}

/**
 * The record whose line holds the byte, and the numbers without it.
 * @param {ReturnType<typeof look>} specimen @param {Flip} flip
 */
function withoutLine({ files, lines }, { file, byte }) {
  const hit = lines.find(({ segment, offset, bytes }) => join('log', segment) === file && offset <= byte && byte < offset + bytes)
  return { record: hit?.record, standings: putTogether(files, lines.filter((line) => line !== hit)).standings }
}

/** @param {Bandits} bandits @param {string} userId @param {import('@oo/bandits').PolicyName} policy */
function ask(bandits, userId, policy) {
  try {
    return bandits.stats(userId, policy)
  } catch (error) {
    if (!(error instanceof BanditError)) throw error
    return error
  }
}

/**
 * @param {Flip} flip
 * @returns {Promise<{ outcome: string, problems: string[] }>}
 */
async function judge(flip) {
  let specimen = specimens.get(flip.specimen)
  if (specimen === undefined) specimens.set(flip.specimen, (specimen = look(flip.specimen)))
  await specimen.closing
  copyDirectory(flip.specimen, work)
  writeFileSync(join(work, flip.file), flipped(join(work, flip.file), flip))
  const inLog = flip.file.startsWith('log')
  const inStateFile = !inLog && flip.file.endsWith('.json') && !flip.file.startsWith('.')

  let bandits
  try {
    bandits = Bandits.open({ stateDir: work, seed: 1 })
  } catch (error) {
    if (!(error instanceof BanditError)) throw error
    // A state directory that does not open needs a person, so a damaged record or file must not be enough for it.
    return { outcome: `open: ${error.code}`, problems: inLog || inStateFile ? [`open() failed: ${error.message}`] : [] }
  }
  const missing = inLog ? withoutLine(specimen, flip) : undefined
  /** @type {string[]} */
  const problems = []
  let differing = 0
  let refused = 0
  for (const userId of users) {
    const refusedBefore = refused
    for (const policy of POLICIES) {
      const key = keyOf(userId, policy)
      const stats = ask(bandits, userId, policy)
      if (stats instanceof BanditError) {
        refused++
        // With a log from the first record on there is always something to rebuild from, but for whom the log does not know either:
        // a damaged file does not say whose it is of those who share its name.
        const isUnknown = !specimen.standings.has(key)
        if (stats.code !== 'ERR_STATE_CORRUPT' || !(flip.kind === 'short' || isUnknown) || !inStateFile) problems.push(`${key}: ${stats.message}`)
        continue
      }
      const wrong = statsProblems(stats, specimen.standings.get(key) ?? start(policy), key)
      if (wrong.length === 0) continue
      differing++
      const isWithout = missing !== undefined && statsProblems(stats, missing.standings.get(key) ?? start(policy), key).length === 0
      const isOfPart = flip.kind === 'short' && inStateFile
      if (!isWithout && !isOfPart) problems.push(...wrong)
    }
    if (refused > refusedBefore) continue
    const { history } = bandits.features(userId)
    const expected = specimen.histories.get(userId) ?? []
    const record = missing?.record
    const isOwn = record?.['userId'] === userId
    // A lost reset brings back what it had cleared.
    const isRight = JSON.stringify(history) === JSON.stringify(expected)
      || (isOwn && record?.kind === 'reset')
      || (isOwn && record?.kind === 'decision' && JSON.stringify(history) === JSON.stringify(expected.filter(({ tipId }) => !record?.['ids'].includes(tipId))))
      || (isOwn && record?.kind === 'pull' && JSON.stringify(history) === JSON.stringify(expected.filter(({ tipId }) => tipId !== record?.['tipId'])))
      || (flip.kind === 'short' && inStateFile)
    if (!isRight) problems.push(`${userId}: a history of ${history.length} (${history.map(({ tipId }) => tipId)}) instead of ${expected.length} (${expected.map(({ tipId }) => tipId)})`)
    else if (JSON.stringify(history) !== JSON.stringify(expected)) differing++
  }
  const { recovery } = /** @type {any} */ (bandits)
  const { damagedFiles } = /** @type {any} */ (bandits.health())
  const said = damagedFiles.length + recovery.damagedLines + recovery.tornLines
  if (differing > 0 && said === 0) problems.push('wrong numbers, and nothing is said')
  if (differing > 0 && inStateFile && !damagedFiles.some((/** @type {any} */ file) => file.rebuilt === 'partial')) problems.push(`wrong numbers, and said to be complete: ${JSON.stringify(damagedFiles)}`)
  const before = new Map(users.map((userId) => [userId, POLICIES.map((policy) => ask(bandits, userId, policy))]))
  await bandits.close()
  if (refused === 0 && problems.length === 0) problems.push(...mended(before, flip))
  if (flip.number % 10 === 0 && problems.length === 0) problems.push(...await again(before))
  const outcome = differing > 0 ? `${inLog ? 'a record' : 'a file'} lost and said` : refused > 0 ? 'refused' : said > 0 ? 'mended' : 'no effect'
  return { outcome, problems }
}

/**
 * What was said stands in the files when the engine is closed.
 * @param {Map<string, ReturnType<typeof ask>[]>} said
 * @param {Flip} flip
 */
function mended(said, { file: damaged }) {
  /** @type {Map<string, import('./directory.mjs').StateFile>} */
  let files
  try {
    files = readStateFiles(work)
  } catch (error) {
    // Where the stamp itself was hit, the file may pass for somebody else's; its user then has another.
    try {
      rmSync(join(work, damaged))
      files = readStateFiles(work)
    } catch {
      return [`a damaged file is still there after close(): ${String(error)}`]
    }
  }
  return users.flatMap((userId) => POLICIES.flatMap((policy, i) => {
    const key = keyOf(userId, policy)
    return statsProblems(/** @type {any} */ (said.get(userId)?.[i]), files.get(key)?.standing ?? start(policy), `${key} in the files after close()`)
  }))
}

/** What was mended stays mended. @param {Map<string, ReturnType<typeof ask>[]>} before */
async function again(before) {
  const bandits = Bandits.open({ stateDir: work, seed: 1 })
  const { damagedLines, tornLines } = /** @type {any} */ (bandits).recovery
  // Who was refused only because a neighbour's file was damaged is new when that is mended.
  const isNew = (/** @type {any} */ stats) => !(stats instanceof BanditError) && stats.pulls === 0 && stats.rewardCount === 0
  const numbers = (/** @type {any} */ stats) => (stats instanceof BanditError ? stats.code : { ...stats, theta: stats.theta.map((/** @type {number} */ value) => value.toFixed(9)) })
  const problems = users.flatMap((userId) => POLICIES.flatMap((policy, i) => {
    const [first, second] = [numbers(before.get(userId)?.[i]), numbers(ask(bandits, userId, policy))]
    const wasRefused = before.get(userId)?.[i] instanceof BanditError
    return JSON.stringify(first) === JSON.stringify(second) || (wasRefused && isNew(ask(bandits, userId, policy))) ? [] : [`${keyOf(userId, policy)}: ${JSON.stringify(second)} at the next open instead of ${JSON.stringify(first)} (${damagedLines}, ${tornLines})`]
  }))
  await bandits.close()
  return problems
}

const flips = /** @type {Flip[]} */ (JSON.parse(readFileSync(0, 'utf8')))
for (const flip of flips) {
  const { outcome, problems } = await judge(flip).catch((error) => ({ outcome: 'an untyped error', problems: [String(error.stack)] }))
  const where = `flip ${flip.number} (${flip.kind}, ${flip.file} byte ${flip.byte} bit ${flip.bit})`
  writeSync(1, `${JSON.stringify({ number: flip.number, outcome, problems: problems.slice(0, 3).map((problem) => `${where}: ${problem}`) })}\n`)
}
rmSync(work, { recursive: true, force: true })
