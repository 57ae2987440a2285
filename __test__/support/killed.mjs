// @ts-check
// What a child leaves behind that was killed.

import assert from 'node:assert/strict'

import { run } from './child.mjs'
import { linesIn } from './log-lines.mjs'
import { emptyDirectory } from './state-dir.mjs'

/** @typedef {import('./state-dir.mjs').TestContext} TestContext */

/**
 * A directory in which a child was killed after `script`.
 * @param {TestContext} t @param {string} script @param {string} [stateDir]
 */
export function killed(t, script, stateDir = emptyDirectory(t)) {
  const { signal, stderr } = run(`${script}\nprocess.kill(process.pid, 'SIGKILL')`, { stateDir })
  assert.equal(signal, 'SIGKILL', stderr)
  return stateDir
}

/**
 * The same, killed before its log had a mark, which says that files have what is before it: a file that is missing was not written then.
 * A child that is kept waiting can come as far as a mark; then it was not killed in time.
 * @param {TestContext} t @param {string} script @param {() => string | Promise<string>} [begin] makes the directory
 */
export async function killedUnmarked(t, script, begin = () => emptyDirectory(t)) {
  for (let tries = 0; tries < 50; tries++) {
    const stateDir = killed(t, script, await begin())
    const lines = linesIn(stateDir)
    const last = Math.max(...lines.map(({ seq: [epoch] }) => epoch))
    if (!lines.some(({ kind, seq: [epoch] }) => kind === 'mark' && epoch === last)) return stateDir
  }
  return assert.fail('no child was killed before its first mark')
}
