// @ts-check
// What the consumers do while something is missing: a server, a stream, their own durable consumer. And where an old service's
// push consumer stands in their place.

import assert from 'node:assert/strict'
import { describe, test } from 'node:test'

import { AckPolicy, DeliverPolicy } from '@nats-io/jetstream'
import { consumes, eventOf, eventsOf, FEEDBACK, openOnBus, SIGNALS, startBus, SYNCED, THEN } from '../support/bus.mjs'
import { NO_SERVER, startServer } from '../support/nats.mjs'
import { freePort } from '../support/ports.mjs'
import { emptyDirectory } from '../support/state-dir.mjs'
import { until } from '../support/until.mjs'

/** @typedef {import('@oo/bandits').Bandits} Bandits */

/** @param {Bandits} bandits */
const signalsOf = (bandits) => bandits.health().nats.consumers.signals

// Mostly they wait: for the next attempt to connect, for a request that a server has taken with it.
describe('no server', { skip: NO_SERVER, concurrency: true }, () => {
  test('at the start: it is found when it comes', async (t) => {
    const server = await startServer(t)
    await (await server.admin()).addStreams()
    await server.stop()
    const bandits = openOnBus(t, server.url)
    const from = performance.now()
    await bandits.start()
    assert.ok(performance.now() - from < 1000, 'start() waited for the server')
    const { state, problem } = await until(() => bandits.health().nats.problem !== null && bandits.health().nats, 'it has tried')
    assert.equal(state, 'connecting', String(problem))
    assert.equal(bandits.health().nats.server, null)
    // Scoring does not care.
    assert.equal(bandits.score({ userId: 'u', candidates: [{ id: 'a' }] }).tipId, 'a')
    await server.restart()
    await consumes(bandits)
    const admin = await server.admin()
    await admin.publish('signals.x', 'x')
    assert.equal((await eventsOf(bandits, 1)).length, 1)
    assert.deepEqual([bandits.health().nats.state, bandits.health().nats.problem, signalsOf(bandits)?.problem], ['connected', null, null])
  })

  test('for a while: it is found again, and the loss is told', async (t) => {
    const { server, admin, bandits } = await startBus(t)
    await eventOf(bandits, await admin.publish('signals.x', 'x'))
    await server.kill()
    const lost = await until(() => bandits.health().nats.state === 'reconnecting' && bandits.health().nats, 'the loss is noticed')
    assert.deepEqual([lost.server, lost.reconnects], [null, 1])
    assert.ok(lost.problem)
    await server.restart()
    await until(() => bandits.health().nats.state === 'connected', 'it is connected again')
    await eventOf(bandits, await admin.publish('signals.x', 'x'))
    const { problem, reconnects, server: connected } = bandits.health().nats
    assert.deepEqual([problem, reconnects], [null, 1])
    assert.ok(connected)
    await until(() => signalsOf(bandits)?.problem === null, 'the consumer has no problem any more')
  })

  test('at one of several addresses: the others are tried', async (t) => {
    const server = await startServer(t)
    const admin = await server.admin()
    await admin.addStreams()
    const dead = `nats://127.0.0.1:${await freePort()}`
    const bandits = openOnBus(t, `${dead}, ${server.url}`)
    await bandits.start()
    await consumes(bandits)
    await eventOf(bandits, await admin.publish('signals.x', 'x'))
    assert.deepEqual(bandits.health().nats.servers, [dead, server.url])
  })

  test('under load: nothing is lost', async (t) => {
    const { server, admin, bandits } = await startBus(t)
    const total = 900
    /** @type {Set<number>} */
    const seen = new Set()
    bandits.onEvent(({ streamSeq }) => seen.add(streamSeq))
    const publishing = Promise.all([0, 1, 2].map(async (lane) => {
      for (let i = lane; i < total; i += 3) await admin.publish(SYNCED, { user_id: `u${i % 20}`, ts: THEN + i })
    }))
    await until(() => seen.size > total / 3, 'a third is handled')
    await server.restart()
    await publishing
    await admin.hurry('SIGNALS', SIGNALS)
    const info = await admin.settled('SIGNALS', SIGNALS)
    const { state } = await admin.manager.streams.info('SIGNALS')
    assert.ok(state.last_seq >= total)
    assert.equal(info.ack_floor.stream_seq, state.last_seq)
    for (let user = 0; user < 20; user++) assert.equal(Date.parse(String(bandits.syncState(`u${user}`)?.ts)), THEN + total - 20 + user)
    const { dead, reconnects } = bandits.health().nats
    assert.deepEqual([dead, reconnects], [0, 1])
    t.diagnostic(`${info.delivered.consumer_seq} deliveries of ${state.last_seq} messages`)
  })
})

