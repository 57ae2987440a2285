// @ts-check
// Calls of generate() that a signal ends: at once, with its reason, wherever the call stands. What the server sees of it.

import assert from 'node:assert/strict'
import { getEventListeners } from 'node:events'
import { describe, test } from 'node:test'

import { runBeside } from '../support/child.mjs'
import { marked, markOf, settled, startLlm } from '../support/llm-engine.mjs'
import { failure, inTurn, startLlmServer, tips } from '../support/llm-server.mjs'
import { emptyDirectory } from '../support/state-dir.mjs'
import { until } from '../support/until.mjs'

/** @typedef {import('../support/llm-server.mjs').Answer} Answer */
/** @typedef {import('@oo/bandits').Bandits} Bandits */

const GOOD = tips([{ id: 'a', content: 'Water the plants' }])
/** @type {Answer} */
const NEVER = () => undefined

/** Rejects with this very value. @param {Promise<unknown>} call @param {unknown} reason */
const assertRejectsWith = (call, reason) => call.then(() => assert.fail('it succeeded'), (error) => assert.ok(Object.is(error, reason), `${String(error)} in place of ${String(reason)}`))

/** @param {Bandits} bandits */
function outcomesOf(bandits) {
  const { calls, succeeded, failed, inFlight, waiting } = bandits.health().litellm
  return { calls, succeeded, failed, inFlight, waiting }
}

