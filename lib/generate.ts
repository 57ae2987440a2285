// generate() on its way to src/generate/: checks, what JSON would change, and aborting.

import { Buffer } from 'node:buffer'
import type tls from 'node:tls'
import type { GenerateRequest, GenerateResult } from '../index'
import type { NativeEngine } from '../dist/addon'
import { throwIfAborted, unlessAborted } from './abort'
import { checkId, checkSignal, checkWhole, day, hour, isObject } from './check'
import { fromNative, native, refuse } from './error'
import { lookAtGenerate } from './look'
import { addon } from './native'
import { isMap, isNamed, isSet, isSignal, messageOf } from './realm'
import type { KeyWatch } from './unknown-keys'

const LARGEST_N = 20
const STANDARD_N = 3
const LARGEST_EXTRA = 4096
// Read and written on this thread, and the model sees an eighth of it.
const LARGEST_TASKS = 1 << 18

/** Rejects, never throws: what callers of a promise expect. */
export async function generate(engine: NativeEngine, keys: KeyWatch, request: GenerateRequest, options: { signal?: AbortSignal } = {}): Promise<GenerateResult> {
  if (!isObject(options) || isSignal(options)) refuse('options', 'an object such as { signal }', options)
  lookAtGenerate(keys, request, options)
  const signal: unknown = options.signal
  checkSignal(signal)
  const json = requestJson(request)
  throwIfAborted(signal)
  trustAtLast()
  const cancel = new addon.Cancel()
  const call = native(() => engine.generate(json, cancel)).catch((error: unknown) => {
    throw fromNative(error)
  })
  return JSON.parse(await (signal === undefined ? call : unlessAborted(call, signal, () => cancel.cancel()))) as GenerateResult
}

let told = false

/** For slim container images, which have no authorities of their own. */
function trustAtLast(): void {
  // Loaded here: who never generates needs no TLS.
  if (!told) addon.trustAtLast((require('node:tls') as typeof tls).rootCertificates.join('\n'))
  told = true
}

function requestJson(request: unknown): string {
  if (!isObject(request)) refuse('request', 'an object', request)
  const { userId, context = {}, n = STANDARD_N, promptVersion, profileFeatures } = request
  checkId(userId, 'userId')
  checkWhole(n, 1, LARGEST_N, 'n')
  if (promptVersion !== undefined && (typeof promptVersion !== 'string' || !promptVersion.isWellFormed())) refuse('promptVersion', 'a prompt version', promptVersion)
  if (profileFeatures !== undefined && profileFeatures !== null && !isObject(profileFeatures)) refuse('profileFeatures', 'an object or null', profileFeatures)
  return wellFormed(JSON.stringify({ n, promptVersion, context: contextOf(context) }))
}

function contextOf(context: unknown): object {
  if (!isObject(context)) refuse('context', 'an object', context)
  const { tasks = [], hourOfDay, dayOfWeek, extra = {} } = context
  if (!Array.isArray(tasks)) refuse('context.tasks', 'an array', tasks)
  for (const [i, task] of tasks.entries()) {
    // Of a map JSON leaves nothing.
    if (!isObject(task) || isMap(task) || isSet(task)) refuse(`context.tasks[${i}]`, 'a plain object', task)
  }
  // Where they are missing the model is told nothing, rather than noon on a Sunday.
  if (hourOfDay !== undefined) hour(hourOfDay, 'context.hourOfDay')
  if (dayOfWeek !== undefined) day(dayOfWeek, 'context.dayOfWeek')
  if (!isObject(extra)) refuse('context.extra', 'an object', extra)
  const plain = { tasks: plainData(tasks, LARGEST_TASKS, 'context.tasks'), extra: plainData(extra, LARGEST_EXTRA, 'context.extra') }
  return { ...plain, hourOfDay, dayOfWeek }
}

/** What JSON makes of a value, which has to be an array or an object still. */
function plainData(value: object, largest: number, path: string): unknown {
  let json: string | undefined
  try {
    json = JSON.stringify(value)
  } catch (error) {
    // What JSON itself refuses (a BigInt, a circle) is a TypeError; what the caller's own code throws arrives unchanged.
    if (isNamed(error, 'TypeError') && /BigInt|circular/i.test(messageOf(error))) refuse(path, 'plain data', value)
    throw error
  }
  const bytes = json === undefined ? 0 : Buffer.byteLength(json)
  if (bytes > largest) refuse(path, `at most ${largest} bytes of JSON`, bytes)
  const plain = json === undefined ? undefined : (JSON.parse(json) as unknown)
  const isSame = Array.isArray(value) ? Array.isArray(plain) && plain.every(isObject) : isObject(plain)
  if (!isSame) refuse(path, 'plain data', value)
  return plain
}

/** In JSON, half a character is an escape. A text cut in the middle of an emoji has one; that is no reason to refuse a task. */
function wellFormed(json: string): string {
  // What follows an escaped backslash is no escape.
  return json.replace(/\\\\|\\ud[89a-f][0-9a-f]{2}/g, (found) => (found === '\\\\' ? found : '\ufffd'))
}
