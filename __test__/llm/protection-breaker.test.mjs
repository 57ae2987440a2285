// @ts-check
// A proxy that fails again and again is left alone for a while, and asked by one call alone whether it is back. The server counts.

import assert from 'node:assert/strict'
import { describe, test } from 'node:test'

import { openOnLlm, settled } from '../support/llm-engine.mjs'
import { completion, failure, json, startLlmServer, tips } from '../support/llm-server.mjs'
import { freePort } from '../support/ports.mjs'
import { until } from '../support/until.mjs'

/** @typedef {import('@oo/bandits').Bandits} Bandits */
/** @typedef {import('../support/llm-server.mjs').Answer} Answer */

const GOOD = tips([{ id: 'a', content: 'Water the plants' }])
/** No call lives to see a repeat: each is one request. */
const ONCE = { deadlineMs: 240 }
/** Nor here, where the proxy says so. @param {number} status */
const refusal = (status) => failure(status, 'the proxy is down', { 'retry-after': '3600' })
const DOWN = refusal(500)

/** A server whose answer can be changed. @param {import('../support/state-dir.mjs').TestContext} t @param {Answer} answer @param {import('@oo/bandits').LiteLlmOptions} [litellm] */
async function startChanging(t, answer, litellm) {
  const server = await startLlmServer(t, (response, received) => now.answer(response, received))
  const now = { answer }
  return { server, now, bandits: openOnLlm(t, server.url, litellm) }
}

/** One call; the code of its error. @param {Bandits} bandits */
const codeOf = async (bandits) => (await settled(bandits.generate({ userId: 'u' }))).error?.code

/** @param {Bandits} bandits @param {number} times */
async function failing(bandits, times) {
  const codes = []
  for (let i = 0; i < times; i++) codes.push(await codeOf(bandits))
  return codes
}

/** @param {Bandits} bandits */
const breakerOf = (bandits) => bandits.health().litellm.breaker
/** How far away the next probe is, in ms. @param {Bandits} bandits */
const waitOf = (bandits) => Date.parse(String(bandits.health().litellm.retryAt)) - Date.now()
/** Resolves when a probe is due beyond doubt: the package reads the time of day in steps of some ms. @param {Bandits} bandits */
async function probeIsDue(bandits) {
  await until(() => waitOf(bandits) <= 0, 'the next probe is due')
  const from = performance.now()
  await until(() => performance.now() - from > 15, 'those steps are over')
}

/** Refused without a request, and without waiting for anything: all that it could wait for takes longer. @param {Bandits} bandits @param {{ requests: unknown[] }} server */
async function assertRefused(bandits, server) {
  const before = server.requests.length
  const { attempts } = bandits.health().litellm
  const from = performance.now()
  await assert.rejects(bandits.generate({ userId: 'u' }), { code: 'ERR_LLM_UNREACHABLE', retryable: true })
  assert.ok(performance.now() - from < 10_000)
  assert.deepEqual([server.requests.length, bandits.health().litellm.attempts], [before, attempts])
}

