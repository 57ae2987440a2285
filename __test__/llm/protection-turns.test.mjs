// @ts-check
// No more requests at once than are allowed; who waits, in what order and for how long. The server counts.

import assert from 'node:assert/strict'
import { describe, test } from 'node:test'

import { marked, markOf, settled, startLlm } from '../support/llm-engine.mjs'
import { failure, inTurn, tips } from '../support/llm-server.mjs'
import { until } from '../support/until.mjs'

/** @typedef {import('../support/llm-server.mjs').Answer} Answer */

const GOOD = tips([{ id: 'a', content: 'Water the plants' }])

/** An answer that waits until the test lets it go. */
function gate() {
  /** @type {(() => unknown)[]} */
  const held = []
  /** @type {Answer} */
  const answer = (response, received) => held.push(() => GOOD(response, received))
  return { answer, held, release: () => held.shift()?.() }
}

describe('maxConcurrent', () => {
  for (const maxConcurrent of [1, 3]) {
    test(`of ${maxConcurrent}: so many requests at once`, async (t) => {
      const { answer, held, release } = gate()
      const { server, bandits } = await startLlm(t, answer, { maxConcurrent })
      const marks = Array.from({ length: 12 }, (_call, i) => `call ${i}`)
      const calls = marks.map((mark) => bandits.generate(marked(mark)))
      for (let done = 0; done < marks.length; done++) {
        const sent = Math.min(done + maxConcurrent, marks.length)
        await until(() => held.length === sent - done, `request ${sent} is there`)
        const { inFlight, waiting } = bandits.health().litellm
        assert.deepEqual([inFlight, waiting, server.requests.length], [sent - done, marks.length - sent, sent])
        release()
        await until(() => bandits.health().litellm.succeeded === done + 1, `${done + 1} calls are over`)
      }
      await Promise.all(calls)
      assert.equal(server.most, maxConcurrent)
      assert.deepEqual(server.requests.map(markOf).sort(), marks.sort())
      const { inFlight, waiting, calls: counted } = bandits.health().litellm
      assert.deepEqual([inFlight, waiting, counted], [0, 0, marks.length])
    })
  }

  test('is given to calls in their order', async (t) => {
    const { server, bandits } = await startLlm(t, GOOD, { maxConcurrent: 1 })
    for (let round = 0; round < 3; round++) {
      const marks = Array.from({ length: 40 }, (_call, i) => `round ${round}, call ${i}`)
      await Promise.all(marks.map((mark) => bandits.generate(marked(mark))))
      assert.deepEqual(server.requests.slice(-marks.length).map(markOf), marks)
    }
  })

  test('is 16 where nothing is said', async (t) => {
    const { answer, held, release } = gate()
    const { server, bandits } = await startLlm(t, answer)
    const calls = Array.from({ length: 40 }, () => bandits.generate({ userId: 'u' }))
    await until(() => held.length === 16, '16 requests are there')
    assert.deepEqual([bandits.health().litellm.inFlight, bandits.health().litellm.waiting], [16, 24])
    for (let done = 0; done < 40; done++) {
      await until(() => held.length > 0, 'a request is there')
      release()
    }
    await Promise.all(calls)
    assert.deepEqual([server.most, server.requests.length], [16, 40])
  })

  test('is never passed, whoever the calls are for', async (t) => {
    // The first four are answered together; how many the others are at once is a matter of who is faster.
    /** @type {(() => void)[]} */
    const held = []
    const { server, bandits } = await startLlm(t, (response, received) => {
      held.push(() => GOOD(response, received))
      if (server.requests.length >= 4) for (const answer of held.splice(0)) setImmediate(answer)
    }, { maxConcurrent: 4 })
    await Promise.all(Array.from({ length: 100 }, (_call, i) => bandits.generate({ userId: `u${i}` })))
    assert.deepEqual([server.requests.length, server.most], [100, 4])
  })

  test('a wait before a repeat does not keep others from their turn', async (t) => {
    const { server, bandits } = await startLlm(t, (response, received) => (markOf(received) === 'first' && server.requests.length === 1 ? failure(429, 'later', { 'retry-after': '1' }) : GOOD)(response, received), { maxConcurrent: 1 })
    const first = bandits.generate(marked('first'))
    await until(() => server.requests.length === 1, 'the first is refused')
    await bandits.generate(marked('second'))
    assert.deepEqual(server.requests.map(markOf), ['first', 'second'])
    assert.equal((await first).attempts, 2)
  })
})

