// @ts-check
// What a message does: the sync file, what is only noted, what is ignored. docs/events.md is the contract.

import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'

import { AckPolicy } from '@nats-io/jetstream'
import { consumes, eventOf, eventsOf, FEEDBACK, openOnBus, SIGNALS, startBus, SYNCED, THEN } from '../support/bus.mjs'
import { NO_SERVER, startServer } from '../support/nats.mjs'
import { assertRefuses } from '../support/refusal.mjs'
import { emptyDirectory, openEngine } from '../support/state-dir.mjs'
import { syncDirectory, syncIn, syncNamesIn, syncsIn } from '../support/sync-files.mjs'

const TS = '2026-11-20T08:15:00.250Z'

describe('signals.task.synced', { skip: NO_SERVER }, () => {
  test('writes the user’s sync file, flat and in an envelope', async (t) => {
    const { admin, bandits, stateDir } = await startBus(t)
    const data = { provider: 'todoist', tasks: 42, nested: { 'ключ': [1.5, null, '✓'] } }
    const flat = await admin.publish(SYNCED, { user_id: 'flat', ts: '2026-11-20T08:15:00Z', ...data })
    const envelope = await admin.publish(SYNCED, { id: 'evt-7', subject: 'signals.else', user_id: 'in an envelope', ts: '2026-11-20T08:15:00Z', data, more: 'is not data' })
    await admin.settled('SIGNALS', SIGNALS)
    const said = { v: 1, ts: '2026-11-20T08:15:00.000Z', subject: SYNCED, stream: 'SIGNALS', data }
    const expected = [{ ...said, userId: 'flat', streamSeq: flat, eventId: null }, { ...said, userId: 'in an envelope', streamSeq: envelope, eventId: 'evt-7' }]
    for (const state of expected) {
      assert.deepEqual(syncIn(stateDir, state.userId), state)
      assert.deepEqual(bandits.syncState(state.userId), state)
      const { outcome, userId, deliveries, problem } = await eventOf(bandits, state.streamSeq)
      assert.deepEqual([outcome, userId, deliveries, problem], ['handled', state.userId, 1, undefined])
    }
    assert.match(syncNamesIn(stateDir).join(' '), /^flat~[0-9a-f]{32}\.json in_an_envelope~[0-9a-f]{32}\.json$/)
  })

  test('takes every way in which a payload may say things', async (t) => {
    const { admin, bandits, stateDir } = await startBus(t)
    const at = Date.parse(TS)
    /** @type {[object | string, Partial<import('@oo/bandits').SyncState>][]} */
    const cases = [
      [{ userId: 'camel', ts: TS }, { userId: 'camel', data: {} }],
      [{ user_id: 'millis', ts: at }, { userId: 'millis' }],
      [`{"user_id":"whole float","ts":${at}.0}`, { userId: 'whole float' }],
      [{ user_id: 'parts of a millisecond', ts: at + 0.75 }, { userId: 'parts of a millisecond' }],
      [`{"user_id":"exponent","ts":${at / 1e12}e12}`, { userId: 'exponent' }],
      [{ user_id: 'millis in a text', ts: `${at}` }, { userId: 'millis in a text' }],
      [{ user_id: 'as Python prints it', ts: '2026-11-20 08:15:00.250000+00:00' }, { userId: 'as Python prints it' }],
      [{ user_id: 'as Ruby prints it', ts: '2026-11-20 10:15:00.250 +0200' }, { userId: 'as Ruby prints it' }],
      [{ user_id: 'offset', ts: '2026-11-20T13:45:00.250+05:30' }, { userId: 'offset' }],
      [{ user_id: 'behind', ts: '2026-11-20T07:15:00.25-01:00' }, { userId: 'behind' }],
      [{ user_id: 'v 1', ts: TS, v: 1, a: 1 }, { userId: 'v 1', data: { a: 1 } }],
      [{ user_id: 'flat id', ts: TS, id: 'evt-1', subject: 'x', a: 1 }, { userId: 'flat id', eventId: 'evt-1', data: { a: 1 } }],
      [{ ts: TS, data: { user_id: 'inside', a: 1 } }, { userId: 'inside', data: { user_id: 'inside', a: 1 } }],
      [{ ts: TS, id: 'e', data: { userId: 'camel inside' } }, { userId: 'camel inside', eventId: 'e' }],
      [{ user_id: 'outer', ts: TS, data: { user_id: 'inner' } }, { userId: 'outer' }],
      [{ user_id: 'é😀/..\\ "\n', ts: TS }, { userId: 'é😀/..\\ "\n' }],
      [{ user_id: 'x'.repeat(512), ts: TS }, { userId: 'x'.repeat(512) }],
      [{ user_id: '😀'.repeat(256), ts: TS }, { userId: '😀'.repeat(256) }],
      [{ user_id: '..', ts: TS }, { userId: '..' }],
    ]
    const sequences = await admin.publishAll(SYNCED, cases.map(([payload]) => payload))
    await admin.settled('SIGNALS', SIGNALS)
    for (const [i, [payload, expected]] of cases.entries()) {
      const state = bandits.syncState(String(expected.userId))
      assert.deepEqual({ ...state, ...expected, streamSeq: sequences[i], ts: TS }, state, JSON.stringify(payload))
      assert.deepEqual(syncIn(stateDir, String(expected.userId)), state)
    }
    assert.equal(syncNamesIn(stateDir).length, cases.length)
    assert.equal(bandits.health().nats.dead, 0)
  })

  test('takes the time of the server where the payload has none', async (t) => {
    const { admin, bandits } = await startBus(t)
    const before = Date.now()
    const seq = await admin.publish(SYNCED, { user_id: 'u' })
    const { ts } = await eventOf(bandits, seq)
    assert.equal(ts, new Date(Math.floor((await admin.message('SIGNALS', seq)).time.getTime())).toISOString())
    assert.equal(bandits.syncState('u')?.ts, ts)
    assert.ok(Date.parse(ts) >= before - 1 && Date.parse(ts) <= Date.now() + 1, ts)
  })

  test('takes a payload of 256 KiB', async (t) => {
    const { admin, bandits } = await startBus(t)
    const rest = 256 * 1024 - JSON.stringify({ user_id: 'u', text: '' }).length
    const seq = await admin.publish(SYNCED, { user_id: 'u', text: 'x'.repeat(rest) })
    const event = await eventOf(bandits, seq)
    assert.deepEqual([event.outcome, event.payloadBytes, event.payload.length], ['handled', 256 * 1024, 2048])
    assert.equal(String(bandits.syncState('u')?.data['text']).length, rest)
  })

  test('never replaces what is newer', async (t) => {
    const { admin, bandits, stateDir } = await startBus(t)
    const at = Date.parse(TS)
    /** @type {[ts: number, outcome: string][]} */
    const steps = [[at, 'handled'], [at - 1, 'stale'], [at, 'handled'], [THEN, 'stale'], [at + 1, 'handled'], [at, 'stale']]
    let last = 0
    for (const [i, [ts, outcome]] of steps.entries()) {
      const seq = await admin.publish(SYNCED, { user_id: 'u', ts, i })
      // One by one: together they would be one batch.
      assert.equal((await eventOf(bandits, seq)).outcome, outcome, `step ${i}`)
      if (outcome === 'handled') last = seq
      assert.equal(syncIn(stateDir, 'u')?.streamSeq, last, `step ${i}`)
    }
  })

  test('gives the newest of many that come at once, of equal ones the last', async (t) => {
    const server = await startServer(t)
    const admin = await server.admin()
    await admin.addStreams()
    const users = Array.from({ length: 7 }, (_user, i) => `u${i}`)
    const payloads = Array.from({ length: 420 }, (_event, i) => ({ user_id: users[i % 7], ts: THEN + (i * 7919) % 97, i }))
    const sequences = await admin.publishAll(SYNCED, payloads)
    const stateDir = emptyDirectory(t)
    const bandits = openOnBus(t, server.url, { stateDir })
    await bandits.start()
    await admin.settled('SIGNALS', SIGNALS)
    for (const userId of users) {
      const own = payloads.map((payload, i) => ({ ...payload, seq: Number(sequences[i]) })).filter(({ user_id: id }) => id === userId)
      const newest = own.reduce((a, b) => (b.ts > a.ts || (b.ts === a.ts && b.seq > a.seq) ? b : a))
      const state = syncIn(stateDir, userId)
      assert.deepEqual([state?.streamSeq, state?.data], [newest.seq, { i: newest.i }])
    }
    const outcomes = bandits.events().map(({ outcome }) => outcome)
    assert.equal(outcomes.filter((outcome) => outcome === 'handled' || outcome === 'stale').length, 420)
  })

  test('that comes again changes nothing', async (t) => {
    const { server, admin, bandits, stateDir } = await startBus(t)
    const payload = { id: 'e', user_id: 'u', ts: TS, a: 1 }
    const [first, second] = await admin.publishAll(SYNCED, [payload, payload])
    await admin.settled('SIGNALS', SIGNALS)
    // The second is another message that says the same.
    const before = syncIn(stateDir, 'u')
    assert.deepEqual([before?.streamSeq, before?.data], [second, { a: 1 }])
    await bandits.close()
    // Under another prefix everything is delivered anew.
    const again = openOnBus(t, server.url, { stateDir, nats: { durablePrefix: 'another' } })
    await again.start()
    await admin.settled('SIGNALS', 'another-signals')
    const events = await eventsOf(again, 2)
    assert.deepEqual(events.map(({ streamSeq, outcome }) => [streamSeq, outcome]), [[first, 'stale'], [second, 'stale']])
    assert.deepEqual(syncIn(stateDir, 'u'), before)
  })

  test('that was delivered to others who died is handled, however often', async (t) => {
    const server = await startServer(t)
    const admin = await server.admin()
    await admin.addStreams()
    await admin.manager.consumers.add('SIGNALS', { durable_name: SIGNALS, ack_policy: AckPolicy.Explicit, filter_subject: 'signals.>' })
    const seq = await admin.publish(SYNCED, { user_id: 'u', ts: TS })
    const other = await admin.jetstream.consumers.get('SIGNALS', SIGNALS)
    for (let delivery = 1; delivery <= 3; delivery++) {
      const message = await other.next({ expires: 5000 })
      assert.equal(message?.info.deliveryCount, delivery)
      message?.nak()
    }
    const bandits = openOnBus(t, server.url, { nats: { maxDeliver: 1 } })
    await bandits.start()
    const event = await eventOf(bandits, seq)
    assert.deepEqual([event.outcome, event.deliveries], ['handled', 4])
    const { redelivered, processed, errors, terminated } = bandits.health().nats.consumers.signals ?? {}
    assert.deepEqual([redelivered, processed, errors, terminated], [1, 1, 0, 0])
    await admin.settled('SIGNALS', SIGNALS)
  })

  test('replaces a file that says nothing', async (t) => {
    const { admin, bandits, stateDir } = await startBus(t)
    for (const [i, garbage] of ['', '{', '[]', '{"v":1}', '\0\0\0'].entries()) {
      await eventOf(bandits, await admin.publish(SYNCED, { user_id: 'u', ts: THEN + i }))
      const path = join(syncDirectory(stateDir), String(syncNamesIn(stateDir)[0]))
      assert.equal(JSON.parse(readFileSync(path, 'utf8')).ts, new Date(THEN + i).toISOString())
      writeFileSync(path, garbage)
      assert.equal(bandits.syncState('u'), null)
    }
  })

  test('outlives the engine', async (t) => {
    const { admin, bandits, stateDir } = await startBus(t)
    await eventOf(bandits, await admin.publish(SYNCED, { user_id: 'u', ts: TS, a: 1 }))
    const before = bandits.syncState('u')
    await bandits.close()
    assert.deepEqual(openEngine(t, { stateDir }).syncState('u'), before)
  })
})

