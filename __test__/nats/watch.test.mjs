// @ts-check
// Watching the bus: events() and onEvent().

import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'

import { eventsOf, SIGNALS, startBus, SYNCED, THEN } from '../support/bus.mjs'
import { run } from '../support/child.mjs'
import { NO_SERVER } from '../support/nats.mjs'
import { assertRefuses } from '../support/refusal.mjs'
import { emptyDirectory, openEngine } from '../support/state-dir.mjs'
import { until } from '../support/until.mjs'

/** @typedef {import('@oo/bandits').BusEvent} BusEvent */

describe('events()', { skip: NO_SERVER }, () => {
  /** @type {(() => unknown)[]} */
  const hooks = []
  /** @type {Awaited<ReturnType<typeof startBus>>} */
  let bus
  /** @param {import('@oo/bandits').EventFilter} [filter] */
  const seqs = (filter) => bus.bandits.events(filter).map(({ seq }) => seq)

  before(async () => {
    bus = await startBus({ after: (hook) => hooks.push(hook) })
    // 1 to 6, one after the other.
    for (const [i, [subject, userId]] of [[SYNCED, 'a'], ['signals.tip.feedback', 'b'], ['feedback.tip', 'a'], ['signals.x', 'a'], ['feedback.tip.late', 'c'], [SYNCED, 'b']].entries()) {
      await bus.admin.publish(String(subject), { user_id: userId, ts: THEN + i })
      await eventsOf(bus.bandits, i + 1)
    }
  })
  after(async () => {
    for (const hook of hooks) await hook()
  })

  test('all that is known of a delivery', async () => {
    const [event, second] = bus.bandits.events()
    assert.ok(event !== undefined)
    const { receivedAt, ts, ...rest } = event
    assert.deepEqual(rest, { seq: 1, subject: SYNCED, userId: 'a', stream: 'SIGNALS', streamSeq: 1, deliveries: 1, outcome: 'handled', payload: `{"user_id":"a","ts":${THEN}}`, payloadBytes: 34 })
    for (const time of [ts, receivedAt]) assert.match(time, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/)
    assert.ok(Math.abs(Date.parse(receivedAt) - Date.now()) < 60_000)
    assert.equal(second?.streamSeq, 2)
  })

  test('filters', () => {
    /** @type {[import('@oo/bandits').EventFilter | undefined, number[]][]} */
    const cases = [
      [undefined, [1, 2, 3, 4, 5, 6]],
      [{}, [1, 2, 3, 4, 5, 6]],
      [{ subject: SYNCED }, [1, 6]],
      [{ subject: 'signals.>' }, [1, 2, 4, 6]],
      [{ subject: 'signals.*' }, [4]],
      [{ subject: '*.tip.*' }, [2, 5]],
      [{ subject: '*.tip' }, [3]],
      [{ subject: 'feedback.tip.>' }, [5]],
      [{ subject: '>' }, [1, 2, 3, 4, 5, 6]],
      [{ subject: '*.>' }, [1, 2, 3, 4, 5, 6]],
      [{ subject: 'nothing' }, []],
      [{ subject: 'Signals.>' }, []],
      [{ userId: 'a' }, [1, 3]],
      [{ userId: 'nobody' }, []],
      [{ userId: 'a', subject: 'feedback.>' }, [3]],
      [{ limit: 2 }, [5, 6]],
      [{ limit: 500 }, [1, 2, 3, 4, 5, 6]],
      [{ limit: 1, subject: SYNCED }, [6]],
      [{ sinceSeq: 0 }, [1, 2, 3, 4, 5, 6]],
      [{ sinceSeq: 0, limit: 2 }, [1, 2]],
      [{ sinceSeq: 2, limit: 2 }, [3, 4]],
      [{ sinceSeq: 1, limit: 1, userId: 'b' }, [2]],
      [{ sinceSeq: 6 }, []],
      [{ sinceSeq: Number.MAX_SAFE_INTEGER }, []],
    ]
    for (const [filter, expected] of cases) assert.deepEqual(seqs(filter), expected, JSON.stringify(filter))
  })

  test('in pages, each from where the last one ended', () => {
    const seen = []
    for (let sinceSeq = 0, page; (page = bus.bandits.events({ sinceSeq, limit: 4 })).length > 0; sinceSeq = Number(page.at(-1)?.seq)) seen.push(...page.map(({ seq }) => seq))
    assert.deepEqual(seen, [1, 2, 3, 4, 5, 6])
  })

  test('refuses what is no filter, and says where', () => {
    const { bandits } = bus
    /** @type {[string, unknown[]][]} */
    const cases = [
      ['subject', ['', '.', 'a..b', 'a.', '.a', 'a b', '>.a', 'a.>.b', 'a\tb', 'a'.repeat(1025), 5, {}, ['a']]],
      ['userId', ['', 'x'.repeat(513), '\udc00', 5, {}]],
      ['sinceSeq', [-1, 0.5, NaN, Infinity, '5', {}, 2 ** 53]],
      ['limit', [0, -1, 501, 1.5, NaN, '5', {}]],
    ]
    for (const [key, values] of cases) {
      for (const value of values) assertRefuses(() => bandits.events(/** @type {any} */ ({ [key]: value })), 'ERR_INVALID_ARGUMENT', `filter.${key}`, `${key}: ${String(value)}`)
    }
    for (const filter of [5, 'signals.>', [], { user: 'u' }, { Limit: 5 }]) assertRefuses(() => bandits.events(/** @type {any} */ (filter)), 'ERR_INVALID_ARGUMENT', 'filter', JSON.stringify(filter))
  })
})

