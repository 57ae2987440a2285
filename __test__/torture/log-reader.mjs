// @ts-check
// Reads an interaction log by docs/interaction-log.md alone: lines, checksums, and the rules of their order.

import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import zlib from 'node:zlib'

/** @typedef {[epoch: number, n: number]} Seq */
/** @typedef {{ v: number, seq: Seq, ts: string, kind: string, userId?: any, policy?: any, lowWater?: Seq, [key: string]: any }} LogRecord */
/** @typedef {{ segment: string, offset: number, bytes: number, record: LogRecord | null, torn: boolean }} Line */

const TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let value = byte
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? 0xedb88320 ^ (value >>> 1) : value >>> 1
  return value >>> 0
})
/** @param {Uint8Array} bytes */
function tableCrc(bytes) {
  let crc = 0xffffffff
  for (const byte of bytes) crc = /** @type {number} */ (TABLE[(crc ^ byte) & 0xff]) ^ (crc >>> 8)
  return (crc ^ 0xffffffff) >>> 0
}
/** zlib has it from Node 20.15 and 22.2 on. @type {(bytes: Uint8Array) => number} */
export const crc32 = /** @type {any} */ (zlib).crc32 ?? tableCrc

const SEGMENT = /^(\d{10})-(\d{16})\.jsonl$/
const NEWLINE = 10
const TAIL = ',"crc":"01234567"}'.length

/** @param {Seq} a @param {Seq} b */
export const compareSeq = (a, b) => a[0] - b[0] || a[1] - b[1]

/** `[epoch, n]` as a segment's name has it. @param {string} name @returns {Seq} */
export function seqOfName(name) {
  const [, epoch, n] = /** @type {RegExpExecArray} */ (SEGMENT.exec(name))
  return [Number(epoch), Number(n)]
}

/** The names of the segments in order. @param {string} logDir */
export const segmentNames = (logDir) => (existsSync(logDir) ? readdirSync(logDir).filter((name) => SEGMENT.test(name)).sort() : [])

/**
 * A line's record, or null when its checksum or its JSON is wrong. `line` has no newline.
 * @param {Uint8Array} line
 * @returns {LogRecord | null}
 */
export function readLine(line) {
  if (line.length <= TAIL) return null
  const text = Buffer.from(line).toString('utf8')
  const crc = /,"crc":"([0-9a-f]{8})"\}$/.exec(text)?.[1]
  if (crc === undefined || crc32(line.subarray(0, line.length - TAIL)) !== Number.parseInt(crc, 16)) return null
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}

/**
 * The lines of a segment. A last one without newline is torn.
 * @param {string} segment its name
 * @param {Buffer} bytes
 * @returns {Line[]}
 */
export function linesOf(segment, bytes) {
  /** @type {Line[]} */
  const lines = []
  for (let offset = 0; offset < bytes.length; ) {
    const newline = bytes.indexOf(NEWLINE, offset)
    const end = newline === -1 ? bytes.length : newline
    const torn = newline === -1
    lines.push({ segment, offset, bytes: end - offset + (torn ? 0 : 1), record: torn ? null : readLine(bytes.subarray(offset, end)), torn })
    offset = end + 1
  }
  return lines
}

/**
 * All lines of a log, or of the segments named.
 * @param {string} logDir
 * @param {string[]} [names]
 */
export const readLog = (logDir, names = segmentNames(logDir)) => names.flatMap((name) => linesOf(name, readFileSync(join(logDir, name))))

/** The highest low-water mark that intact lines name. @param {Line[]} lines @returns {Seq} */
export function lowWaterOf(lines) {
  /** @type {Seq} */
  let low = [0, 0]
  for (const { record } of lines) if (record?.lowWater !== undefined && compareSeq(record.lowWater, low) > 0) low = record.lowWater
  return low
}

/**
 * The segments that can hold records above the low-water mark, and one more: lines may stand a little out of order.
 * @param {string} logDir
 */
export function tailNames(logDir) {
  const names = segmentNames(logDir)
  /** @type {Seq} */
  let low = [0, 0]
  let first = names.length
  while (first > 0) {
    first--
    const name = /** @type {string} */ (names[first])
    const own = lowWaterOf(readLog(logDir, [name]))
    if (compareSeq(own, low) > 0) low = own
    if (compareSeq(seqOfName(name), low) <= 0) break
  }
  return names.slice(Math.max(0, first - 1))
}

const SECONDS = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/
const TASK = ['isOverdue', 'taskAgeDays', 'priority']
const PROFILE = ['completionRate30d', 'dismissRate30d', 'meanDwellMs30d', 'preferredHour', 'tipVolume30d', 'computedAt']
/** @type {Record<string, string[]>} */
const KEYS = {
  segment: ['lowWater', 'previous', 'engine'],
  pull: ['userId', 'policy', 'tipId', 'index', 'candidates', 'score', 'exploring', 'propensity', 'hourOfDay', 'dayOfWeek', 'features', 'profileFeatures', 'ordinal'],
  reward: ['userId', 'policy', 'tipId', 'reward', 'hourOfDay', 'dayOfWeek', 'features', 'profileFeatures'],
  reset: ['userId'],
  decision: ['userId', 'policy', 'assigned', 'index', 'ordinal', 'draw', 'hourOfDay', 'dayOfWeek', 'profileFeatures', 'ids', ...TASK, 'probabilities', 'choices'],
  feedback: ['userId', 'decision', 'policy', 'tipId', 'action', 'reward', 'at', 'hourOfDay', 'dayOfWeek', 'features', 'profileFeatures', 'policies', 'firsts', 'revision'],
  policy: ['policy', 'mode'],
  state: ['userId', 'policy', 'state'],
  erase: ['userId'],
  mark: ['lowWater'],
  gap: ['droppedPulls'],
  off: [],
}
/** @type {Record<string, string[]>} */
const OPTIONAL = { segment: ['previousBytes', 'rewritten'], pull: ['allowed', 'promptVersion', 'first'], reward: ['first'], mark: ['end'], decision: ['promptVersions', 'masked', 'holdout', 'heldOut', 'us', 'drawn'], policy: ['share', 'salt', 'userId'] }

