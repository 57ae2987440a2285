// @ts-check
// An engine on a bus of its own: a server with the two streams, and an engine that consumes them.

import { startServer } from './nats.mjs'
import { emptyDirectory, openEngine } from './state-dir.mjs'
import { until } from './until.mjs'

/** @typedef {import('@oo/bandits').Bandits} Bandits */
/** @typedef {import('@oo/bandits').BusEvent} BusEvent */

/** What names of durable consumers begin with in tests. */
export const PREFIX = 'p'
export const SIGNALS = `${PREFIX}-signals`
export const FEEDBACK = `${PREFIX}-feedback`
export const SYNCED = 'signals.task.synced'
/** When events of tests began to happen, in milliseconds since 1970: an event of 1970 is refused. */
export const THEN = Date.parse('2026-11-20T08:00:00Z')

/**
 * An engine that is not started.
 * @param {import('./state-dir.mjs').TestContext} t
 * @param {string} url
 * @param {import('@oo/bandits').BanditsOptions} [options]
 */
export function openOnBus(t, url, { nats, ...options } = {}) {
  return openEngine(t, { ...options, nats: { url, durablePrefix: PREFIX, ...nats } })
}

/**
 * A server with its streams, and an engine that consumes from them by the time this resolves.
 * @param {import('./state-dir.mjs').TestContext} t
 * @param {import('@oo/bandits').BanditsOptions} [options]
 */
export async function startBus(t, options = {}) {
  const server = await startServer(t)
  const admin = await server.admin()
  await admin.addStreams()
  const stateDir = options.stateDir ?? emptyDirectory(t)
  const bandits = openOnBus(t, server.url, { ...options, stateDir })
  await bandits.start()
  await consumes(bandits)
  return { server, admin, bandits, stateDir }
}

/** Resolves when both consumers have found what they read. @param {Bandits} bandits */
export function consumes(bandits) {
  return until(() => {
    const { signals, feedback } = bandits.health().nats.consumers
    return signals?.durable != null && feedback?.durable != null
  }, 'the consumers have found their streams')
}

/**
 * Resolves with the events when there are so many (of those that are meant).
 * @param {Bandits} bandits
 * @param {number} count
 * @param {import('@oo/bandits').EventFilter} [filter]
 * @param {number} [deadlineMs]
 */
export async function eventsOf(bandits, count, filter, deadlineMs) {
  return until(() => {
    const events = bandits.events(filter)
    return events.length >= count && events
  }, `${count} events`, deadlineMs)
}

/**
 * Resolves with how one message was last dealt with, once it was.
 * @param {Bandits} bandits
 * @param {number} streamSeq
 * @param {string} [stream]
 */
export function eventOf(bandits, streamSeq, stream = 'SIGNALS') {
  return until(() => bandits.events().findLast((event) => event.stream === stream && event.streamSeq === streamSeq), `message ${streamSeq} of ${stream}`)
}
