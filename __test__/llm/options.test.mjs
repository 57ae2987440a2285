// @ts-check
// Wrong options of the LLM proxy: refused when the engine is opened, by the path of what is wrong, and without repeating the key.

import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'

import { Bandits } from '@oo/bandits'
import { assertNoKey, everythingOf, KEY, openOnLlm } from '../support/llm-engine.mjs'
import { assertRefuses } from '../support/refusal.mjs'
import { emptyDirectory, openEngine } from '../support/state-dir.mjs'

const INVALID = 'ERR_INVALID_ARGUMENT'
const LONE = 'a\ud800b'
const URL_OF_ONE = 'http://127.0.0.1:4000'

describe('options.litellm', () => {
  const KINDS = [5, NaN, true, {}, [], 5n, Symbol('s'), () => 'x', LONE]
  const WHOLE = [NaN, Infinity, 0, -1, 1.5, '5', true, {}, [], 5n, Symbol('s')]
  /** @type {[string, unknown[]][]} */
  const cases = [
    ['url', [...KINDS, 'localhost:4000', 'ftp://a', 'file:///a', 'ws://a', 'nats://a', 'http://', 'http://a:99999', 'http://a:port', 'http://a b', 'http://a/b?c=d', 'http://a/?', 'http://a#b', `http://me:${KEY}@a`, `http://:${KEY}@a`, `http://${KEY}@a`, `https://a/?key=${KEY}`, `http://a/#${KEY}`, '://a', 'http://a/v1/chat/completions', 'x'.repeat(10_000)]],
    ['masterKey', [...KINDS, '', '\n', `${KEY}\n`, `${KEY}\r\nx-more: 1`, `${KEY}\0`, `${KEY} é`, `${KEY}\u007f`, `😀${KEY}`, `${KEY}${'x'.repeat(100_000)}`]],
    ['promptVersion', [...KINDS, '', ' ', 'v1,,v2-mentor', ',', 'v1,']],
    ['promptVersion', ['__proto__', 'V1', 'v1,v9']],
    ['maxConcurrent', [...WHOLE, 1001]],
    ['timeoutMs', [...WHOLE, 600_001]],
    ['deadlineMs', [...WHOLE, 3_600_001]],
    ['caFile', [...KINDS]],
    ['promptsDir', [...KINDS]],
    ['prompts', [5, true, 'v9', {}, [5], [null], [{}], [[]], () => []]],
  ]
  /** @param {string} name @param {unknown} value */
  const namesVersions = (name, value) => name === 'promptVersion' && typeof value === 'string' && value.isWellFormed() && value.split(',').every((version) => version.trim() !== '')
  for (const [name, values] of cases) {
    for (const value of values) {
      test(`${name}: ${typeof value} ${typeof value === 'object' ? JSON.stringify(value) : JSON.stringify(String(value).slice(0, 30).replace(KEY, 'key'))}`, (t) => {
        const directory = emptyDirectory(t)
        const open = () => Bandits.open({ stateDir: join(directory, 'state'), litellm: /** @type {any} */ ({ url: URL_OF_ONE, [name]: value }) })
        const path = name === 'prompts' ? undefined : `options.litellm.${name}`
        assertRefuses(open, namesVersions(name, value) ? 'ERR_UNKNOWN_PROMPT_VERSION' : INVALID, path, `${name}: ${typeof value}`)
        assert.throws(open, (error) => {
          assertNoKey(everythingOf(error))
          assert.match(String(/** @type {Error} */ (error).message), /^options\.litellm/)
          return true
        })
        assert.deepEqual(readdirSync(directory), [], 'something was made')
      })
    }
  }

  test('that is no object, and names that are no options', (t) => {
    const stateDir = emptyDirectory(t)
    for (const litellm of ['http://a', 5, true, [], () => 1]) assertRefuses(() => Bandits.open({ stateDir, litellm: /** @type {any} */ (litellm) }), INVALID, 'options.litellm', String(litellm))
    for (const name of ['URL', 'baseUrl', 'apiKey', 'key', 'timeout', '__proto', '']) assertRefuses(() => Bandits.open({ stateDir, litellm: /** @type {any} */ ({ [name]: KEY }) }), INVALID, undefined, name)
    for (const name of ['masterKey', 'litellm.masterKey']) assert.throws(() => Bandits.open(/** @type {any} */ ({ stateDir, [name]: KEY })), (error) => assertNoKey(everythingOf(error)) === undefined)
    assert.deepEqual(readdirSync(stateDir), [])
  })

  test('accepted: what is left out, the smallest and the largest', (t) => {
    for (const litellm of [undefined, {}, { url: undefined, masterKey: undefined, timeoutMs: undefined }, { maxConcurrent: 1000, timeoutMs: 600_000, deadlineMs: 3_600_000 }, { maxConcurrent: 1, timeoutMs: 1, deadlineMs: 1 }, { url: 'https://a.b:1/c/d' }, { url: 'http://[::1]:4000' }]) {
      const own = openEngine(t, { ...(litellm !== undefined && { litellm }) })
      assert.equal(own.health().litellm.breaker, 'closed')
    }
  })

  test('accepted: without a key in what is said', (t) => {
    const own = openOnLlm(t, URL_OF_ONE)
    assertNoKey(JSON.stringify(own.health()))
    assertNoKey(everythingOf(own))
  })
})
