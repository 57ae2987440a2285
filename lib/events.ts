// The event bus: filters and payloads are checked and packed here, listeners are called here.

import { TextEncoder } from 'node:util'
import type { BusEvent, EventFilter, Published, PublishOptions } from '../index'
import { throwIfAborted, unlessAborted } from './abort'
import { checkId, checkKeys, checkSignal, checkWhole, isObject } from './check'
import { BanditError, callListener, fromNative, native, refuse, shown } from './error'
import type { NativeEngine } from '../dist/addon'
import { addon } from './native'
import { isSignal, isUint8Array, messageOf } from './realm'

/** As many as there are at most. */
const MOST_EVENTS = 500
/** How long publishing may take, and the longest that can be asked for. */
const STANDARD_TIMEOUT_MS = 5000
const LONGEST_TIMEOUT_MS = 600_000
const FILTERS = ['subject', 'userId', 'sinceSeq', 'limit']

export function listEvents(engine: NativeEngine, filter: EventFilter = {}): BusEvent[] {
  if (!isObject(filter)) refuse('filter', 'an object', filter)
  checkKeys(filter, FILTERS, 'filter', 'key')
  const { subject, userId, sinceSeq, limit } = filter as EventFilter
  if (subject !== undefined && typeof subject !== 'string') refuse('filter.subject', 'a NATS subject', subject)
  if (userId !== undefined) checkId(userId, 'filter.userId')
  if (sinceSeq !== undefined && !(Number.isSafeInteger(sinceSeq) && sinceSeq >= 0)) refuse('filter.sinceSeq', 'a whole number of at least 0', sinceSeq)
  if (limit !== undefined && !(Number.isInteger(limit) && limit >= 1 && limit <= MOST_EVENTS)) {
    refuse('filter.limit', `a whole number from 1 to ${MOST_EVENTS}`, limit)
  }
  return JSON.parse(native(() => engine.events(JSON.stringify({ subject, userId, sinceSeq, limit })))) as BusEvent[]
}

/** Calls `listener` for every event from now on, until what is returned is called. */
export function listen(engine: NativeEngine, listener: (event: BusEvent) => void): () => void {
  if (typeof listener !== 'function') refuse('listener', 'a function', listener)
  let isOver = false
  const hear = (): void => {
    for (const event of isOver ? [] : eventsSince(engine, last)) {
      if (isOver) return
      last = event.seq
      callListener(() => listener(event))
    }
  }
  // The bell is rung in a later turn: never before `last` is there.
  const [bell, before] = native(() => engine.watch(hear)) as [number, number]
  let last = before
  return () => {
    isOver = true
    engine.unwatch(bell)
  }
}

function eventsSince(engine: NativeEngine, seq: number): BusEvent[] {
  try {
    return listEvents(engine, { sinceSeq: seq })
  } catch {
    // Closed meanwhile: nothing is heard any more.
    return []
  }
}

/** Rejects, never throws: what callers of a promise expect. */
export async function publish(engine: NativeEngine, subject: string, payload: unknown, options: PublishOptions = {}): Promise<Published> {
  if (typeof subject !== 'string') refuse('subject', 'a NATS subject', subject)
  if (!isObject(options) || isSignal(options)) refuse('options', 'an object such as { signal }', options)
  checkKeys(options, ['timeoutMs', 'signal'], 'options', 'key')
  const { timeoutMs = STANDARD_TIMEOUT_MS, signal } = options as PublishOptions
  checkWhole(timeoutMs, 1, LONGEST_TIMEOUT_MS, 'options.timeoutMs')
  checkSignal(signal)
  const bytes = payloadBytes(payload)
  throwIfAborted(signal)
  const cancel = new addon.Cancel()
  const call = native(() => engine.publish(subject, bytes, timeoutMs, cancel)).catch((error: unknown) => {
    throw fromNative(error)
  })
  return JSON.parse(await (signal === undefined ? call : unlessAborted(call, signal, () => cancel.cancel()))) as Published
}

/** What goes on the wire: text and bytes as they are, anything else as JSON. */
export function payloadBytes(payload: unknown): Uint8Array {
  if (isUint8Array(payload)) return payload
  const text = typeof payload === 'string' ? payload : json(payload)
  return new TextEncoder().encode(text)
}

function json(payload: unknown): string {
  let text: string | undefined
  try {
    text = JSON.stringify(payload)
  } catch (error) {
    throw new BanditError('ERR_INVALID_ARGUMENT', `payload: cannot be written as JSON: ${shown(messageOf(error))}`, { cause: error })
  }
  if (text === undefined) refuse('payload', 'a string, bytes, or what JSON can carry', payload)
  return text
}
