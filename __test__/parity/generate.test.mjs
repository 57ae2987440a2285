// @ts-check
// 407 scripts of an LLM proxy's replies with what the existing service's /generate made of them, played to generate(). Compared
// wherever the service succeeded and each item is usable, and where it failed on purpose. What is set aside says why.

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { describe, test } from 'node:test'

import { startLlmServer } from '../support/llm-server.mjs'
import { openEngine } from '../support/state-dir.mjs'
import { differences, generateBy, isComparable, Upstream } from './generate.mjs'

/** @typedef {import('../support/state-dir.mjs').TestContext} TestContext */
/** @typedef {import('./generate.mjs').Script & import('./generate.mjs').Answer} Record */

/** @type {Record[]} */
const RECORDS = JSON.parse(readFileSync(new URL('../fixtures/generate.json', import.meta.url), 'utf8'))
const isDrawn = (/** @type {Record} */ { name }) => name.startsWith('drawn ')
const isLenient = (/** @type {Record} */ { aside = '' }) => aside.startsWith('lenient: ')
/** The package asks again after these, and may have enough of the proxy in the end. */
const isOutage = (/** @type {Record} */ { replies }) => replies.some(({ status = 200 }) => status === 429 || status >= 500)

/** @param {TestContext} t */
async function start(t) {
  const upstream = new Upstream()
  const { url } = await startLlmServer(t, upstream.answer)
  return { upstream, bandits: openEngine(t, { litellm: { url, masterKey: 'sk-1234' } }) }
}

/**
 * Plays all of them and names every difference.
 * @param {TestContext} t
 * @param {Record[]} records
 */
async function assertSame(t, records) {
  const { upstream, bandits } = await start(t)
  const problems = []
  for (const record of records) problems.push(...differences(record, await generateBy(bandits, upstream, record)))
  assert.equal(problems.length, 0, problems.join('\n'))
}

test('the scripts are complete', () => {
  const drawn = RECORDS.filter(isDrawn)
  assert.deepEqual([RECORDS.length, drawn.length], [407, 220])
  const compared = RECORDS.filter(isComparable)
  assert.ok(compared.length > 290 && compared.filter(isDrawn).length > 170, `${compared.length} are compared`)
  const aside = RECORDS.filter((record) => record.aside !== undefined && !isLenient(record))
  assert.deepEqual(aside.map(({ name }) => name), ASIDE)
})

/** What the service takes and the package does not, or otherwise: fixtures/llm_scripts.py says why of each. */
const ASIDE = [
  'NaN', 'infinities', 'a number that no double holds', 'nested deeper', 'half a surrogate pair beside', 'an empty object', 'an empty string',
  'a hundred and one', 'an empty id', 'a long id', 'usage below zero', 'envelope with a byte order mark', 'envelope with NaN',
]

describe('generate() and the service make the same of the same replies', () => {
  test('of those chosen', (t) => assertSame(t, RECORDS.filter((record) => isComparable(record) && !isDrawn(record))))
  test('of those drawn', (t) => assertSame(t, RECORDS.filter((record) => isComparable(record) && isDrawn(record))))
})

describe('where the service fails', () => {
  const failed = RECORDS.filter(({ error, aside }) => error !== undefined && aside === undefined)
  test('generate() fails likewise, or makes something of the replies where the service crashed', (t) => assertSame(t, failed.filter((record) => !isOutage(record))))
  for (const record of failed.filter(isOutage)) {
    test(`${record.name}: generate() asks again`, async (t) => {
      const { upstream, bandits } = await start(t)
      const outcome = await generateBy(bandits, upstream, record)
      const recovers = record.replies.at(-1)?.status === undefined
      assert.equal(outcome.consumed, record.replies.length)
      if (recovers) assert.equal(outcome.result?.candidates.length, 3)
      else assert.deepEqual(differences(record, outcome), [])
    })
  }
})

test('what the service cannot read and the package can, it takes at once', async (t) => {
  const { upstream, bandits } = await start(t)
  const expected = RECORDS.find(({ name }) => name === 'plain')?.response?.candidates.map(({ content }) => content)
  for (const record of RECORDS.filter(isLenient)) {
    const { result, error, consumed } = await generateBy(bandits, upstream, record)
    assert.deepEqual([result?.candidates.map(({ content }) => content), consumed, error], [expected, 1, undefined], record.name)
    assert.ok(record.consumed > 1, record.name)
  }
})

test('where they rightly differ, or items cannot be used, generate() still ends as it promises', async (t) => {
  const { upstream, bandits } = await start(t)
  for (const record of RECORDS.filter((r) => r.response !== undefined && !isComparable(r) && !isLenient(r))) {
    const { result, error } = await generateBy(bandits, upstream, record)
    assert.ok(result !== undefined || error.code === 'ERR_LLM_INVALID_REPLY', `${record.name}: ${error?.message}`)
  }
})