describe('what is only noted', { skip: NO_SERVER }, () => {
  test('feedback, by either way', async (t) => {
    const { admin, bandits, stateDir } = await startBus(t)
    const signal = await admin.publish('signals.tip.feedback', { user_id: 'a', reward: 1 })
    const sequences = [await admin.publish('feedback.tip', { userId: 'b', ts: TS }), await admin.publish('feedback.any.thing', { data: { user_id: 'c' } })]
    await admin.settled('SIGNALS', SIGNALS)
    await admin.settled('FEEDBACK', FEEDBACK)
    const events = [await eventOf(bandits, signal), await eventOf(bandits, Number(sequences[0]), 'FEEDBACK'), await eventOf(bandits, Number(sequences[1]), 'FEEDBACK')]
    assert.deepEqual(events.map(({ outcome, userId, subject }) => [outcome, userId, subject]), [
      ['handled', 'a', 'signals.tip.feedback'], ['handled', 'b', 'feedback.tip'], ['handled', 'c', 'feedback.any.thing'],
    ])
    assert.deepEqual(syncNamesIn(stateDir), [])
    for (const userId of ['a', 'b', 'c']) assert.equal(bandits.stats(userId).rewardCount, 0)
    const { signals, feedback } = bandits.health().nats.consumers
    assert.deepEqual([signals?.processed, signals?.ignored, feedback?.processed, feedback?.ignored], [1, 0, 2, 0])
  })

  test('unknown subjects, whatever they carry', async (t) => {
    const { admin, bandits, stateDir } = await startBus(t)
    const payloads = ['', 'no JSON', '{"user_id":5}', new Uint8Array([0xff, 0]), { user_id: 'u', ts: TS }]
    const subjects = ['signals.task', 'signals.task.synced.too', 'signals.Task.synced', 'signals.x', 'signals.task.other']
    for (const subject of subjects) await admin.publishAll(subject, payloads)
    const { delivered } = await admin.settled('SIGNALS', SIGNALS)
    assert.equal(delivered.consumer_seq, 25)
    const events = await eventsOf(bandits, 25)
    assert.deepEqual([...new Set(events.map(({ outcome, userId }) => `${outcome} ${userId}`))], ['ignored null'])
    const { processed, ignored, terminated } = bandits.health().nats.consumers.signals ?? {}
    assert.deepEqual([processed, ignored, terminated, bandits.health().nats.dead], [25, 25, 0, 0])
    assert.deepEqual(syncNamesIn(stateDir), [])
  })
})