describe('a signal', () => {
  test('that is aborted already: no request', async (t) => {
    const { server, bandits } = await startLlm(t, GOOD)
    const reason = { of: 'mine' }
    await assertRejectsWith(bandits.generate({ userId: 'u' }, { signal: AbortSignal.abort(reason) }), reason)
    await bandits.generate({ userId: 'u' })
    assert.deepEqual([server.requests.length, outcomesOf(bandits).succeeded, outcomesOf(bandits).failed], [1, 1, 0])
  })

  for (const [name, reason] of /** @type {[string, unknown][]} */ ([['an error', new Error('enough')], ['an object', {}], ['a string', 'enough'], ['null', null], ['0', 0]])) {
    test(`aborted during the request: its reason, ${name}, and the connection is closed`, async (t) => {
      const { server, bandits } = await startLlm(t, NEVER)
      const controller = new AbortController()
      const call = bandits.generate({ userId: 'u' }, { signal: controller.signal })
      const rejected = assertRejectsWith(call, reason)
      await until(() => server.requests.length === 1, 'the request is there')
      controller.abort(reason)
      await rejected
      await until(() => server.open === 0, 'the connection is closed')
      assert.deepEqual(getEventListeners(controller.signal, 'abort'), [])
      await until(() => bandits.health().litellm.inFlight === 0, 'nothing is under way')
      assert.deepEqual([outcomesOf(bandits).succeeded, outcomesOf(bandits).failed, bandits.health().litellm.lastError], [0, 0, null])
    })
  }

  test('aborted without a reason, and by time', async (t) => {
    const { bandits } = await startLlm(t, NEVER)
    const controller = new AbortController()
    const call = bandits.generate({ userId: 'u' }, { signal: controller.signal })
    controller.abort()
    await assertRejectsWith(call, controller.signal.reason)
    const timed = AbortSignal.timeout(50)
    await assert.rejects(bandits.generate({ userId: 'u' }, { signal: timed }), (error) => error === timed.reason && timed.reason.name === 'TimeoutError')
  })

  test('aborted in the midst of the body', async (t) => {
    const { server, bandits } = await startLlm(t, (response) => { response.writeHead(200).write('{"choices":') })
    const controller = new AbortController()
    const rejected = assertRejectsWith(bandits.generate({ userId: 'u' }, { signal: controller.signal }), 'now')
    await until(() => server.requests.length === 1, 'the request is there')
    controller.abort('now')
    await rejected
    await until(() => server.open === 0, 'the connection is closed')
  })

  test('aborted during the wait before a repeat: there is none', async (t) => {
    const { server, bandits } = await startLlm(t, (response, received) => failure(503)(response, received))
    const controller = new AbortController()
    const rejected = assertRejectsWith(bandits.generate(marked('aborted'), { signal: controller.signal }), 'now')
    await until(() => bandits.health().litellm.attempts === 1 && bandits.health().litellm.inFlight === 0, 'it waits')
    controller.abort('now')
    await rejected
    // What takes longer than the aborted one would have waited.
    await assert.rejects(bandits.generate(marked('other')), { code: 'ERR_LLM_STATUS' })
    assert.deepEqual(server.requests.map(markOf), ['aborted', 'other', 'other', 'other'])
  })

  test('aborted during the wait for a turn: no request', async (t) => {
    /** @type {(() => unknown)[]} */
    const held = []
    const { server, bandits } = await startLlm(t, (response, received) => held.push(() => GOOD(response, received)), { maxConcurrent: 1 })
    const controller = new AbortController()
    const first = bandits.generate(marked('first'))
    await until(() => held.length === 1, 'the first is there')
    const rejected = assertRejectsWith(bandits.generate(marked('aborted'), { signal: controller.signal }), 'now')
    const third = bandits.generate(marked('third'))
    await until(() => bandits.health().litellm.waiting === 2, 'two wait')
    controller.abort('now')
    await rejected
    await until(() => bandits.health().litellm.waiting === 1, 'one waits')
    held[0]?.()
    await until(() => held.length === 2, 'the third is there')
    held[1]?.()
    await Promise.all([first, third])
    assert.deepEqual(server.requests.map(markOf), ['first', 'third'])
    assert.deepEqual(outcomesOf(bandits), { calls: 3, succeeded: 2, failed: 0, inFlight: 0, waiting: 0 })
  })

  test('of many calls ends them all, and gives back their turns', async (t) => {
    const { server, bandits } = await startLlm(t, (response, received) => (markOf(received) === 'good' ? GOOD : NEVER)(response, received), { maxConcurrent: 3 })
    const controller = new AbortController()
    const calls = Array.from({ length: 20 }, (_call, i) => assertRejectsWith(bandits.generate(marked(`call ${i}`), { signal: controller.signal }), 'now'))
    await until(() => server.requests.length === 3, 'three are there')
    assert.ok(getEventListeners(controller.signal, 'abort').length <= 20)
    controller.abort('now')
    await Promise.all(calls)
    await Promise.all(Array.from({ length: 6 }, () => bandits.generate(marked('good'))))
    // A turn may be given on before the next call hears of the end.
    assert.equal(server.requests.filter((received) => markOf(received) === 'good').length, 6)
    await until(() => bandits.health().litellm.inFlight === 0 && server.underWay === 0, 'nothing is under way')
  })

  test('that outlives its calls holds nothing of them', async (t) => {
    const { bandits } = await startLlm(t, inTurn(GOOD, failure(401), GOOD))
    const { signal } = new AbortController()
    for (let i = 0; i < 12; i++) await settled(bandits.generate({ userId: 'u' }, { signal }))
    await assert.rejects(bandits.generate({ userId: 'u', n: 0 }, { signal }), { code: 'ERR_INVALID_ARGUMENT' })
    assert.deepEqual(getEventListeners(signal, 'abort'), [])
  })

  test('that calls share ends those that are left, when others are over', async (t) => {
    const { server, bandits } = await startLlm(t, (response, received) => (markOf(received) === 'left' ? NEVER : GOOD)(response, received))
    const controller = new AbortController()
    const left = assertRejectsWith(bandits.generate(marked('left'), { signal: controller.signal }), 'now')
    await bandits.generate(marked('over'), { signal: controller.signal })
    assert.equal(getEventListeners(controller.signal, 'abort').length, 1)
    controller.abort('now')
    await left
    assert.deepEqual(getEventListeners(controller.signal, 'abort'), [])
    await until(() => server.underWay === 0, 'nothing is under way')
  })

  test('of many calls at once warns of nothing', async (t) => {
    const server = await startLlmServer(t, GOOD)
    const { code, stdout, stderr } = await runBeside(`
      const { signal } = new AbortController()
      const calls = Array.from({ length: 30 }, () => bandits.generate({ userId: 'u' }, { signal }))
      console.log((await Promise.all(calls)).length)`, { stateDir: emptyDirectory(t), env: { STATE_DIR: emptyDirectory(t), LITELLM_URL: server.url } })
    assert.deepEqual([code, stdout, stderr], [0, '30\n', ''])
  })

  test('aborted after the end changes nothing', async (t) => {
    const { bandits } = await startLlm(t, GOOD)
    const controller = new AbortController()
    const { candidates } = await bandits.generate({ userId: 'u' }, { signal: controller.signal })
    controller.abort()
    assert.equal(candidates.length, 1)
    assert.deepEqual(outcomesOf(bandits), { calls: 1, succeeded: 1, failed: 0, inFlight: 0, waiting: 0 })
  })
})