test('events() has the last 500, and of each payload the first 2,048 bytes', { skip: NO_SERVER }, async (t) => {
  const { admin, bandits } = await startBus(t)
  await admin.publishAll('signals.x', Array.from({ length: 515 }, () => 'x'.repeat(10)))
  await admin.publish('signals.x', 'é'.repeat(2000))
  await admin.settled('SIGNALS', SIGNALS)
  const events = await until(() => bandits.events().at(-1)?.seq === 516 && bandits.events(), 'all are noted')
  assert.deepEqual([events.length, events[0]?.seq, events.at(-1)?.payloadBytes], [500, 17, 4000])
  assert.equal(events.at(-1)?.payload, 'é'.repeat(1024))
  assert.deepEqual(bandits.events({ sinceSeq: 3, limit: 1 }).map(({ seq }) => seq), [17])
})

test('events() without a bus is empty', (t) => {
  assert.deepEqual(openEngine(t).events(), [])
})

describe('onEvent()', { skip: NO_SERVER }, () => {
  test('has every delivery, once, in order, as events() has it, until it is stopped', async (t) => {
    const { admin, bandits } = await startBus(t)
    await admin.publish('signals.before', '')
    await eventsOf(bandits, 1)
    /** @type {BusEvent[]} */
    const heard = []
    /** @type {BusEvent[]} */
    const alsoHeard = []
    const stop = bandits.onEvent((event) => heard.push(event))
    const stopAlso = bandits.onEvent((event) => alsoHeard.push(event))
    await admin.publishAll(SYNCED, Array.from({ length: 300 }, (_event, i) => ({ user_id: `u${i % 5}`, ts: THEN + i })))
    await until(() => heard.length === 300 && alsoHeard.length === 300, 'all are heard')
    assert.deepEqual(heard, bandits.events({ sinceSeq: 1 }))
    assert.deepEqual(alsoHeard, heard)
    stop()
    stop()
    await admin.publish('signals.after', '')
    await until(() => alsoHeard.length === 301, 'the other one hears on')
    stopAlso()
    await admin.publish('signals.after', '')
    await eventsOf(bandits, 303)
    // A turn of the loop, in which a listener that had not been stopped would be called.
    await new Promise((resolve) => { setImmediate(resolve) })
    assert.deepEqual([heard.length, alsoHeard.length], [300, 301])
  })

  test('is heard before there is a server, and may stop itself and others', async (t) => {
    const { admin, bandits } = await startBus(t)
    /** @type {string[]} */
    const heard = []
    const stopFirst = bandits.onEvent(() => { heard.push('first'); stopFirst(); stopThird() })
    bandits.onEvent(() => { heard.push('second') })
    const stopThird = bandits.onEvent(() => { heard.push('third') })
    await admin.publishAll('signals.x', ['a', 'b'])
    await until(() => heard.filter((who) => who === 'second').length === 2, 'the second hears both')
    assert.equal(heard.filter((who) => who === 'first').length, 1)
  })

  test('a listener that comes late sees a gap, and not twice the same', async (t) => {
    const { admin, bandits } = await startBus(t)
    /** @type {number[]} */
    const heard = []
    bandits.onEvent(({ seq }) => { heard.push(seq) })
    await admin.publishAll('signals.x', Array.from({ length: 1200 }, () => 'x'))
    await admin.settled('SIGNALS', SIGNALS)
    await until(() => heard.at(-1) === 1200, 'the last one is heard')
    assert.deepEqual(heard, [...new Set(heard)].sort((a, b) => a - b))
  })

  test('refuses what is no function', (t) => {
    const bandits = openEngine(t)
    for (const listener of [undefined, null, 5, {}, 'f']) assertRefuses(() => bandits.onEvent(/** @type {any} */ (listener)), 'ERR_INVALID_ARGUMENT', 'listener', String(listener))
  })

  test('without a bus it is never called and holds nothing', (t) => {
    const { code, stderr } = run(`
      const engine = Bandits.open({ stateDir })
      engine.onEvent(() => console.log('called'))()
      engine.onEvent(() => console.log('called'))
      await engine.start()`, { stateDir: emptyDirectory(t) })
    assert.deepEqual([code, stderr], [0, ''])
  })

  test('one that throws is an uncaught exception, and stops neither the others nor the consumer', async (t) => {
    const { server, bandits } = await startBus(t)
    // The child consumes from the same streams with a prefix of its own.
    const { code, stdout, stderr } = run(`
      const uncaught = []
      process.on('uncaughtException', (error) => uncaught.push(error.message))
      const engine = Bandits.open({ stateDir, nats: { url: process.env.SERVER, durablePrefix: 'child' } })
      const heard = []
      engine.onEvent(() => { throw new Error('from a listener') })
      engine.onEvent(({ streamSeq }) => heard.push(streamSeq))
      await engine.start()
      const publish = async () => {
        for (;;) {
          try { return await engine.publish('signals.x', 'x') } catch (error) { if (!error.retryable) throw error }
          await new Promise((resolve) => setTimeout(resolve, 10))
        }
      }
      for (let i = 0; i < 3; i++) {
        await publish()
        while (heard.length <= i) await new Promise((resolve) => setTimeout(resolve, 5))
      }
      const { processed } = engine.health().nats.consumers.signals
      console.log(JSON.stringify({ uncaught, heard, processed }))
      await engine.close()`, { stateDir: emptyDirectory(t), env: { SERVER: server.url } })
    assert.equal(code, 0, stderr)
    assert.deepEqual(JSON.parse(stdout), { uncaught: ['from a listener', 'from a listener', 'from a listener'], heard: [1, 2, 3], processed: 3 })
    await eventsOf(bandits, 3)
  })

  test('one that throws ends a process that does not catch it', async (t) => {
    const { server } = await startBus(t)
    const { code, stderr } = run(`
      const engine = Bandits.open({ stateDir, nats: { url: process.env.SERVER, durablePrefix: 'child' } })
      engine.onEvent(() => { throw new Error('from a listener') })
      await engine.start()
      for (;;) {
        await engine.publish('signals.x', 'x').catch(() => undefined)
        await new Promise((resolve) => setTimeout(resolve, 10))
      }`, { stateDir: emptyDirectory(t), env: { SERVER: server.url } })
    assert.equal(code, 1)
    assert.match(stderr, /Error: from a listener/)
  })
})