describe('syncState()', () => {
  test('null where there was no sync, with and without a bus', (t) => {
    const bandits = openEngine(t)
    assert.equal(bandits.syncState('nobody'), null)
    bandits.score({ userId: 'somebody', candidates: [{ id: 'a' }] })
    assert.equal(bandits.syncState('somebody'), null)
  })

  test('refuses what is no id', (t) => {
    const bandits = openEngine(t)
    for (const userId of ['', 'x'.repeat(513), '\ud800', 5, null, undefined, {}]) {
      assertRefuses(() => bandits.syncState(/** @type {any} */ (userId)), 'ERR_INVALID_ARGUMENT', 'userId', JSON.stringify(userId))
    }
  })
})

describe('erase()', { skip: NO_SERVER }, () => {
  test('removes the sync file and what events() shows; what comes later makes a new one', async (t) => {
    const { admin, bandits, stateDir } = await startBus(t)
    for (const userId of ['person', 'other']) {
      await admin.publish(SYNCED, { user_id: userId, ts: TS, about: userId })
      await admin.publish('feedback.tip', { user_id: userId })
    }
    await admin.settled('SIGNALS', SIGNALS)
    await admin.settled('FEEDBACK', FEEDBACK)
    const before = await eventsOf(bandits, 4)
    const other = syncIn(stateDir, 'other')
    await bandits.erase('person')
    assert.deepEqual([...syncsIn(stateDir)], [['other', other]])
    assert.equal(bandits.syncState('person'), null)
    assert.deepEqual(bandits.events(), before.filter(({ userId }) => userId !== 'person'))
    // Older than what was erased, of which nothing is known any more.
    const seq = await admin.publish(SYNCED, { user_id: 'person', ts: THEN + 0 })
    assert.equal((await eventOf(bandits, seq)).outcome, 'handled')
    assert.equal(bandits.syncState('person')?.streamSeq, seq)
  })

  test('does so without a bus, too', async (t) => {
    const { admin, bandits, stateDir } = await startBus(t)
    await eventOf(bandits, await admin.publish(SYNCED, { user_id: 'u', ts: TS }))
    await bandits.close()
    const alone = openEngine(t, { stateDir })
    await alone.erase('u')
    assert.deepEqual(syncNamesIn(stateDir), [])
    await alone.erase('u')
  })
})

