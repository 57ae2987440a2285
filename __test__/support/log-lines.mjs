// @ts-check
// The interaction log as a reader without the package sees it, after docs/interaction-log.md.

import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

/** @typedef {Record<string, any> & { v: number, seq: [number, number], ts: string, kind: string }} Line */

/** CRC-32 of IEEE 802.3, bit by bit: nothing is shared with what wrote the lines. @param {Uint8Array} bytes */
export function crc32(bytes) {
  let crc = 0xffffffff
  for (const byte of bytes) {
    crc ^= byte
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1
  }
  return (crc ^ 0xffffffff) >>> 0
}

/**
 * The names of the segments, in order of time.
 * @param {string} stateDir
 */
export function segmentsIn(stateDir) {
  return readdirSync(join(stateDir, 'log')).sort()
}

/**
 * The lines of the log, in the order in which they stand there, each with its checksum checked. So many segments end in a torn one.
 * @param {string} stateDir
 * @param {number} [torn]
 * @returns {Line[]}
 */
export function linesIn(stateDir, torn = 0) {
  const segments = segmentsIn(stateDir).map((name) => ({ name, lines: readFileSync(join(stateDir, 'log', name), 'utf8').split('\n') }))
  assert.equal(segments.filter(({ lines }) => lines.pop() !== '').length, torn, 'segments that end in the middle of a line')
  return segments.flatMap(({ name, lines }) => lines.map((line) => parsed(line, name)))
}

/** @param {string} line @param {string} name @returns {Line} */
function parsed(line, name) {
  const [, content, crc] = /^(.*),"crc":"([0-9a-f]{8})"\}$/s.exec(line) ?? assert.fail(`no checksum ends this line of ${name}: ${line}`)
  assert.equal(crc32(Buffer.from(String(content))), Number.parseInt(String(crc), 16), `the checksum of ${line}`)
  const { crc: _crc, ...rest } = JSON.parse(line)
  return rest
}

/**
 * The lines about users, without what differs from run to run.
 * @param {string} stateDir
 */
export function eventsIn(stateDir) {
  return linesIn(stateDir)
    .filter(({ kind }) => !['segment', 'mark'].includes(kind))
    .sort(({ seq: [, a] }, { seq: [, b] }) => a - b)
    .map(({ v: _v, seq: _seq, ts: _ts, ...rest }) => rest)
}
