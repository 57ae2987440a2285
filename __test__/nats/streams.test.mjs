// @ts-check
// Which stream is read, and how a consumer gets into a work queue in which the old service's push consumer is. docs/events.md is the contract.

import assert from 'node:assert/strict'
import { describe, test } from 'node:test'

import { AckPolicy, RetentionPolicy } from '@nats-io/jetstream'
import { consumes, eventOf, openOnBus, SIGNALS, SYNCED, THEN } from '../support/bus.mjs'
import { NO_SERVER, startServer } from '../support/nats.mjs'
import { until } from '../support/until.mjs'

/** @typedef {import('../support/nats-admin.mjs').Admin} Admin */

describe('of several streams that take the subjects', { skip: NO_SERVER }, () => {
  test('the first by name is read, whichever was made first, and the others are named', async (t) => {
    const server = await startServer(t)
    const admin = await server.admin()
    await admin.addStream('ZETA', ['signals.tip.>'])
    await admin.addStream('MIDDLE', ['signals.x'])
    await admin.addStream('ALPHA', ['signals.task.>'])
    await admin.addStream('FEEDBACK', ['feedback.>'])
    const bandits = openOnBus(t, server.url)
    await bandits.start()
    await consumes(bandits)
    const { signals, feedback } = bandits.health().nats.consumers
    assert.deepEqual([signals?.stream, signals?.streamsNotRead, feedback?.stream, feedback?.streamsNotRead], ['ALPHA', ['MIDDLE', 'ZETA'], 'FEEDBACK', []])
    const seq = await admin.publish(SYNCED, { user_id: 'u', ts: THEN })
    assert.equal((await eventOf(bandits, seq, 'ALPHA')).outcome, 'handled')
    assert.equal(bandits.syncState('u')?.stream, 'ALPHA')
    const said = bandits.health().warnings.filter((warning) => warning.includes('ALPHA'))
    assert.deepEqual(said, ['consumer signals reads stream ALPHA alone, but MIDDLE, ZETA take some of signals.>, too: have one stream take all'])
  })
})

describe('a work queue', { skip: NO_SERVER }, () => {
  const DELIVERED = 'deliver.to.the.old.service'

  /** The old service's push consumer, which has acknowledged the first two of four messages. @param {Admin} admin @param {string} [filter] */
  async function withOldService(admin, filter = 'signals.>') {
    await admin.addStream('SIGNALS', ['signals.>'], { retention: RetentionPolicy.Workqueue })
    await admin.addStream('FEEDBACK', ['feedback.>'])
    /** @type {import('@nats-io/transport-node').Msg[]} */
    const messages = []
    const subscription = admin.connection.subscribe(DELIVERED, { callback: (_error, message) => { messages.push(message) } })
    await admin.manager.consumers.add('SIGNALS', { durable_name: SIGNALS, deliver_subject: DELIVERED, ack_policy: AckPolicy.Explicit, filter_subject: filter, ack_wait: 600e9 })
    await admin.publishAll(SYNCED, [0, 1, 2, 3].map((i) => ({ user_id: `u${i}`, ts: THEN + i })))
    await until(() => messages.length === 4, 'the old service has all')
    for (const message of messages.slice(0, 2)) message.respond('+ACK')
    await until(async () => (await admin.manager.streams.info('SIGNALS')).state.messages === 2, 'two are left')
    return subscription
  }

  for (const filter of ['signals.>', SYNCED]) {
    test(`in which the old service still listens to ${filter} is waited for, and taken over when it has stopped`, async (t) => {
      const server = await startServer(t)
      const admin = await server.admin()
      const subscription = await withOldService(admin, filter)
      const bandits = openOnBus(t, server.url)
      await bandits.start()
      const signals = () => bandits.health().nats.consumers.signals
      const problem = await until(() => signals()?.problem ?? undefined, 'the consumer says what is in the way')
      assert.match(problem, /^stream SIGNALS is a work queue.* push consumer p-signals .*stop the old service.*nats consumer rm SIGNALS p-signals/)
      assert.ok(bandits.health().warnings.includes(`consumer signals waits: ${problem}`))
      // It is left alone while somebody listens to it.
      assert.equal((await admin.consumer('SIGNALS', SIGNALS))?.config.deliver_subject, DELIVERED)
      assert.equal(signals()?.durable, null)

      subscription.unsubscribe()
      await until(() => signals()?.processed === 2, 'what the old service has left is handled')
      assert.deepEqual([bandits.syncState('u1'), bandits.syncState('u2')?.streamSeq, bandits.syncState('u3')?.streamSeq], [null, 3, 4])
      const { config } = await admin.consumer('SIGNALS', SIGNALS) ?? {}
      assert.deepEqual([config?.deliver_subject, config?.filter_subject, signals()?.durable, signals()?.problem], [undefined, 'signals.>', SIGNALS, null])
      await until(async () => (await admin.manager.streams.info('SIGNALS')).state.messages === 0, 'the queue is empty')
      await bandits.close()

      const next = openOnBus(t, server.url)
      await next.start()
      const seq = await admin.publish(SYNCED, { user_id: 'u', ts: THEN })
      assert.equal((await eventOf(next, seq)).outcome, 'handled')
    })
  }

  test('in which another consumer is says what to do, and takes nothing away', async (t) => {
    const server = await startServer(t)
    const admin = await server.admin()
    await admin.addStream('SIGNALS', ['signals.>'], { retention: RetentionPolicy.Workqueue })
    await admin.manager.consumers.add('SIGNALS', { durable_name: 'somebody-else', ack_policy: AckPolicy.Explicit, filter_subject: 'signals.task.>' })
    const bandits = openOnBus(t, server.url)
    await bandits.start()
    const problem = await until(() => bandits.health().nats.consumers.signals?.problem ?? undefined, 'the consumer says what is in the way')
    assert.match(problem, /^stream SIGNALS is a work queue.*another one takes some of ours: remove it \(nats consumer ls SIGNALS/)
    assert.ok(await admin.consumer('SIGNALS', 'somebody-else'))
    await admin.manager.consumers.delete('SIGNALS', 'somebody-else')
    await until(() => bandits.health().nats.consumers.signals?.durable === SIGNALS, 'it goes on by itself')
  })
})
