// @ts-check
// The package and the real service ask the same stand-in proxy, which plays random scripts to both, and must make the same of them.
// Needs REFERENCE_DIR (a directory with serving/main.py) and Python. A failure prints the seed; set GENERATE_SEED to see it again.

import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { test } from 'node:test'

import { missing } from '../../scripts/obtained.mjs'
import { startLlmServer } from '../support/llm-server.mjs'
import { openEngine } from '../support/state-dir.mjs'
import { startDriver } from './driver.mjs'
import { differences, generateBy, isComparable, Upstream } from './generate.mjs'

const SCRIPTS = 200

const referenceDir = process.env['REFERENCE_DIR']
const SKIP = referenceDir ? false : missing('generate-live: skipped, REFERENCE_DIR is not set (a directory with serving/main.py)')

test('the package and the service make the same of the same proxy', { skip: SKIP }, async (t) => {
  assert.ok(referenceDir)
  assert.ok(existsSync(join(referenceDir, 'serving', 'main.py')), 'REFERENCE_DIR has no serving/main.py')
  const seed = Number(process.env['GENERATE_SEED'] ?? Math.floor(Math.random() * 2 ** 32))
  t.diagnostic(`GENERATE_SEED=${seed}`)
  const driver = await startDriver(resolve(referenceDir), seed)
  if (driver === null) return t.skip('no Python')
  t.after(() => driver.close())

  const upstream = new Upstream()
  const server = await startLlmServer(t, upstream.answer)
  const bandits = openEngine(t, { litellm: { url: server.url } })
  const problems = []
  let compared = 0
  for (let i = 0; i < SCRIPTS; i++) {
    /** @type {import('./generate.mjs').Script} */
    const script = await driver.ask({ script: true })
    upstream.play(script.replies)
    const answer = await driver.ask({ generate: script.request, url: server.url })
    const record = { ...script, ...answer, consumed: upstream.consumed }
    const theirs = server.requests.splice(0)
    const outcome = await generateBy(bandits, upstream, script)
    const ours = server.requests.splice(0)
    if (!isComparable(record) && (record.aside !== undefined || record.response !== undefined)) continue
    compared++
    const found = differences(record, outcome)
    problems.push(...found)
    if (found.length === 0 && record.error?.status !== 500) problems.push(...requestDifferences(script.name, ours, theirs))
  }
  t.diagnostic(`${compared} of ${SCRIPTS} scripts compared`)
  assert.equal(problems.length, 0, [`GENERATE_SEED=${seed}`, ...problems].join('\n'))
  assert.ok(compared > SCRIPTS / 2)
})

/**
 * Both ask alike, but for the texts of the prompts, and for what they give back of replies that are blank or long.
 * @param {string} name
 * @param {import('../support/llm-server.mjs').Received[]} ours
 * @param {import('../support/llm-server.mjs').Received[]} theirs
 */
function requestDifferences(name, ours, theirs) {
  const [actual, expected] = [ours.map(outline), theirs.map(outline)]
  const at = expected.findIndex((request, i) => request !== actual[i])
  if (at === -1 && actual.length === expected.length) return []
  return [`${name}: request ${at + 1} of ${expected.length} is ${actual[at]}, the service's ${expected[at]}`]
}

/** @param {import('../support/llm-server.mjs').Received} received */
function outline({ method, path, headers, body: { messages, ...rest } }) {
  const turns = messages.map((/** @type {any} */ { role, content }) => (role === 'assistant' ? [role, content.trim() === '' ? '(empty)' : content.slice(0, 2000)] : role))
  return JSON.stringify([method, path, headers.authorization, headers['content-type'], rest, turns])
}
