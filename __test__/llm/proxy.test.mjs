// @ts-check
// generate() through the real LiteLLM proxy, which has its own ways of failing; the provider behind it is ours, and counts.
// LITELLM_TESTS=1 runs it: the first time installs the proxy, and each time waits until it has started.

import assert from 'node:assert/strict'
import { after, describe, test } from 'node:test'

import { runBeside } from '../support/child.mjs'
import { startLiteLlm, NO_LITELLM } from '../support/litellm.mjs'
import { assertNoKey, everythingOf, formsOf, KEY, openOnLlm, settled } from '../support/llm-engine.mjs'
import { completion, failure, inTurn, json, startLlmServer, tips } from '../support/llm-server.mjs'
import { freePort } from '../support/ports.mjs'
import { emptyDirectory } from '../support/state-dir.mjs'
import { until } from '../support/until.mjs'

/** @typedef {import('node:test').TestContext} TestContext */
/** @typedef {import('../support/llm-server.mjs').Answer} Answer */
/** @typedef {import('@oo/bandits').Bandits} Bandits */

const TIP = { id: 'a', content: 'Water the plants', rationale: 'They are dry' }
const GOOD = tips([TIP])
const REQUEST = { userId: 'u', n: 1, context: { tasks: [{ content: 'Plants' }] } }
const code = 'ERR_LLM_STATUS'

// Each test has a provider of its own on this port, or none.
const port = await freePort()
const upstream = `http://127.0.0.1:${port}`
const { url } = NO_LITELLM === false ? await startLiteLlm({ after }, { upstream, upstreamTimeoutS: 3 }) : { url: '' }

/**
 * A provider, and an engine that asks the proxy in front of it.
 * @param {TestContext} t
 * @param {Answer} answer
 * @param {import('@oo/bandits').LiteLlmOptions} [litellm]
 */
async function startBehind(t, answer, litellm) {
  const provider = await startLlmServer(t, answer, port)
  return { provider, bandits: openOnLlm(t, url, litellm) }
}

/**
 * Fails, after so many requests that the package has counted, and says nothing of the key.
 * @param {Bandits} bandits
 * @param {{ status: number, attempts: number, retryable: boolean, message?: RegExp }} end
 */
async function assertFails(bandits, { status, attempts, retryable, message = / / }) {
  const before = bandits.health().litellm.attempts
  const { error } = await settled(bandits.generate(REQUEST))
  assert.deepEqual([error?.code, error?.status, error?.retryable], [code, status, retryable], String(error))
  assert.match(error.message, message)
  assert.ok(error.message.includes(String(status)), error.message)
  const { litellm } = bandits.health()
  assert.deepEqual([litellm.attempts - before, litellm.lastError?.code, litellm.inFlight], [attempts, code, 0])
  assertNoKey(everythingOf(error))
  assertNoKey(JSON.stringify(bandits.health()))
}