describe('no stream', { skip: NO_SERVER, concurrency: 2 }, () => {
  test('at the start: it is found when it is made, and none is made', async (t) => {
    const server = await startServer(t)
    const admin = await server.admin()
    const bandits = openOnBus(t, server.url)
    await bandits.start()
    const problem = await until(() => signalsOf(bandits)?.problem ?? undefined, 'the consumer says what is missing')
    assert.match(problem, /signals\.>/)
    assert.deepEqual([bandits.health().nats.state, signalsOf(bandits)?.stream, signalsOf(bandits)?.durable], ['connected', null, null])
    assert.deepEqual(await admin.manager.streams.list().next(), [])
    // Under whatever name, with more subjects than are asked for.
    await admin.addStream('EVERYTHING', ['signals.>', 'other.>'])
    const seq = await admin.publish(SYNCED, { user_id: 'u', ts: THEN + 1 })
    assert.equal((await eventOf(bandits, seq, 'EVERYTHING')).outcome, 'handled')
    assert.deepEqual([signalsOf(bandits)?.stream, signalsOf(bandits)?.problem, bandits.syncState('u')?.stream], ['EVERYTHING', null, 'EVERYTHING'])
    assert.ok(bandits.health().nats.consumers.feedback?.problem)
  })

  test('any more: it is found when it is made again', async (t) => {
    const { admin, bandits } = await startBus(t)
    await eventOf(bandits, await admin.publish(SYNCED, { user_id: 'u', ts: THEN + 1 }))
    await admin.manager.streams.delete('SIGNALS')
    await until(() => signalsOf(bandits)?.problem !== null, 'the consumer notices')
    await admin.addStream('AGAIN', ['signals.>'])
    const seq = await admin.publish(SYNCED, { user_id: 'u', ts: THEN + 2 })
    assert.equal((await eventOf(bandits, seq, 'AGAIN')).outcome, 'handled')
    assert.deepEqual([bandits.syncState('u')?.stream, bandits.syncState('u')?.streamSeq], ['AGAIN', 1])
  })

  test('for both kinds but one: that one takes both', async (t) => {
    const server = await startServer(t)
    const admin = await server.admin()
    await admin.addStream('BOTH', ['signals.>', 'feedback.>'])
    const bandits = openOnBus(t, server.url)
    await bandits.start()
    await consumes(bandits)
    await admin.publish('signals.x', 'x')
    await admin.publish('feedback.x', { user_id: 'u' })
    const events = await eventsOf(bandits, 2)
    assert.deepEqual(events.map(({ subject, stream }) => [subject, stream]).sort(), [['feedback.x', 'BOTH'], ['signals.x', 'BOTH']])
    assert.deepEqual([(await admin.consumer('BOTH', SIGNALS))?.delivered.consumer_seq, (await admin.consumer('BOTH', FEEDBACK))?.delivered.consumer_seq], [1, 1])
  })
})

