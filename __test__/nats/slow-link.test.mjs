// @ts-check
// A backlog of large messages over a slow link: each is delivered once. What is asked for has to arrive before the request expires, or it is
// delivered again, half a minute later.

import assert from 'node:assert/strict'
import { describe, test } from 'node:test'

import { openOnBus, SIGNALS, SYNCED, THEN } from '../support/bus.mjs'
import { slowLink } from '../support/link.mjs'
import { NO_SERVER, startServer } from '../support/nats.mjs'

const MEGABYTE = 1e6

/**
 * @param {import('../support/state-dir.mjs').TestContext & { diagnostic: (text: string) => void }} t
 * @param {{ messages: number, bytes: number, bytesPerSecond: number, config?: string }} settings
 */
async function workOff(t, { messages, bytes, bytesPerSecond, config }) {
  const server = await startServer(t, { syncInterval: '2m', config })
  const admin = await server.admin()
  await admin.addStreams()
  const text = 'x'.repeat(bytes)
  for (let i = 0; i < messages; i++) await admin.publish(SYNCED, { user_id: `u${i}`, ts: THEN + i, text })
  const port = await slowLink(t, server.port, bytesPerSecond)
  const bandits = openOnBus(t, `nats://127.0.0.1:${port}`)
  const from = performance.now()
  await bandits.start()
  const info = await admin.settled('SIGNALS', SIGNALS, 300_000)
  const seconds = (performance.now() - from) / 1000
  const report = bandits.health().nats.consumers.signals
  t.diagnostic(`${messages} messages of ${bytes} bytes at ${bytesPerSecond} bytes/s: ${seconds.toFixed(1)} s, ${info.delivered.consumer_seq} deliveries`)
  assert.deepEqual([info.delivered.consumer_seq, report?.redelivered], [messages, 0], 'messages were delivered again')
  return { bandits, report, seconds }
}

describe('a slow link', { skip: NO_SERVER, concurrency: true }, () => {
  test('that brings 1 MB a second has 12 MB in about twelve seconds', async (t) => {
    const { report, seconds } = await workOff(t, { messages: 120, bytes: 100_000, bytesPerSecond: MEGABYTE })
    assert.equal(report?.processed, 120)
    // It took three minutes when all that waits was asked for at once.
    assert.ok(seconds < 40, `${seconds} s`)
  })

  test('takes messages that are larger than what is asked for at a time', async (t) => {
    // They are too large to be read, and given up; they must not hold up the others.
    const { bandits, report } = await workOff(t, { messages: 3, bytes: 1_500_000, bytesPerSecond: 20 * MEGABYTE, config: 'max_payload: 4MB' })
    assert.deepEqual([report?.processed, report?.terminated, bandits.health().nats.dead], [0, 3, 3])
  })
})
