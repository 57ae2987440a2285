// @ts-check
// What cannot be handled is given up once, loudly; what cannot be handled for now is tried again, later and later. The server counts.

import assert from 'node:assert/strict'
import { rmSync, writeFileSync } from 'node:fs'
import { describe, test } from 'node:test'

import { eventOf, eventsOf, FEEDBACK, openOnBus, SIGNALS, startBus, SYNCED, THEN } from '../support/bus.mjs'
import { run } from '../support/child.mjs'
import { linesIn } from '../support/log-lines.mjs'
import { NO_SERVER, startServer } from '../support/nats.mjs'
import { emptyDirectory } from '../support/state-dir.mjs'
import { syncDirectory, syncIn, syncNamesIn } from '../support/sync-files.mjs'
import { until } from '../support/until.mjs'

/** @typedef {import('../support/state-dir.mjs').TestContext} TestContext */

/** What can never be handled, and what the problem says. @type {[payload: unknown, problem: RegExp, userId?: string][]} */
const POISON = [
  ['', /JSON/],
  ['{', /JSON/],
  ['not JSON', /JSON/],
  [new Uint8Array([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d]), /JSON/],
  ['{"user_id":"u"} {}', /JSON/],
  ['{"user_id":"\\ud800"}', /JSON|user_id/],
  ['['.repeat(100_000), /JSON/],
  ['[]', /object/],
  ['null', /object/],
  ['"u"', /object/],
  ['{}', /user_id/],
  [{ ts: 1 }, /user_id/],
  [{ user_id: '' }, /user_id/],
  [{ user_id: 5 }, /user_id/],
  [{ user_id: null }, /user_id/],
  [{ user_id: ['u'] }, /user_id/],
  [{ user_id: 'x'.repeat(513) }, /user_id/],
  [{ user_id: '😀'.repeat(257) }, /user_id/],
  [{ user_id: 'u', ts: 'yesterday' }, /ts/],
  [{ user_id: 'u', ts: '' }, /ts/],
  [{ user_id: 'u', ts: -1 }, /ts/],
  [{ user_id: 'u', ts: '2026-02-30T00:00:00Z' }, /ts/],
  [{ user_id: 'u', ts: '2026-11-20T08:15:00' }, /ts/],
  [{ user_id: 'u', ts: {} }, /ts/],
  [{ user_id: 'u', ts: true }, /ts/],
  [{ user_id: 'u', ts: 1_795_162_500 }, /^ts .* seconds\?/],
  [{ user_id: 'u', ts: 1_795_162_500.25 }, /^ts .* seconds\?/],
  [{ user_id: 'u', ts: '1970-01-21T18:39:22Z' }, /^ts .* seconds\?/],
  [{ user_id: 'u', ts: 1_795_162_500_250_000 }, /^ts .* microseconds\?/],
  [{ user_id: 'u', ts: 0 }, /^ts .* none that was set\?/],
  [{ user_id: 'u', ts: '9999-12-31T23:59:59Z' }, /^ts .* ahead/],
  [{ user_id: 'u', ts: Date.now() + 3_600_000 }, /^ts .* ahead/],
  [{ user_id: 'u', ts: '2026-11-20T08:15:00++2:00' }, /^ts .* zone/],
  [{ user_id: 'u', v: 2 }, /v/],
  [{ user_id: 'u', v: '1' }, /v/],
  [{ user_id: 'u', data: 5 }, /data/],
  [{ user_id: 'u', data: [] }, /data/],
  [{ user_id: 'u', text: 'x'.repeat(256 * 1024) }, /bytes/],
]