describe('the durable consumer', { skip: NO_SERVER, concurrency: 2 }, () => {
  test('that was removed is made again; what comes again changes nothing', async (t) => {
    const { admin, bandits } = await startBus(t)
    await eventOf(bandits, await admin.publish(SYNCED, { user_id: 'u', ts: THEN + 1 }))
    const before = bandits.syncState('u')
    await admin.manager.consumers.delete('SIGNALS', SIGNALS)
    const seq = await admin.publish(SYNCED, { user_id: 'v', ts: THEN + 1 })
    assert.equal((await eventOf(bandits, seq)).outcome, 'handled')
    assert.deepEqual(bandits.syncState('u'), before)
    assert.equal((await admin.settled('SIGNALS', SIGNALS)).delivered.consumer_seq, 2)
  })

  test('goes on where the last engine ended', async (t) => {
    const { server, admin, bandits } = await startBus(t)
    await admin.publishAll('signals.x', ['a', 'b', 'c'])
    await admin.settled('SIGNALS', SIGNALS)
    await bandits.close()
    const seq = await admin.publish('signals.x', 'd')
    const next = openOnBus(t, server.url)
    await next.start()
    await eventOf(next, seq)
    assert.deepEqual(next.events().map(({ streamSeq, seq: ordinal }) => [streamSeq, ordinal]), [[4, 1]])
  })

  test('keeps what operators have set, and not an end of deliveries', async (t) => {
    const server = await startServer(t)
    const admin = await server.admin()
    await admin.addStreams()
    await admin.manager.consumers.add('SIGNALS', { durable_name: SIGNALS, ack_policy: AckPolicy.Explicit, filter_subject: 'signals.>', max_deliver: 2, description: 'an operator’s', deliver_policy: DeliverPolicy.New, max_batch: 3, max_bytes: 2000 })
    const bandits = openOnBus(t, server.url)
    await bandits.start()
    await consumes(bandits)
    const { config } = await admin.consumer('SIGNALS', SIGNALS) ?? {}
    assert.deepEqual([config?.max_deliver, config?.description, config?.deliver_policy, config?.max_batch, config?.max_bytes], [-1, 'an operator’s', 'new', 3, 2000])
    // The third is larger than what may be asked for at a time.
    await admin.publishAll('signals.x', ['x', 'y', 'z'.repeat(5000), ...Array.from({ length: 10 }, () => 'x'.repeat(900))])
    assert.equal((await eventsOf(bandits, 13)).length, 13)
    const { redelivered, problem } = signalsOf(bandits) ?? {}
    assert.deepEqual([redelivered, problem], [0, null])
  })

  test('of the old service, a push consumer, is taken over from where it stands', async (t) => {
    const server = await startServer(t)
    const admin = await server.admin()
    await admin.addStreams()
    const delivered = 'deliver.to.the.old.service'
    /** @type {import('@nats-io/transport-node').Msg[]} */
    const messages = []
    const subscription = admin.connection.subscribe(delivered, { callback: (_error, message) => { messages.push(message) } })
    await admin.manager.consumers.add('SIGNALS', { durable_name: SIGNALS, deliver_subject: delivered, ack_policy: AckPolicy.Explicit, filter_subject: 'signals.>', ack_wait: 600e9 })
    await admin.publishAll(SYNCED, Array.from({ length: 10 }, (_event, i) => ({ user_id: `u${i + 1}`, ts: THEN + i })))
    await until(() => messages.length === 10, 'the old service has all')
    // Of ten it has acknowledged the first six and the eighth.
    for (const i of [1, 2, 3, 4, 5, 6, 8]) messages[i - 1]?.respond('+ACK')
    await until(async () => (await admin.consumer('SIGNALS', SIGNALS))?.num_ack_pending === 3, 'the server knows')
    const old = await admin.consumer('SIGNALS', SIGNALS)
    assert.equal(old?.ack_floor.stream_seq, 6)

    const stateDir = emptyDirectory(t)
    const bandits = openOnBus(t, server.url, { stateDir })
    await bandits.start()
    const info = await admin.settled('SIGNALS', `${SIGNALS}-pull`)
    assert.deepEqual([info.config.opt_start_seq, info.config.deliver_subject, info.delivered.consumer_seq], [7, undefined, 4])
    assert.deepEqual((await eventsOf(bandits, 4)).map(({ streamSeq }) => streamSeq), [7, 8, 9, 10])
    assert.equal(signalsOf(bandits)?.durable, `${SIGNALS}-pull`)
    assert.equal(bandits.health().nats.consumers.feedback?.durable, FEEDBACK)
    const after = await admin.consumer('SIGNALS', SIGNALS)
    assert.deepEqual([after?.config, after?.ack_floor, after?.num_ack_pending], [old?.config, old?.ack_floor, 3])
    await bandits.close()

    // The old one has moved on; the new one goes on where it stands itself.
    messages[6]?.respond('+ACK')
    const next = openOnBus(t, server.url, { stateDir })
    await next.start()
    const seq = await admin.publish(SYNCED, { user_id: 'u11', ts: THEN + 11 })
    await eventOf(next, seq)
    assert.deepEqual(next.events().map(({ streamSeq }) => streamSeq), [11])
    await next.close()
    subscription.unsubscribe()

    // Nobody needs the old one any more. What was handled does not come again.
    await admin.manager.consumers.delete('SIGNALS', SIGNALS)
    const last = openOnBus(t, server.url, { stateDir })
    await last.start()
    await eventOf(last, await admin.publish(SYNCED, { user_id: 'u12', ts: THEN + 12 }))
    assert.deepEqual(last.events().map(({ streamSeq }) => streamSeq), [12])
    assert.equal(signalsOf(last)?.durable, `${SIGNALS}-pull`)
  })
})