describe('the real proxy passes on', { skip: NO_LITELLM }, () => {
  for (const [path, base] of Object.entries({ 'its root': url, '/v1': `${url}/v1`, 'a URL with a slash at its end': `${url}/` })) {
    test(`a request and its reply: ${path}`, async (t) => {
      const provider = await startLlmServer(t, json(completion(JSON.stringify([TIP]), { model: 'the-provider-calls-it-so' })), port)
      const bandits = openOnLlm(t, base)
      const result = await bandits.generate(REQUEST)
      const candidates = [{ ...TIP, source: 'llm', promptVersion: 'v1' }]
      assert.deepEqual(result, { candidates, model: 'tip-generator', promptVersion: 'v1', promptTokens: 10, completionTokens: 5, dropped: [], attempts: 1 })

      const [received, ...more] = provider.requests
      assert.ok(received !== undefined && more.length === 0)
      const { messages, ...rest } = received.body
      assert.deepEqual(rest, { model: 'tip-generator', temperature: 0.7 })
      assert.deepEqual(messages.map((/** @type {any} */ { role }) => role), ['system', 'user'])
      assert.match(messages[1].content, /Plants/)
      assert.deepEqual([received.path, received.headers.authorization], ['/v1/chat/completions', 'Bearer of-the-provider'])
    })
  }

  test('two replies that cannot be used, what was wrong with them, and a third', async (t) => {
    const [prose, broken] = ['Drink some water.', '[{"content":"Water the plants"},']
    const { provider, bandits } = await startBehind(t, inTurn(json(completion(prose)), json(completion(broken)), GOOD))
    const { candidates, attempts, promptTokens, completionTokens } = await bandits.generate(REQUEST)
    assert.deepEqual([candidates.length, attempts, promptTokens, completionTokens, provider.requests.length], [1, 3, 30, 15, 3])
    const lastTurns = provider.requests.map(({ body }) => body.messages.slice(-2).map((/** @type {any} */ { role }) => role))
    assert.deepEqual(lastTurns, [['system', 'user'], ['assistant', 'user'], ['assistant', 'user']])
    assert.deepEqual(provider.requests.slice(1).map(({ body }) => body.messages.at(-2).content), [prose, broken])
  })

  /** @type {Record<string, unknown>} */
  const withoutText = { 'null': completion(null), 'an empty text': completion(''), 'no choices': { ...completion(''), choices: [] } }
  for (const [what, reply] of Object.entries(withoutText)) {
    test(`a reply with ${what}: three requests`, async (t) => {
      const { provider, bandits } = await startBehind(t, json(reply))
      const { error } = await settled(bandits.generate(REQUEST))
      assert.deepEqual([error?.code, error?.status, error?.retryable], ['ERR_LLM_INVALID_REPLY', undefined, true], String(error))
      const { litellm } = bandits.health()
      assert.deepEqual([provider.requests.length, litellm.retriedReplies, litellm.promptTokens, litellm.completionTokens], [3, 2, 30, 15])
    })
  }

  test('a reply without usage, which counts as no tokens', async (t) => {
    const { bandits } = await startBehind(t, json({ ...completion(JSON.stringify([TIP])), usage: undefined }))
    const { promptTokens, completionTokens } = await bandits.generate(REQUEST)
    assert.deepEqual([promptTokens, completionTokens], [0, 0])
  })

  test('ten calls at once, each with its own reply', async (t) => {
    const { provider, bandits } = await startBehind(t, (response, received) => {
      const [mark] = /call-\d/.exec(received.body.messages[1].content) ?? []
      tips([{ content: mark }])(response, received)
    })
    const marks = Array.from({ length: 10 }, (_call, i) => `call-${i}`)
    const results = await Promise.all(marks.map((content) => bandits.generate({ userId: 'u', n: 1, context: { tasks: [{ content }] } })))
    assert.deepEqual(results.map(({ candidates }) => candidates[0]?.content), marks)
    assert.deepEqual([provider.requests.length, bandits.health().litellm.attempts], [10, 10])
  })
})

