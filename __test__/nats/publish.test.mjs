// @ts-check
// publish(): what arrives, and what is said when nothing can.

import assert from 'node:assert/strict'
import { describe, test } from 'node:test'

import { BanditError } from '@oo/bandits'
import { consumes, eventOf, openOnBus, startBus, THEN } from '../support/bus.mjs'
import { NO_SERVER, startServer } from '../support/nats.mjs'
import { assertRejects } from '../support/refusal.mjs'
import { openEngine } from '../support/state-dir.mjs'
import { until } from '../support/until.mjs'

const UNREACHABLE = 'ERR_NATS_UNREACHABLE'

// Nobody answers for five seconds: meanwhile the other tests run.
describe('publish()', { skip: NO_SERVER, concurrency: true }, () => {
  test('sends strings and bytes as they are, anything else as JSON', async (t) => {
    const { admin, bandits } = await startBus(t)
    const bytes = new Uint8Array([0, 255, 128, 10])
    /** @type {[unknown, Uint8Array][]} */
    const cases = [
      [{ user_id: 'u', 'é': [1, null] }, Buffer.from('{"user_id":"u","é":[1,null]}')],
      ['{"plain": "text ✓"}', Buffer.from('{"plain": "text ✓"}')],
      ['', Buffer.from('')],
      [bytes, bytes],
      [Buffer.from('a buffer'), Buffer.from('a buffer')],
      [bytes.subarray(1, 3), new Uint8Array([255, 128])],
      [[1, 2], Buffer.from('[1,2]')],
      [5, Buffer.from('5')],
      [null, Buffer.from('null')],
      [true, Buffer.from('true')],
      [new Date(0), Buffer.from('"1970-01-01T00:00:00.000Z"')],
    ]
    for (const [i, [payload, expected]] of cases.entries()) {
      assert.deepEqual(await bandits.publish('signals.x', payload), { stream: 'SIGNALS', streamSeq: i + 1, duplicate: false })
      const message = await admin.message('SIGNALS', i + 1)
      assert.deepEqual([message.subject, Buffer.from(message.data)], ['signals.x', Buffer.from(expected)])
    }
  })

  test('what it sends comes back as an event', async (t) => {
    const { bandits } = await startBus(t)
    const { stream, streamSeq } = await bandits.publish('signals.task.synced', { user_id: 'u', ts: THEN + 5 })
    const { outcome, userId } = await eventOf(bandits, streamSeq, stream)
    assert.deepEqual([outcome, userId, bandits.syncState('u')?.streamSeq], ['handled', 'u', streamSeq])
  })

  test('many at once each have a place of their own', async (t) => {
    const { bandits } = await startBus(t)
    const published = await Promise.all(Array.from({ length: 300 }, (_message, i) => bandits.publish('feedback.x', { user_id: `u${i}` })))
    assert.deepEqual(published.map(({ streamSeq }) => streamSeq).sort((a, b) => a - b), Array.from({ length: 300 }, (_message, i) => i + 1))
  })

  test('refuses what is no subject', async (t) => {
    const { bandits } = await startBus(t)
    for (const subject of ['', '.', 'a..b', 'signals.', '.signals', 'signals x', 'signals.*', 'signals.>', '>', '*', 'a\nb', 'signals.\r\nPUB x', 'a'.repeat(1025), 5, null, undefined, {}]) {
      await assertRejects(() => bandits.publish(/** @type {any} */ (subject), 'x'), 'ERR_INVALID_ARGUMENT', 'subject', String(subject))
    }
  })

  test('refuses what has no JSON', async (t) => {
    const { bandits } = await startBus(t)
    /** @type {Record<string, unknown>} */
    const circular = {}
    circular['self'] = circular
    for (const payload of [undefined, circular, 1n, () => 1, Symbol('s')]) await assertRejects(() => bandits.publish('signals.x', payload), 'ERR_INVALID_ARGUMENT', 'payload', typeof payload)
  })

  test('refuses what is larger than the server takes, naming both sizes, and goes on', async (t) => {
    const { bandits } = await startBus(t)
    // The server takes a megabyte.
    await assertRejects(() => bandits.publish('signals.x', 'x'.repeat((1 << 20) + 1)), 'ERR_INVALID_ARGUMENT', 'payload')
    await assert.rejects(bandits.publish('signals.x', 'x'.repeat(3 << 20)), (error) => {
      assert.ok(error instanceof BanditError)
      assert.deepEqual([error.retryable, error.message], [false, 'payload: 3145728 bytes; the server takes at most 1048576 (its max_payload)'])
      return true
    })
    assert.equal((await bandits.publish('signals.x', 'x'.repeat(1 << 20))).streamSeq, 1)
    assert.equal(bandits.health().nats.reconnects, 0)
  })

  test('refuses what is larger than the stream takes', async (t) => {
    const server = await startServer(t)
    const admin = await server.admin()
    await admin.addStreams({ max_msg_size: 1000 })
    const bandits = openOnBus(t, server.url)
    await bandits.start()
    await assert.rejects(bandits.publish('signals.x', 'x'.repeat(2000)), (error) => {
      assert.ok(error instanceof BanditError)
      assert.deepEqual([error.code, error.retryable], ['ERR_INVALID_ARGUMENT', false], error.message)
      assert.match(error.message, /^payload: 2000 bytes; the stream that takes signals\.x allows fewer \(its max_msg_size\)/)
      return true
    })
    assert.equal((await bandits.publish('signals.x', 'x')).streamSeq, 1)
  })

  test('rejects where no stream takes the subject', async (t) => {
    const { bandits } = await startBus(t)
    await assertUnreachable(bandits.publish('elsewhere.x', 'x'))
    assert.equal((await bandits.publish('signals.x', 'x')).streamSeq, 1)
  })

  test('rejects before start() and after close()', async (t) => {
    const server = await startServer(t)
    await (await server.admin()).addStreams()
    const bandits = openOnBus(t, server.url)
    // Not started: trying again would be no use.
    await assertUnreachable(bandits.publish('signals.x', 'x'), false)
    await bandits.start()
    await consumes(bandits)
    assert.equal((await bandits.publish('signals.x', 'x')).streamSeq, 1)
    await bandits.close()
    await assertRejects(() => bandits.publish('signals.x', 'x'), 'ERR_CLOSED')
  })

  test('waits for the server, from start() on', async (t) => {
    const server = await startServer(t)
    await (await server.admin()).addStreams()
    const bandits = openOnBus(t, server.url)
    await bandits.start()
    // No server is connected yet: start() does not wait for one.
    assert.equal((await bandits.publish('signals.x', 'x')).streamSeq, 1)
    await server.kill()
    const patient = bandits.publish('signals.x', 'y', { timeoutMs: 60_000 })
    await server.restart()
    assert.equal((await patient).streamSeq, 2)
  })

  test('rejects when there is no server in time, and sends nothing later', async (t) => {
    const server = await startServer(t)
    const admin = await server.admin()
    await admin.addStreams()
    await server.stop()
    const bandits = openOnBus(t, server.url)
    await bandits.start()
    const from = performance.now()
    await assert.rejects(bandits.publish('signals.x', 'late', { timeoutMs: 300 }), (error) => {
      assert.ok(error instanceof BanditError)
      assert.deepEqual([error.code, error.retryable], [UNREACHABLE, true])
      assert.match(error.message, /^publish to signals\.x: no server is connected after 300 ms: .*refused/)
      return true
    })
    const waited = performance.now() - from
    assert.ok(waited >= 299, `${waited} ms`)
    await server.restart()
    // The first message that the stream has is one that was sent since.
    assert.equal((await bandits.publish('signals.x', 'x', { timeoutMs: 60_000 })).streamSeq, 1)
    // It is lost and comes back while a call waits that has not the time.
    await server.kill()
    await until(() => bandits.health().nats.state === 'reconnecting', 'the loss is noticed')
    await assertUnreachable(bandits.publish('signals.x', 'late', { timeoutMs: 50 }))
    await server.restart()
    assert.equal((await bandits.publish('signals.x', 'x', { timeoutMs: 60_000 })).streamSeq, 2)
  })

  test('rejects with the reason of a signal, and sends nothing later', async (t) => {
    const server = await startServer(t)
    await (await server.admin()).addStreams()
    await server.stop()
    const bandits = openOnBus(t, server.url)
    await bandits.start()
    const reason = new Error('no longer wanted')
    const controller = new AbortController()
    const publishing = bandits.publish('signals.x', 'aborted', { signal: controller.signal, timeoutMs: 60_000 })
    controller.abort(reason)
    await assert.rejects(publishing, (error) => error === reason)
    await assert.rejects(bandits.publish('signals.x', 'aborted', { signal: controller.signal }), (error) => error === reason)
    await server.restart()
    assert.equal((await bandits.publish('signals.x', 'x', { timeoutMs: 60_000 })).streamSeq, 1)
  })

  test('rejects what waits when the engine is closed', async (t) => {
    const bandits = openOnBus(t, 'nats://127.0.0.1:1')
    await bandits.start()
    const publishing = assertRejects(() => bandits.publish('signals.x', 'x', { timeoutMs: 60_000 }), 'ERR_CLOSED')
    await bandits.close()
    await publishing
  })

  test('refuses options that are none', async (t) => {
    const { bandits } = await startBus(t)
    for (const timeoutMs of [0, -1, 1.5, NaN, Infinity, 600_001, '5', null, {}]) {
      await assertRejects(() => bandits.publish('signals.x', 'x', /** @type {any} */ ({ timeoutMs })), 'ERR_INVALID_ARGUMENT', 'options.timeoutMs', String(timeoutMs))
    }
    for (const options of [5, null, new AbortController().signal, { timeout: 5 }]) {
      await assertRejects(() => bandits.publish('signals.x', 'x', /** @type {any} */ (options)), 'ERR_INVALID_ARGUMENT', 'options', String(options))
    }
    await assertRejects(() => bandits.publish('signals.x', 'x', /** @type {any} */ ({ signal: {} })), 'ERR_INVALID_ARGUMENT')
    assert.equal((await bandits.publish('signals.x', 'x', { timeoutMs: undefined, signal: undefined })).streamSeq, 1)
  })

  test('rejects without a bus, and is not to be tried again', async (t) => {
    const bandits = openEngine(t)
    await assertUnreachable(bandits.publish('signals.x', 'x'), false)
    await bandits.start()
    await assertUnreachable(bandits.publish('signals.x', 'x'), false)
  })
})

/** @param {Promise<unknown>} publishing @param {boolean} [retryable] */
async function assertUnreachable(publishing, retryable = true) {
  await assert.rejects(publishing, (error) => {
    assert.ok(error instanceof BanditError, String(error))
    assert.deepEqual([error.code, error.retryable], [UNREACHABLE, retryable], error.message)
    return true
  })
}