describe('the breaker', () => {
  test('opens with the fifth failure in a row, and closes with a good probe', async (t) => {
    const { server, now, bandits } = await startChanging(t, DOWN)
    assert.deepEqual([breakerOf(bandits), bandits.health().litellm.retryAt], ['closed', null])
    assert.deepEqual(await failing(bandits, 4), Array.from({ length: 4 }, () => 'ERR_LLM_STATUS'))
    assert.equal(breakerOf(bandits), 'closed')
    assert.equal(await codeOf(bandits), 'ERR_LLM_STATUS')
    assert.equal(breakerOf(bandits), 'open')
    const wait = waitOf(bandits)
    assert.ok(wait > 500 && wait <= 1005, `${wait} ms`)
    assert.match(String(bandits.health().litellm.retryAt), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/)
    for (let i = 0; i < 3; i++) await assertRefused(bandits, server)
    assert.equal(server.requests.length, 5)

    await probeIsDue(bandits)
    // One asks; what is called meanwhile is refused.
    /** @type {(() => unknown)[]} */
    const held = []
    now.answer = (response, received) => held.push(() => GOOD(response, received))
    const patient = settled(bandits.generate({ userId: 'u' }))
    await until(() => held.length === 1, 'the probe is there')
    assert.equal(breakerOf(bandits), 'probing')
    await assertRefused(bandits, server)
    held[0]?.()
    assert.equal((await patient).error, undefined)
    assert.deepEqual([breakerOf(bandits), bandits.health().litellm.retryAt, server.requests.length], ['closed', null, 6])
    now.answer = GOOD
    await bandits.generate({ userId: 'u' })
    // It counts from the start again.
    now.answer = DOWN
    await failing(bandits, 4)
    assert.equal(breakerOf(bandits), 'closed')
    assert.equal(bandits.health().litellm.lastError?.code, 'ERR_LLM_STATUS')
  })

  test('stays open for longer when a probe fails, which is one request', async (t) => {
    const { server, now, bandits } = await startChanging(t, DOWN, { deadlineMs: 20_000 })
    await failing(bandits, 5)
    assert.equal(server.requests.length, 5)
    now.answer = failure(503)
    for (const [i, longest] of [2005, 4005].entries()) {
      await probeIsDue(bandits)
      assert.equal(await codeOf(bandits), 'ERR_LLM_STATUS')
      assert.equal(server.requests.length, 6 + i)
      assert.equal(breakerOf(bandits), 'open')
      const wait = waitOf(bandits)
      assert.ok(wait > longest - 505 && wait <= longest, `${wait} ms after failed probe ${i + 1}`)
      await assertRefused(bandits, server)
    }
  })

  test('lets a single call through of many that are made at once', async (t) => {
    const { server, now, bandits } = await startChanging(t, DOWN)
    await failing(bandits, 5)
    await probeIsDue(bandits)
    now.answer = (response, received) => { setTimeout(() => GOOD(response, received), 50) }
    const ended = await Promise.all(Array.from({ length: 20 }, () => settled(bandits.generate({ userId: 'u' }))))
    assert.equal(server.requests.length, 6)
    assert.equal(ended.filter(({ error }) => error === undefined).length, 1)
    assert.deepEqual(new Set(ended.flatMap(({ error }) => error?.code ?? [])), new Set(['ERR_LLM_UNREACHABLE']))
    assert.equal(breakerOf(bandits), 'closed')
  })

  test('closes with a probe that has an answer, whatever the answer', async (t) => {
    for (const answer of [json(completion('no')), failure(401), refusal(429), failure(404)]) {
      const { now, bandits } = await startChanging(t, DOWN)
      await failing(bandits, 5)
      assert.equal(breakerOf(bandits), 'open')
      await probeIsDue(bandits)
      now.answer = answer
      assert.notEqual(await codeOf(bandits), 'ERR_LLM_UNREACHABLE')
      assert.equal(breakerOf(bandits), 'closed')
    }
  })

  /** @type {[string, Answer, import('@oo/bandits').LiteLlmOptions?][]} */
  const counting = [['500', refusal(500)], ['502', refusal(502)], ['599', refusal(599)], ['a page with status 200', (response) => { response.end('<html>') }, ONCE], ['an error of 500 with status 200', json({ error: { message: 'no', code: 500 } }), ONCE], ['a reset', (response) => response.socket?.resetAndDestroy(), ONCE], ['a time-out', () => undefined, { timeoutMs: 100, deadlineMs: 300 }]]
  for (const [name, answer, litellm] of counting) {
    test(`counts ${name}`, async (t) => {
      const { bandits, server } = await startChanging(t, answer, litellm)
      await failing(bandits, 5)
      assert.deepEqual([breakerOf(bandits), server.requests.length], ['open', 5])
    })
  }

  test('counts connections that are refused', async (t) => {
    const bandits = openOnLlm(t, `http://127.0.0.1:${await freePort()}`, ONCE)
    await failing(bandits, 5)
    assert.deepEqual([breakerOf(bandits), bandits.health().litellm.attempts], ['open', 5])
  })

  for (const status of [400, 401, 404, 408, 422, 429]) {
    test(`does not count ${status}`, async (t) => {
      const { bandits, server } = await startChanging(t, refusal(status))
      await failing(bandits, 12)
      assert.deepEqual([breakerOf(bandits), server.requests.length], ['closed', 12])
    })
  }

  test('does not count an error of 429 with status 200, nor one that names no status', async (t) => {
    for (const error of [{ message: 'no', code: 429 }, 'no']) {
      const { bandits } = await startChanging(t, json({ error }), ONCE)
      await failing(bandits, 12)
      assert.equal(breakerOf(bandits), 'closed')
    }
  })

  test('does not count replies that cannot be used, nor redirects', async (t) => {
    const { bandits, now } = await startChanging(t, json(completion('no')))
    await failing(bandits, 4)
    now.answer = failure(302, 'no', { location: '/' })
    await failing(bandits, 6)
    now.answer = (response) => { response.end(' '.repeat((1 << 20) + 1)) }
    await failing(bandits, 6)
    assert.equal(breakerOf(bandits), 'closed')
  })

  test('takes connections that are lost together for one outage', async (t) => {
    /** @type {import('../support/llm-server.mjs').Response[]} */
    const held = []
    const { server, bandits } = await startChanging(t, (response, received) => {
      if (received.number > 16) return GOOD(response, received)
      held.push(response)
      if (held.length === 16) for (const { socket } of held) socket?.destroy()
      return undefined
    })
    const ended = await Promise.all(Array.from({ length: 16 }, () => settled(bandits.generate({ userId: 'u' }))))
    assert.deepEqual(ended.flatMap(({ error }) => error ?? []), [])
    assert.deepEqual([server.requests.length, breakerOf(bandits)], [32, 'closed'])
  })

  test('learns from calls that are given up after half of the time for a request', async (t) => {
    const { server, bandits } = await startChanging(t, () => undefined, { timeoutMs: 400 })
    for (let i = 0; i < 5; i++) await assert.rejects(bandits.generate({ userId: 'u' }, { signal: AbortSignal.timeout(250) }), { name: 'TimeoutError' })
    await until(() => breakerOf(bandits) === 'open', 'the breaker is open')
    const { aborted, failed } = bandits.health().litellm
    assert.deepEqual([aborted, failed, server.requests.length], [5, 0, 5])
    assert.match(bandits.health().warnings.join(), /does not answer: no answer within \d+ ms/)
  })

  test('that opens ends at once the call that opened it', async (t) => {
    const { server, now, bandits } = await startChanging(t, DOWN, { deadlineMs: 20_000 })
    await failing(bandits, 4)
    now.answer = failure(503, 'no', { 'retry-after': '10' })
    assert.equal(await codeOf(bandits), 'ERR_LLM_STATUS')
    // Long before a repeat could be.
    const ms = performance.now() - Number(server.requests.at(-1)?.at)
    assert.ok(ms < 5000, `${ms} ms`)
    assert.deepEqual([server.requests.length, breakerOf(bandits)], [5, 'open'])
  })

  test('refuses at once while a probe has the only turn', async (t) => {
    const { server, now, bandits } = await startChanging(t, DOWN, { maxConcurrent: 1 })
    await failing(bandits, 5)
    await probeIsDue(bandits)
    /** @type {(() => unknown)[]} */
    const held = []
    now.answer = (response, received) => held.push(() => GOOD(response, received))
    const probe = settled(bandits.generate({ userId: 'u' }))
    await until(() => held.length === 1, 'the probe is there')
    await assertRefused(bandits, server)
    held[0]?.()
    assert.equal((await probe).error, undefined)
  })

  test('counts calls that are too late, where the deadline is far shorter than the time for one request', async (t) => {
    const { bandits } = await startChanging(t, () => undefined, { deadlineMs: 100 })
    assert.deepEqual(await failing(bandits, 5), Array.from({ length: 5 }, () => 'ERR_LLM_UNREACHABLE'))
    assert.equal(breakerOf(bandits), 'open')
  })

  test('is told of in the warnings of health(), with what went wrong', async (t) => {
    const { server, now, bandits } = await startChanging(t, DOWN)
    await failing(bandits, 5)
    assert.deepEqual([bandits.health().ok, bandits.health().warnings.length], [true, 1])
    assert.match(String(bandits.health().warnings[0]), new RegExp(`^the LLM proxy at ${server.url} does not answer: 500: .*the proxy is down`))
    await assert.rejects(bandits.generate({ userId: 'u' }), { code: 'ERR_LLM_UNREACHABLE', message: /the last time: 500: .*the proxy is down/ })
    await probeIsDue(bandits)
    now.answer = GOOD
    await bandits.generate({ userId: 'u' })
    assert.deepEqual(bandits.health().warnings, [])
  })

  test('counts failures in a row, across calls, each request of them', async (t) => {
    const { bandits, now, server } = await startChanging(t, DOWN)
    for (let round = 0; round < 3; round++) {
      now.answer = DOWN
      await failing(bandits, 4)
      now.answer = GOOD
      await bandits.generate({ userId: 'u' })
    }
    assert.equal(breakerOf(bandits), 'closed')
    const other = openOnLlm(t, server.url, { deadlineMs: 20_000 })
    now.answer = failure(500)
    const before = server.requests.length
    // Three requests of the first call, two of the second.
    assert.deepEqual(await failing(other, 2), ['ERR_LLM_STATUS', 'ERR_LLM_STATUS'])
    assert.deepEqual([server.requests.length - before, breakerOf(other), breakerOf(bandits)], [5, 'open', 'closed'])
  })

  test('is not stuck when a probe is aborted', async (t) => {
    const { server, now, bandits } = await startChanging(t, DOWN)
    await failing(bandits, 5)
    await probeIsDue(bandits)
    now.answer = () => undefined
    for (let i = 0; i < 3; i++) {
      const controller = new AbortController()
      const probe = bandits.generate({ userId: 'u' }, { signal: controller.signal })
      await until(() => server.requests.length === 6 + i, 'the probe is there')
      assert.equal(breakerOf(bandits), 'probing')
      controller.abort()
      await assert.rejects(probe, { name: 'AbortError' })
      await until(() => breakerOf(bandits) !== 'probing', 'the probe is over')
      if (breakerOf(bandits) === 'open') await probeIsDue(bandits)
    }
    now.answer = GOOD
    await bandits.generate({ userId: 'u' })
    assert.deepEqual([breakerOf(bandits), server.requests.length], ['closed', 9])
  })

  test('is not stuck when a probe takes too long', async (t) => {
    const { server, now, bandits } = await startChanging(t, DOWN, { timeoutMs: 300 })
    await failing(bandits, 5)
    await probeIsDue(bandits)
    now.answer = () => undefined
    assert.equal(await codeOf(bandits), 'ERR_LLM_UNREACHABLE')
    assert.equal(server.requests.length, 6)
    assert.equal(breakerOf(bandits), 'open')
    await probeIsDue(bandits)
    now.answer = GOOD
    await bandits.generate({ userId: 'u' })
    assert.equal(breakerOf(bandits), 'closed')
  })

  test('ends what waits for its turn when it opens', async (t) => {
    const { server, bandits } = await startChanging(t, failure(500), { maxConcurrent: 1, deadlineMs: 20_000 })
    const from = performance.now()
    const ended = await Promise.all(Array.from({ length: 30 }, () => settled(bandits.generate({ userId: 'u' }))))
    for (const { error } of ended) assert.ok(['ERR_LLM_STATUS', 'ERR_LLM_UNREACHABLE'].includes(error?.code), String(error))
    assert.equal(server.requests.length, 5)
    assert.ok(performance.now() - from < 10_000)
  })

  test('leaves the last error in health()', async (t) => {
    const { bandits } = await startChanging(t, DOWN)
    assert.deepEqual([bandits.health().ok, bandits.health().warnings], [true, []])
    await failing(bandits, 5)
    const { litellm } = bandits.health()
    assert.match(String(litellm.lastError?.message), /the proxy is down/)
    assert.ok(Math.abs(Date.parse(String(litellm.lastError?.ts)) - Date.now()) < 5000)
    await codeOf(bandits)
    assert.equal(bandits.health().litellm.failed, 6)
  })
})