describe('ERR_BACKPRESSURE', () => {
  test('at once for who would be the 1,001st to wait', async (t) => {
    const { server, bandits } = await startLlm(t, () => undefined, { maxConcurrent: 1 })
    const first = settled(bandits.generate({ userId: 'u' }))
    await until(() => server.requests.length === 1, 'one is under way')
    const waiting = Array.from({ length: 1000 }, () => settled(bandits.generate({ userId: 'u' })))
    await until(() => bandits.health().litellm.waiting === 1000, '1,000 wait')
    const from = performance.now()
    await assert.rejects(bandits.generate({ userId: 'u' }), { name: 'BanditError', code: 'ERR_BACKPRESSURE', retryable: true })
    assert.ok(performance.now() - from < 1000)
    const { waiting: still, inFlight, failed } = bandits.health().litellm
    assert.deepEqual([still, inFlight, failed], [1000, 1, 1])
    await bandits.close()
    const codes = (await Promise.all([first, ...waiting])).map(({ error }) => error?.code)
    assert.deepEqual([...new Set(codes)], ['ERR_CLOSED'])
    assert.equal(server.requests.length, 1)
  })

  test('a place that becomes free is given again', async (t) => {
    const { server, bandits } = await startLlm(t, () => undefined, { maxConcurrent: 1 })
    const controller = new AbortController()
    const calls = [settled(bandits.generate({ userId: 'u' }))]
    await until(() => server.requests.length === 1, 'one is under way')
    const aborted = assert.rejects(bandits.generate({ userId: 'u' }, { signal: controller.signal }), { name: 'AbortError' })
    for (let i = 0; i < 999; i++) calls.push(settled(bandits.generate({ userId: 'u' })))
    await until(() => bandits.health().litellm.waiting === 1000, '1,000 wait')
    controller.abort()
    await aborted
    await until(() => bandits.health().litellm.waiting === 999, '999 wait')
    calls.push(settled(bandits.generate({ userId: 'u' })))
    await until(() => bandits.health().litellm.waiting === 1000, '1,000 wait again')
    await bandits.close()
    for (const { error } of await Promise.all(calls)) assert.equal(error?.code, 'ERR_CLOSED')
  })

  test('at the deadline for who had no turn', async (t) => {
    const { server, bandits } = await startLlm(t, () => undefined, { maxConcurrent: 1, deadlineMs: 400 })
    const from = performance.now()
    const ended = await Promise.all(Array.from({ length: 20 }, async () => ({ ...await settled(bandits.generate({ userId: 'u' })), ms: performance.now() - from })))
    for (const { error, ms } of ended) {
      assert.ok(['ERR_BACKPRESSURE', 'ERR_LLM_UNREACHABLE'].includes(error?.code), String(error))
      assert.ok(error?.retryable)
      // A request alone may take 30 s.
      assert.ok(ms >= 395 && ms <= 5000, `${ms} ms`)
    }
    // The turn is free at the same moment: whoever finds it may still ask.
    const refused = ended.filter(({ error }) => error?.code === 'ERR_BACKPRESSURE').length
    assert.ok(refused >= 1 && server.requests.length >= 1 && server.requests.length <= 20 - refused, `${refused} refused, ${server.requests.length} requests`)
    assert.ok(refused < 20, 'nobody had a turn')
    await until(() => server.open === 0, 'no connection is left')
    assert.deepEqual([bandits.health().litellm.inFlight, bandits.health().litellm.waiting], [0, 0])
  })
})

test('who has no turn to ask again ends with what went wrong', async (t) => {
  for (const [bad, code] of /** @type {[Answer, string][]} */ ([[tips([{ content: 5 }]), 'ERR_LLM_INVALID_REPLY'], [failure(503), 'ERR_LLM_STATUS']])) {
    /** @type {(() => void)[]} */
    const held = []
    const answer = (/** @type {Parameters<Answer>} */ ...of) => { if (markOf(of[1]) === 'bad') held.push(() => bad(...of)) }
    const { server, bandits } = await startLlm(t, answer, { maxConcurrent: 1, deadlineMs: 2500 })
    const call = settled(bandits.generate(marked('bad')))
    await until(() => held.length === 1, 'the request is there')
    const other = settled(bandits.generate(marked('never answered')))
    await until(() => bandits.health().litellm.waiting === 1, 'the other one waits')
    // It is counted a moment before it stands in the queue, and nothing tells when it does.
    setTimeout(() => held.shift()?.(), 150)
    assert.equal((await call).error?.code, code)
    assert.equal((await other).error?.code, 'ERR_LLM_UNREACHABLE')
    assert.equal(server.requests.length, 2)
  }
})

test('one that fails gives its turn to the next', async (t) => {
  const { server, bandits } = await startLlm(t, inTurn(failure(401), (response) => response.socket?.resetAndDestroy(), GOOD), { maxConcurrent: 1 })
  const calls = Array.from({ length: 5 }, () => settled(bandits.generate({ userId: 'u' })))
  const ended = await Promise.all(calls)
  assert.deepEqual(ended.map(({ error }) => error?.code).sort(), ['ERR_LLM_STATUS', undefined, undefined, undefined, undefined])
  assert.deepEqual([server.requests.length, server.most], [6, 1])
})

test('a proxy that is busy is not taken for one that is down', async (t) => {
  const { server, bandits } = await startLlm(t, (response, received) => { setTimeout(() => GOOD(response, received), 200) }, { maxConcurrent: 4, deadlineMs: 1000 })
  const ended = await Promise.all(Array.from({ length: 30 }, () => settled(bandits.generate({ userId: 'u' }))))
  assert.ok(ended.filter(({ error }) => error === undefined).length >= 1)
  assert.equal(bandits.health().litellm.breaker, 'closed')
  await until(() => server.underWay === 0, 'what was cut short is over')
  await bandits.generate({ userId: 'u' })
})