describe('what can never be handled', { skip: NO_SERVER }, () => {
  test('an event of the wrong time leaves its user as it is, and is counted', async (t) => {
    const { admin, bandits } = await startBus(t)
    const before = await admin.publish(SYNCED, { user_id: 'u', ts: THEN })
    await admin.publish(SYNCED, { user_id: 'u', ts: '9999-12-31T23:59:59Z' })
    await admin.publish(SYNCED, { user_id: 'u', ts: THEN / 1000 })
    await admin.settled('SIGNALS', SIGNALS)
    assert.equal(bandits.syncState('u')?.streamSeq, before)
    const after = await admin.publish(SYNCED, { user_id: 'u', ts: THEN + 1 })
    assert.equal((await eventOf(bandits, after)).outcome, 'handled')
    const { dead, consumers: { signals } } = bandits.health().nats
    assert.deepEqual([dead, signals?.terminated, signals?.refusedTs], [2, 2, 2])
    const warnings = bandits.health().warnings.filter((warning) => warning.includes('`ts`'))
    assert.match(warnings.join(), /^2 messages of consumer signals were refused for their `ts`; the last: ts is .*seconds\?/)
  })

  test('is delivered once, and shown everywhere', async (t) => {
    const { admin, bandits, stateDir } = await startBus(t)
    const sequences = await admin.publishAll(SYNCED, POISON.map(([payload]) => payload))
    const good = await admin.publish(SYNCED, { user_id: 'good', ts: THEN + 1 })
    const info = await admin.settled('SIGNALS', SIGNALS)
    assert.deepEqual([info.delivered.consumer_seq, info.num_redelivered, info.num_ack_pending, info.ack_floor.stream_seq], [POISON.length + 1, 0, 0, good])

    assert.equal((await eventOf(bandits, good)).outcome, 'handled')
    for (const [i, [payload, problem]] of POISON.entries()) {
      const event = await eventOf(bandits, Number(sequences[i]))
      assert.deepEqual([event.outcome, event.deliveries, event.stream, event.subject], ['dead', 1, 'SIGNALS', SYNCED], String(payload).slice(0, 50))
      assert.match(String(event.problem), problem)
      assert.ok(String(event.problem).length < 300, event.problem)
    }
    assert.deepEqual(syncNamesIn(stateDir).length, 1)

    const { nats } = bandits.health()
    assert.equal(nats.dead, POISON.length)
    assert.deepEqual(nats.deadLetters.map(({ ts: _ts, ...letter }) => letter), bandits.events().filter(({ outcome }) => outcome === 'dead').slice(-10)
      .map(({ subject, stream, streamSeq, deliveries, userId, problem }) => ({ subject, stream, streamSeq, deliveries, userId, problem })))
    const { processed, errors, terminated, redelivered } = nats.consumers.signals ?? {}
    assert.deepEqual([processed, errors, terminated, redelivered], [1, POISON.length, POISON.length, 0])

    await bandits.close()
    const lines = linesIn(stateDir).filter(({ kind }) => kind === 'dead')
    assert.deepEqual(lines.map(({ subject, stream, streamSeq, deliveries }) => [subject, stream, streamSeq, deliveries]), sequences.map((seq) => [SYNCED, 'SIGNALS', seq, 1]))
    for (const [i, { problem }] of lines.entries()) assert.match(problem, /** @type {RegExp} */ (POISON[i]?.[1]))
  })

  test('is so on every subject that something is known of', async (t) => {
    const { admin, bandits } = await startBus(t)
    await admin.publish('signals.tip.feedback', 'poison')
    await admin.publish('feedback.tip', 'poison')
    const infos = [await admin.settled('SIGNALS', SIGNALS), await admin.settled('FEEDBACK', FEEDBACK)]
    assert.deepEqual(infos.map(({ delivered, num_redelivered: again }) => [delivered.consumer_seq, again]), [[1, 0], [1, 0]])
    assert.deepEqual((await eventsOf(bandits, 2)).map(({ outcome }) => outcome), ['dead', 'dead'])
    assert.deepEqual(bandits.health().nats.deadLetters.map(({ subject }) => subject).sort(), ['feedback.tip', 'signals.tip.feedback'])
  })

  test('is said on standard error', async (t) => {
    const server = await startServer(t)
    const admin = await server.admin()
    await admin.addStreams()
    await admin.publish(SYNCED, 'poison')
    const { code, stderr } = run(`
      const engine = Bandits.open({ stateDir, nats: { url: process.env.SERVER } })
      await engine.start()
      while (engine.health().nats.dead === 0) await new Promise((resolve) => setTimeout(resolve, 5))
      await engine.close()`, { stateDir: emptyDirectory(t), env: { SERVER: server.url } })
    assert.equal(code, 0, stderr)
    const [line = '', ...more] = stderr.trim().split('\n')
    assert.deepEqual(more, [])
    assert.match(line, /@oo\/bandits.*\b1\b.*SIGNALS.*signals\.task\.synced.*JSON/)
  })

  test('can be sent again, mended', async (t) => {
    const { admin, bandits } = await startBus(t)
    await admin.publish(SYNCED, { user_id: 'u', ts: 'yesterday', tasks: 3 })
    const [dead] = await until(() => bandits.health().nats.dead === 1 && bandits.health().nats.deadLetters, 'it is given up')
    const message = await admin.message(String(dead?.stream), Number(dead?.streamSeq))
    await bandits.publish(message.subject, { .../** @type {object} */ (message.json()), ts: '2026-11-20T08:15:00Z' })
    await admin.settled('SIGNALS', SIGNALS)
    assert.deepEqual(bandits.syncState('u')?.data, { tasks: 3 })
  })

  test('leaves no name of an erased person in health()', async (t) => {
    const { stateDir, admin, bandits } = await startFailing(t, { maxDeliver: 1 })
    await admin.publish(SYNCED, { user_id: 'person', ts: THEN + 1 })
    await until(() => bandits.health().nats.dead === 1, 'it is given up')
    assert.equal(bandits.health().nats.deadLetters[0]?.userId, 'person')
    rmSync(syncDirectory(stateDir))
    await bandits.erase('person')
    assert.ok(!JSON.stringify([bandits.health(), bandits.events()]).includes('person'))
  })
})