test('health() tells what is consumed', { skip: NO_SERVER }, async (t) => {
  const server = await startServer(t)
  const admin = await server.admin()
  await admin.addStreams()
  const bandits = openOnBus(t, server.url)
  const stopped = bandits.health().nats
  assert.deepEqual([stopped.enabled, stopped.state, stopped.servers, stopped.server, stopped.problem, stopped.reconnects, stopped.dead, stopped.deadLetters], [true, 'stopped', [server.url], null, null, 0, 0, []])
  await bandits.start()
  await consumes(bandits)
  const seq = await admin.publish(SYNCED, { user_id: 'u', ts: TS })
  await admin.publish('signals.unknown', '')
  await admin.settled('SIGNALS', SIGNALS)
  await eventsOf(bandits, 2)
  const { state, server: connected, problem, consumers } = bandits.health().nats
  assert.deepEqual([state, problem], ['connected', null])
  assert.ok(connected?.includes(String(server.port)), String(connected))
  const { ts } = await eventOf(bandits, seq + 1)
  assert.deepEqual(consumers, {
    signals: { subject: 'signals.>', stream: 'SIGNALS', streamsNotRead: [], durable: SIGNALS, lastMsgTs: ts, processed: 2, ignored: 1, errors: 0, redelivered: 0, terminated: 0, refusedTs: 0, pending: 0, problem: null },
    feedback: { subject: 'feedback.>', stream: 'FEEDBACK', streamsNotRead: [], durable: FEEDBACK, lastMsgTs: null, processed: 0, ignored: 0, errors: 0, redelivered: 0, terminated: 0, refusedTs: 0, pending: 0, problem: null },
  })
  assert.equal(bandits.health().ok, true)
  await bandits.close()
})

test('health() without a bus', (t) => {
  const { nats } = openEngine(t).health()
  assert.deepEqual(nats, { enabled: false, state: 'stopped', servers: [], server: null, problem: null, reconnects: 0, consumers: {}, dead: 0, deadLetters: [] })
})

test('the consumers are durable, pull, explicit and without an end of deliveries', { skip: NO_SERVER }, async (t) => {
  const { admin } = await startBus(t, { nats: { maxDeliver: 3 } })
  for (const [stream, durable, filter] of [['SIGNALS', SIGNALS, 'signals.>'], ['FEEDBACK', FEEDBACK, 'feedback.>']]) {
    const info = await admin.consumer(String(stream), String(durable))
    const { durable_name: name, deliver_subject: push, ack_policy: policy, filter_subject: subject, max_deliver: most, deliver_policy: from } = info?.config ?? {}
    assert.deepEqual([name, push, policy, subject, most, from], [durable, undefined, 'explicit', filter, -1, 'all'])
  }
})
