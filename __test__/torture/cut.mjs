// @ts-check
// The last segment of a directory that kill -9 left, cut at every byte: what is there is the files and the lines that are whole.

import { cpSync, mkdirSync, rmSync, truncateSync } from 'node:fs'
import { join } from 'node:path'

import { Bandits } from '@oo/bandits'
import { userIds } from './script.mjs'
import { withScratch, quickPlace } from './scratch.mjs'
import { fileDifferences, statsDifferences } from './seen.mjs'
import { killedSpecimen, lastSegment, wholeOf } from './specimen.mjs'

/** Short lines mostly, so that many of them fit into the bytes that can be cut in a minute. */
const MIX = { reward: 30, score: 20, reset: 42, recommend: 4, feedback: 4 }
const USERS = 5

/**
 * @param {{ lines: number, everyByteOf?: number, seed: number }} settings every byte of so many last lines is cut, and of those before only at and beside their ends
 */
export async function cutEverywhere({ lines: count, everyByteOf = count + 1, seed }) {
  const tally = { cuts: 0, lines: 0, bytes: 0, torn: 0, recovered: 0, seed }
  await withScratch(async (scratch) => {
    const specimen = join(scratch, 'specimen')
    await killedSpecimen(specimen, { users: USERS, calls: 30, killedCalls: count, seed, mix: MIX })
    const { path, bytes, lines } = lastSegment(specimen)
    const before = wholeOf(specimen)
    const users = userIds(USERS)
    const fine = lines.at(-everyByteOf)?.offset ?? 0
    const ends = new Set(lines.flatMap(({ offset }) => [offset - 1, offset, offset + 1]))
    tally.lines = lines.length
    tally.bytes = bytes.length
    for (let length = 0; length <= bytes.length; length++) {
      if (length < fine && !ends.has(length)) continue
      tally.cuts++
      const stateDir = join(scratch, `cut-${length}`)
      mkdirSync(stateDir, { mode: 0o700 })
      cpSync(specimen, stateDir, { recursive: true })
      truncateSync(join(stateDir, path), length)
      // The files hold some of what is cut off: no harm in that.
      const { standings } = wholeOf(stateDir)
      const isTorn = length > 0 && !lines.some(({ offset }) => offset === length) && length !== bytes.length
      const bandits = Bandits.open({ stateDir, seed: 1 })
      const { recovery } = /** @type {any} */ (bandits)
      const health = /** @type {any} */ (bandits.health())
      const problems = statsDifferences(bandits, users, standings)
      await bandits.close()
      problems.push(...fileDifferences(stateDir, users, standings))
      if ((recovery.tornLines > 0) !== isTorn) problems.push(`${recovery.tornLines} torn lines reported`)
      if (recovery.damagedLines !== 0 || health.damagedFiles.length !== 0) problems.push(`damage reported: ${JSON.stringify([recovery, health.damagedFiles])}`)
      if (problems.length > 0) throw new Error(`cut at byte ${length} of ${bytes.length}, seed ${seed}: ${problems.join('; ')}`)
      tally.torn += isTorn ? 1 : 0
      tally.recovered += recovery.applied > 0 ? 1 : 0
      rmSync(stateDir, { recursive: true })
    }
    if (before.beyondFiles === 0 || tally.recovered === 0) throw new Error('nothing was recovered: the specimen proves nothing')
  }, quickPlace())
  return tally
}
