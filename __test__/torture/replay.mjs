// @ts-check
// A log that is complete from its first record gives the state files again: byte for byte after clean ends, and in all numbers
// after kills.

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'

import * as bandits from '@oo/bandits'
import { Child } from './child.mjs'
import { readStateFiles } from './directory.mjs'
import { killTorture } from './kill.mjs'
import { Oracle } from './oracle.mjs'
import { withScratch } from './scratch.mjs'
import { difference, start } from './standing.mjs'

const { replay } = /** @type {{ replay(logDir: string, stateDir: string, options?: { historySize?: number }): Promise<{ complete: boolean, reasons: string[], users: number, records: number }> }} */ (/** @type {unknown} */ (bandits))

/** Lives that end with close(), then a replay. @param {{ lives: number, calls: number, seed: number }} settings */
export const replayCleanRun = ({ lives, calls, seed }) => withScratch(async (scratch) => {
  const stateDir = join(scratch, 'state')
  const oracle = new Oracle()
  for (let life = 0; life < lives; life++) {
    // Nobody who is needed to make room waits to be written: a pull that finds no room is in no line.
    const child = new Child({ stateDir, seed: seed + life, users: 60, calls, burst: 40, checkpointEvery: 1, patient: true, options: { maxHotUsers: life % 2 === 0 ? 40 : 1000 } }, oracle)
    const { code } = await child.end()
    assert.equal(code, 0, child.failure ?? child.stderr)
  }
  const rebuilt = join(scratch, 'rebuilt')
  const report = await replay(join(stateDir, 'log'), rebuilt)
  assert.deepEqual([report.complete, report.reasons], [true, []])
  const [files, again] = [readStateFiles(stateDir), readStateFiles(rebuilt)]
  assert.deepEqual([...again.keys()].sort(), [...files.keys()].sort())
  let renamed = 0
  for (const [key, { name }] of files) {
    const other = /** @type {import('./directory.mjs').StateFile} */ (again.get(key)).name
    assert.equal(readFileSync(join(rebuilt, other), 'utf8'), readFileSync(join(stateDir, name), 'utf8'), key)
    renamed += name === other ? 0 : 1
  }
  assert.equal(renamed, 0, `${renamed} files have another name`)
  return { lives, files: files.size, ...report, seed }
})

/** The same after kill -9, where the oracle's directory is the measure. @param {{ cycles: number, seed: number }} settings */
export async function replayKilledRun({ cycles, seed }) {
  /** @type {any} */
  let summary
  await killTorture({ cycles, seed, retain: false, keep: async (stateDir) => {
    await withScratch(async (scratch) => {
      const rebuilt = join(scratch, 'rebuilt')
      const report = await replay(join(stateDir, 'log'), rebuilt, { historySize: 10 })
      const [actual, expected] = [readStateFiles(rebuilt), readStateFiles(stateDir)]
      // Pulls whose lines were lost with a process may be in a file that was written before: the report has to say so.
      let differing = 0
      for (const [key, file] of expected) {
        const wrong = difference(actual.get(key)?.standing ?? start(file.policy), file.standing)
        if (wrong === undefined) continue
        assert.match(wrong, /pulls/, key)
        differing++
      }
      for (const key of actual.keys()) assert.ok(expected.has(key), `${key} is only in the replay`)
      if (differing > 0) assert.equal(report.complete, false, `${differing} files differ in pulls, and the replay says that it is complete`)
      summary = { cycles, files: expected.size, differing, complete: report.complete, reasons: report.reasons.slice(0, 3), users: report.users, records: report.records, seed }
    })
  } })
  return summary
}