describe('the real proxy makes of what fails behind it', { skip: NO_LITELLM }, () => {
  // With all that may be known of a key: with a database the proxy itself writes a key's hash.
  const text = `no, ${formsOf(KEY).join(' ')}`
  /** Status of the provider, and what becomes of it. @type {Record<string, { answer: Answer, status: number, retryable: boolean, message?: RegExp }>} */
  const failures = {
    '400': { answer: failure(400, text), status: 400, retryable: false, message: /\*\*\*/ },
    // What the package's own key would get from a proxy with a database: the message says whose it was.
    '401': { answer: failure(401, text), status: 401, retryable: false, message: /AuthenticationError.*\*\*\*/ },
    '403': { answer: failure(403), status: 403, retryable: false },
    '404': { answer: failure(404), status: 404, retryable: false },
    '429': { answer: failure(429, text), status: 429, retryable: true, message: /RateLimitError.*\*\*\*/ },
    '500': { answer: failure(500, text), status: 500, retryable: true, message: /InternalServerError.*\*\*\*/ },
    '503': { answer: failure(503), status: 503, retryable: true },
    '504': { answer: failure(504), status: 504, retryable: true },
    'a page in place of a reply': { answer: (response) => { response.writeHead(200, { 'content-type': 'text/html' }).end('<html>') }, status: 500, retryable: true, message: /InternalServerError/ },
    'a connection that breaks': { answer: (response) => { response.destroy() }, status: 500, retryable: true, message: /Connection error/ },
  }
  for (const [what, { answer, ...end }] of Object.entries(failures)) {
    const attempts = end.retryable ? 3 : 1
    test(`${what}: ${end.status}, ${attempts === 1 ? 'asked once' : 'asked three times'}`, async (t) => {
      const { provider, bandits } = await startBehind(t, answer)
      await assertFails(bandits, { ...end, attempts })
      assert.equal(provider.requests.length, attempts)
    })
  }

  test('429 and 500 that pass: two requests more', async (t) => {
    const { provider, bandits } = await startBehind(t, inTurn(failure(429), failure(500), GOOD))
    const { candidates, attempts, promptTokens } = await bandits.generate(REQUEST)
    assert.deepEqual([candidates.length, attempts, promptTokens, provider.requests.length], [1, 3, 10, 3])
  })

  test('a provider that does not answer: 408, asked once, and worth another try', async (t) => {
    const { provider, bandits } = await startBehind(t, () => undefined)
    await assertFails(bandits, { status: 408, attempts: 1, retryable: true, message: /Timeout/ })
    assert.equal(provider.requests.length, 1)
  })

  test('no provider: 500, asked three times, until there is one', async (t) => {
    const bandits = openOnLlm(t, url)
    await assertFails(bandits, { status: 500, attempts: 3, retryable: true, message: /Connection error/ })
    await startLlmServer(t, GOOD, port)
    assert.equal((await bandits.generate(REQUEST)).attempts, 1)
    assert.equal(bandits.health().litellm.breaker, 'closed')
  })

  test('401, and of what comes next: nothing is asked for five seconds, and 429 says for how long', async (t) => {
    const { url: cooling } = await startLiteLlm(t, { upstream, cooldowns: true })
    let answer = failure(401)
    const provider = await startLlmServer(t, (response, received) => answer(response, received), port)
    const hasty = openOnLlm(t, cooling, { deadlineMs: 4000 })
    await assertFails(hasty, { status: 401, attempts: 1, retryable: false })
    // It takes note beside answering.
    await until(async () => (await settled(hasty.generate(REQUEST))).error?.status === 429, 'the provider is not asked')
    answer = GOOD
    const asked = provider.requests.length
    // Retry-After does not fit into what is left: no second request.
    await assertFails(hasty, { status: 429, attempts: 1, retryable: true, message: /cooldown/ })
    assert.equal(provider.requests.length, asked)
    const patient = openOnLlm(t, cooling)
    const from = performance.now()
    const { attempts } = await patient.generate(REQUEST)
    assert.ok(performance.now() - from >= 5000, 'earlier than Retry-After says')
    assert.deepEqual([attempts, provider.requests.length, patient.health().litellm.retriedFailures], [2, asked + 1, 1])
  })
})

describe('the real proxy and the key', { skip: NO_LITELLM }, () => {
  test('another key: 400, asked once, and the provider not at all', async (t) => {
    const masterKey = `${KEY}-not`
    const { provider, bandits } = await startBehind(t, GOOD, { masterKey })
    await assertFails(bandits, { status: 400, attempts: 1, retryable: false, message: /No connected db/ })
    assertNoKey(JSON.stringify(bandits.health()), masterKey)
    assert.equal(provider.requests.length, 0)
  })

  test('no process that has it says it', async (t) => {
    const provider = await startLlmServer(t, inTurn(failure(500, formsOf(KEY).join(' ')), GOOD, failure(401, formsOf(KEY).join(' '))), port)
    const script = `
      const engine = Bandits.open({ stateDir })
      console.log((await engine.generate({ userId: 'u', n: 1 })).attempts)
      const error = await engine.generate({ userId: 'u', n: 1 }).catch((error) => error)
      console.log(error.status, error, error.stack, JSON.stringify(error), JSON.stringify(engine.health()), engine)
      await engine.close()
      throw error`
    const { code: exit, stdout, stderr } = await runBeside(script, { stateDir: emptyDirectory(t), env: { LITELLM_URL: url, LITELLM_MASTER_KEY: KEY } })
    assert.deepEqual([exit, stdout.slice(0, 6), provider.requests.length], [1, '2\n401 ', 3], stderr)
    assert.match(stderr, /AuthenticationError.*\*\*\*/)
    assertNoKey(stdout + stderr)
    // Nor does the provider get to see it.
    assertNoKey(JSON.stringify(provider.requests))
  })
})
