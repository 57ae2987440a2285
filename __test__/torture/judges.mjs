// @ts-check
// That the judges can tell: a directory that is right passes, and one from which a record was taken, in which one is there twice
// under two numbers, or in which a number differs in its last digit, does not.

import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

import { keyOf, readStateFiles } from './directory.mjs'
import { crc32, linesOf } from './log-reader.mjs'
import { withScratch, copyDirectory } from './scratch.mjs'
import { killedSpecimen, lastSegment } from './specimen.mjs'
import { verify } from './verify.mjs'

/** A record as a line, with the checksum that it needs. @param {Record<string, unknown>} record */
export function lineOf({ crc: _old, ...record }) {
  const content = JSON.stringify(record).slice(0, -1)
  return Buffer.from(`${content},"crc":"${crc32(Buffer.from(content)).toString(16).padStart(8, '0')}"}\n`)
}

/** Rewrites the last segment. @param {string} stateDir @param {(lines: Buffer[], records: any[], hit: number) => Buffer[]} change `hit` is a reward that only the log has */
function rewriteTail(stateDir, change) {
  const { path, bytes, lines } = lastSegment(stateDir)
  const files = readStateFiles(stateDir)
  const hit = lines.findIndex(({ record }) => record?.kind === 'reward' && (files.get(keyOf(record['userId'], record['policy']))?.seq[0] ?? 0) < record.seq[0])
  assert.ok(hit > 0, 'the specimen has no reward beyond its files')
  const pieces = lines.map(({ offset, bytes: length }) => bytes.subarray(offset, offset + length))
  const after = Buffer.concat(change(pieces, lines.map(({ record }) => record), hit))
  assert.ok(linesOf('', after).every(({ record }) => record !== null))
  writeFileSync(join(stateDir, path), after)
}

/** @type {Record<string, { change: (stateDir: string) => void, expected: RegExp | null }>} */
const CHANGES = {
  nothing: { change: () => {}, expected: null },
  'a reward taken away': { change: (stateDir) => rewriteTail(stateDir, (lines, _records, hit) => lines.toSpliced(hit, 1)), expected: /rewards instead of|b\[\d\] is|A\[\d\]/ },
  'a reward twice under two numbers': {
    change: (stateDir) => rewriteTail(stateDir, (lines, records, hit) => [...lines, lineOf({ ...records[hit], seq: [records[hit].seq[0], 999_999] })]),
    expected: /rewards instead of|b\[\d\] is|A\[\d\]/,
  },
  'a line twice under one number': { change: (stateDir) => rewriteTail(stateDir, (lines, _records, hit) => [...lines, /** @type {Buffer} */ (lines[hit])]), expected: /was there before/ },
  'a reward of another size': {
    change: (stateDir) => rewriteTail(stateDir, (lines, records, hit) => lines.with(hit, lineOf({ ...records[hit], reward: records[hit].reward + 1e-12 }))),
    expected: /rewards of|b\[\d\] is/,
  },
  'a pull taken away': {
    change: (stateDir) => rewriteTail(stateDir, (lines, records) => lines.toSpliced(records.findLastIndex(({ kind }) => kind === 'pull'), 1)),
    expected: /pulls|history/,
  },
  'all of the tail taken away': { change: (stateDir) => writeFileSync(join(stateDir, lastSegment(stateDir).path), ''), expected: /rewards instead of/ },
  'a file put back to an earlier state': {
    change: (stateDir) => {
      const file = [...readStateFiles(stateDir).values()].find(({ standing }) => standing.b.some((value) => value !== 0))
      assert.ok(file)
      const text = readFileSync(join(stateDir, file.name), 'utf8')
      // The checksum is left out: a file of the service, say.
      const { A, b, meta: { checksum: _checksum, ...meta } } = JSON.parse(text)
      writeFileSync(join(stateDir, file.name), JSON.stringify({ A, b: b.map(() => 0), meta }))
    },
    expected: /b\[\d\] is|checksum is missing/,
  },
}

/** @param {{ seed: number }} settings */
export const judgesCanTell = ({ seed }) => withScratch(async (scratch) => {
  const specimen = join(scratch, 'specimen')
  // A reset puts right whatever was wrong before it.
  const oracle = await killedSpecimen(specimen, { users: 6, calls: 40, killedCalls: 60, seed, mix: { reward: 60, score: 40 } })
  /** @type {Record<string, number>} */
  const found = {}
  for (const [name, { change, expected }] of Object.entries(CHANGES)) {
    const stateDir = join(scratch, 'changed')
    copyDirectory(specimen, stateDir)
    change(stateDir)
    // Being told by the engine is as good.
    const { problems } = await verify(stateDir, oracle.twin(), { seed: 1 }).catch((error) => ({ problems: [String(error)] }))
    if (expected === null) assert.deepEqual(problems, [], name)
    else assert.ok(problems.some((problem) => expected.test(problem)), `${name} went unnoticed: ${JSON.stringify(problems)}`)
    found[name] = problems.length
  }
  return found
})