/** @param {LogRecord} record @returns {string | undefined} */
function wrongShape(record) {
  const keys = KEYS[record.kind]
  if (record.v !== 1) return `v is ${record.v}`
  if (keys === undefined) return `unknown kind ${record.kind}`
  if (!SECONDS.test(record.ts)) return `ts is ${record.ts}`
  const optional = OPTIONAL[record.kind] ?? []
  const missing = keys.filter((key) => !(key in record))
  const unknown = Object.keys(record).filter((key) => ![...keys, ...optional, 'v', 'seq', 'ts', 'kind', 'crc'].includes(key))
  if (missing.length > 0 || unknown.length > 0) return `missing: ${missing}; unknown: ${unknown}`
  for (const flag of ['first', 'end', 'rewritten']) if (record[flag] !== undefined && record[flag] !== true) return `${flag} is not true`
  if (record['features'] !== undefined && Object.keys(record['features']).join() !== TASK.join()) return `features: ${Object.keys(record['features'])}`
  const profile = record['profileFeatures']
  if (profile != null && Object.keys(profile).join() !== PROFILE.join()) return `profileFeatures: ${Object.keys(profile)}`
  return record.kind === 'decision' ? wrongDecision(record) : undefined
}

/** @param {LogRecord} record @returns {string | undefined} */
function wrongDecision({ ids, choices, probabilities, index, policy, ...lists }) {
  for (const [name, list] of Object.entries({ probabilities, ...Object.fromEntries(TASK.map((key) => [key, lists[key]])) })) if (list.length !== ids.length) return `${list.length} ${name} of ${ids.length} candidates`
  if (!(index < ids.length) || choices[0]?.policy !== policy) return `shows ${index}, chosen by ${choices[0]?.policy} for ${policy}`
  for (const vector of [probabilities, ...choices.map((/** @type {any} */ choice) => choice.probabilities)]) {
    const sum = vector.reduce((/** @type {number} */ total, /** @type {number} */ p) => total + p, 0)
    if (vector.length !== ids.length || Math.abs(sum - 1) > 1e-12) return `${vector.length} probabilities with a sum of ${sum}`
  }
  return undefined
}

/**
 * What is wrong with a log that nobody damaged: each broken rule as a sentence.
 * @param {Line[]} lines
 * @param {{ faults?: boolean }} [past] writing failed at times: a line may be torn where its epoch goes on in another segment, and
 *   lines whose sync failed may be there a second time
 */
export function brokenRules(lines, { faults = false } = {}) {
  /** @type {string[]} */
  const broken = []
  /** @type {Set<string>} */
  const seen = new Set()
  /** @type {Map<string, Seq>} the last line of each user that is written under its lock */
  const last = new Map()
  /** @type {Seq} */
  let low = [0, 0]
  for (const [i, { segment, offset, record, torn }] of lines.entries()) {
    const at = `${segment}:${offset}`
    const isFirst = lines[i - 1]?.segment !== segment
    const isLast = lines[i + 1]?.segment !== segment
    if (record === null) {
      if (!torn) broken.push(`${at}: damaged`)
      const next = lines[i + 1]
      if (torn && isLast && !isFirst && next !== undefined && !faults && seqOfName(next.segment)[0] === seqOfName(segment)[0]) {
        broken.push(`${at}: torn, and its epoch goes on`)
      }
      continue
    }
    const wrong = wrongShape(record)
    if (wrong !== undefined) broken.push(`${at}: ${wrong}`)
    const [epoch, n] = record.seq
    // After a failed sync a segment begins with its own line and goes on with those of the one before, the first included.
    if (isFirst !== (record.kind === 'segment') && !(faults && !isFirst)) broken.push(`${at}: a ${record.kind} line ${isFirst ? 'first' : 'within a segment'}`)
    if (isFirst && compareSeq(seqOfName(segment), record.seq) !== 0) broken.push(`${at}: begins with ${record.seq}`)
    // What retention has removed is the beginning, so that only the first one may name a segment that is not there.
    const before = lines[i - 1]?.segment
    if (isFirst && before !== undefined && compareSeq(record['previous'] ?? [0, 0], seqOfName(before)) !== 0) broken.push(`${at}: says that ${record['previous']} is before it, and not ${before}`)
    if (epoch !== seqOfName(segment)[0]) broken.push(`${at}: epoch ${epoch}`)
    if (seen.has(`${epoch}.${n}`) && !faults) broken.push(`${at}: ${record.seq} was there before`)
    seen.add(`${epoch}.${n}`)
    if (record.lowWater !== undefined) {
      if (compareSeq(record.lowWater, low) < 0) broken.push(`${at}: low water fell from ${low} to ${record.lowWater}`)
      if (compareSeq(record.lowWater, record.seq) > 0) broken.push(`${at}: low water ${record.lowWater} above the line's own ${record.seq}`)
      low = record.lowWater
    }
    if (['reward', 'reset', 'decision', 'feedback'].includes(record.kind)) {
      const latest = last.get(record.userId)
      if (latest !== undefined && compareSeq(latest, record.seq) >= 0 && !faults) broken.push(`${at}: ${record.seq} of ${record.userId} after ${latest}`)
      last.set(record.userId, record.seq)
    }
  }
  return broken
}
