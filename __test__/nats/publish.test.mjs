// @ts-check
// publish(): what arrives, and what is said when nothing can.

import assert from 'node:assert/strict'
import { describe, test } from 'node:test'

import { BanditError } from '@oo/bandits'
import { consumes, eventOf, openOnBus, startBus } from '../support/bus.mjs'
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
    const { stream, streamSeq } = await bandits.publish('signals.task.synced', { user_id: 'u', ts: 5 })
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

  test('rejects what the server does not take, and goes on', async (t) => {
    const { bandits } = await startBus(t)
    // The server takes a megabyte.
    await assert.rejects(bandits.publish('signals.x', 'x'.repeat((1 << 20) + 1)), BanditError)
    assert.equal((await bandits.publish('signals.x', 'x')).stream, 'SIGNALS')
    assert.equal(bandits.health().nats.reconnects, 0)
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

  test('rejects while there is no server, and works when there is', async (t) => {
    const server = await startServer(t)
    await (await server.admin()).addStreams()
    await server.stop()
    const bandits = openOnBus(t, server.url)
    await bandits.start()
    await assertUnreachable(bandits.publish('signals.x', 'x'))
    await server.restart()
    await until(() => bandits.publish('signals.x', 'x').then(() => true, () => false), 'publish() works')
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