/**
 * A bus whose syncs cannot be written: where their directory belongs there is a file.
 * @param {TestContext} t
 * @param {import('@oo/bandits').NatsOptions} nats
 */
async function startFailing(t, nats) {
  const stateDir = emptyDirectory(t)
  writeFileSync(syncDirectory(stateDir), 'in the way')
  return startBus(t, { stateDir, nats })
}

describe('what fails for now', { skip: NO_SERVER, concurrency: true }, () => {
  for (const maxDeliver of [1, 3]) {
    test(`is delivered ${maxDeliver} times, later and later, and then given up`, async (t) => {
      const { admin, bandits, stateDir } = await startFailing(t, { maxDeliver })
      const seq = await admin.publish(SYNCED, { user_id: 'u', ts: THEN + 1 })
      // What does not fail goes on meanwhile, on both consumers.
      await eventOf(bandits, seq)
      const others = [await admin.publish('signals.tip.feedback', { user_id: 'v' }), await admin.publish('feedback.tip', { user_id: 'v' })]
      assert.equal((await eventOf(bandits, Number(others[0]))).outcome, 'handled')
      assert.equal((await eventOf(bandits, Number(others[1]), 'FEEDBACK')).outcome, 'handled')
      await until(() => bandits.health().nats.dead === 1, 'it is given up')
      const info = await admin.settled('SIGNALS', SIGNALS)
      assert.equal(info.delivered.consumer_seq, maxDeliver + 1)

      const events = bandits.events({ subject: SYNCED })
      const outcomes = [...Array.from({ length: maxDeliver - 1 }, () => 'retried'), 'dead']
      assert.deepEqual(events.map(({ deliveries, outcome, userId, streamSeq }) => [deliveries, outcome, userId, streamSeq]), outcomes.map((outcome, i) => [i + 1, outcome, 'u', seq]))
      for (const { problem } of events) assert.ok(problem)
      const times = events.map(({ receivedAt }) => Date.parse(receivedAt))
      for (const [i, time] of times.slice(1).entries()) {
        const delay = time - Number(times[i])
        // The machine may be late, the package must not be early.
        assert.ok(delay >= 1000 * 2 ** i && delay < 1250 * 2 ** i + 1500, `${delay} ms before delivery ${i + 2}`)
      }
      const { processed, errors, terminated, redelivered } = bandits.health().nats.consumers.signals ?? {}
      assert.deepEqual([processed, errors, terminated, redelivered], [1, maxDeliver, 1, maxDeliver - 1])
      const [letter] = bandits.health().nats.deadLetters
      assert.deepEqual([letter?.userId, letter?.deliveries, letter?.streamSeq, letter?.problem], ['u', maxDeliver, seq, events.at(-1)?.problem])
      await bandits.close()
      const lines = linesIn(stateDir).filter(({ kind }) => kind === 'dead')
      assert.deepEqual(lines.map(({ userId, streamSeq, deliveries }) => [userId, streamSeq, deliveries]), [['u', seq, maxDeliver]])
    })
  }

  test('is handled once the cause is gone', async (t) => {
    const { admin, bandits, stateDir } = await startFailing(t, {})
    const sequences = await admin.publishAll(SYNCED, [{ user_id: 'u', ts: THEN + 1 }, { user_id: 'v', ts: THEN + 1 }])
    await eventsOf(bandits, 2)
    rmSync(syncDirectory(stateDir))
    const info = await admin.settled('SIGNALS', SIGNALS)
    assert.equal(info.delivered.consumer_seq, 4)
    assert.deepEqual(['u', 'v'].map((userId) => syncIn(stateDir, userId)?.streamSeq), sequences)
    await eventsOf(bandits, 4)
    assert.deepEqual(bandits.events().map(({ outcome }) => outcome).sort(), ['handled', 'handled', 'retried', 'retried'])
    const { nats } = bandits.health()
    assert.deepEqual([nats.dead, nats.consumers.signals?.errors, nats.consumers.signals?.processed, nats.consumers.signals?.redelivered], [0, 2, 2, 2])
  })

  test('is tried again by the next engine, and counts on', async (t) => {
    const { server, admin, bandits, stateDir } = await startFailing(t, { maxDeliver: 2 })
    const seq = await admin.publish(SYNCED, { user_id: 'u', ts: THEN + 1 })
    assert.equal((await eventOf(bandits, seq)).outcome, 'retried')
    await bandits.close()
    const next = openOnBus(t, server.url, { stateDir, nats: { maxDeliver: 2 } })
    await next.start()
    await until(() => next.health().nats.dead === 1, 'it is given up')
    assert.equal((await admin.settled('SIGNALS', SIGNALS)).delivered.consumer_seq, 2)
  })
})
