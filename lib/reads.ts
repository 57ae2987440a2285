// What operators ask, on its way to src/engine/reads.rs: checks, progress, and aborting.

import type {
  Analytics,
  AnalyticsQuery,
  DataQuality,
  DataQualityQuery,
  DecisionPage,
  DecisionQuery,
  ReadOptions,
  SimulateQuery,
  Simulation,
  UserPage,
  UserQuery,
} from '../index'
import type { NativeEngine } from '../dist/addon'
import { throwIfAborted, unlessAborted } from './abort'
import { askedMoment, checkId, checkKeys, checkPolicy, checkSignal, checkWhole, isObject } from './check'
import { decisionSeq } from './decisions'
import { callListener, fromNative, native, refuse } from './error'
import { lookAtReadOptions } from './look'
import { addon } from './native'
import { checkedPath } from './paths'
import { isSignal } from './realm'
import type { KeyWatch } from './unknown-keys'

const MOST_DECISIONS = 500
const MOST_USERS = 1000
const PAGE = 100
const BY = ['day', 'policy', 'promptVersion', 'action']

export async function decisions(asker: Asker, query?: DecisionQuery, options?: ReadOptions): Promise<DecisionPage> {
  const { userId, policy, since, until, limit = PAGE, after } = known(query, ['userId', 'policy', 'since', 'until', 'limit', 'after'])
  if (userId !== undefined) checkId(userId, 'userId')
  if (policy !== undefined) checkPolicy(policy)
  checkWhole(limit, 1, MOST_DECISIONS, 'limit')
  if (after !== undefined) decisionSeq(after, 'after')
  return ask(asker, { what: 'decisions', userId, policy, ...times(since, until), limit, before: after }, options)
}

export async function analytics(asker: Asker, query?: AnalyticsQuery, options?: ReadOptions): Promise<Analytics> {
  const { since, until, by = 'day' } = known(query, ['since', 'until', 'by'])
  if (typeof by !== 'string' || !BY.includes(by)) refuse('by', `one of ${BY.join(', ')}`, by)
  const answer = await ask<Omit<Analytics, 'groups'> & { groups: NativeGroup[] }>(asker, { what: 'analytics', ...times(since, until), by }, options)
  return { ...answer, groups: answer.groups.map(({ key, summary }) => Object.assign({ key }, summary)) }
}

interface NativeGroup {
  key: string | null
  summary: Analytics['totals']
}

export async function dataQuality(asker: Asker, query?: DataQualityQuery, options?: ReadOptions): Promise<DataQuality> {
  const { since } = known(query, ['since'])
  return ask(asker, { what: 'dataQuality', ...times(since, undefined) }, options)
}

export async function users(asker: Asker, query?: UserQuery, options?: ReadOptions): Promise<UserPage> {
  const { limit = PAGE, after } = known(query, ['limit', 'after'])
  checkWhole(limit, 1, MOST_USERS, 'limit')
  if (after !== undefined) checkId(after, 'after')
  return ask(asker, { what: 'users', limit, after }, options)
}

export async function simulate(asker: Asker, query: SimulateQuery, options?: ReadOptions): Promise<Simulation> {
  if (query === undefined) refuse('query', 'an object with a policy', query)
  const { policy, log, minEffective, since, until } = known(query, ['policy', 'log', 'minEffective', 'since', 'until'])
  checkPolicy(policy)
  const directory = log === undefined ? undefined : checkedPath(log, 'log')
  const isSize = typeof minEffective === 'number' && Number.isFinite(minEffective) && minEffective >= 1
  if (minEffective !== undefined && !isSize) refuse('minEffective', 'a number of at least 1', minEffective)
  return ask(asker, { what: 'simulate', policy, log: directory, minEffective, ...times(since, until) }, options)
}

/** A query's parts, of which there are no others. */
function known(query: unknown, keys: readonly string[]): Record<string, unknown> {
  if (query === undefined) return {}
  if (!isObject(query) || isSignal(query)) refuse('query', 'an object', query)
  checkKeys(query, keys, 'query', 'key')
  return query
}

function times(since: unknown, until: unknown): { since: number | undefined; until: number | undefined } {
  const [from, to] = [askedMoment(since, 'since'), askedMoment(until, 'until')]
  if (from !== undefined && to !== undefined && to < from) refuse('until', 'a time that is not before since', until)
  return { since: from, until: to }
}

/** Who is asked, and what the opener says of unknown keys. */
export interface Asker {
  engine: NativeEngine
  keys: KeyWatch
}

async function ask<T>({ engine, keys }: Asker, question: { what: string; [part: string]: unknown }, options: ReadOptions = {}): Promise<T> {
  if (!isObject(options) || isSignal(options)) refuse('options', 'an object such as { signal }', options)
  lookAtReadOptions(keys, `${question.what}()`, options)
  const { signal, onProgress } = options
  checkSignal(signal)
  if (onProgress !== undefined && typeof onProgress !== 'function') refuse('options.onProgress', 'a function', onProgress)
  throwIfAborted(signal)
  const reading = new addon.Reading()
  const progress = onProgress === undefined ? undefined : new Progress(onProgress as (done: number, of: number) => void)
  const bell = progress && ((): void => progress.tell(reading.progress))
  const call = native(() => engine.ask(JSON.stringify(question), reading, bell)).catch((error: unknown) => {
    throw fromNative(error)
  })
  try {
    const answer = await (signal === undefined ? call : unlessAborted(call, signal, () => reading.cancel(engine)))
    progress?.tell(reading.progress)
    return JSON.parse(answer) as T
  } finally {
    progress?.end()
  }
}

/** Tells what is new, and nothing once it is over. */
class Progress {
  #last = -1
  #isOver = false
  readonly #listener: (done: number, of: number) => void

  constructor(listener: (done: number, of: number) => void) {
    this.#listener = listener
  }

  tell([done, of]: number[]): void {
    if (this.#isOver || of === 0 || done === this.#last) return
    this.#last = done
    callListener(() => this.#listener(done, of))
  }

  end(): void {
    this.#isOver = true
  }
}
