// The engine's face. Hot calls: check and pack, number the user, one native call, build the result. The rest: check, call, parse.

import type {
  Analytics,
  AnalyticsQuery,
  Bandits as Contract,
  BanditsOptions,
  BusEvent,
  Candidate,
  CandidateSet,
  DataQuality,
  DataQualityQuery,
  DecisionPage,
  DecisionQuery,
  EventFilter,
  FeatureRecord,
  FeedbackRequest,
  FeedbackResult,
  GenerateRequest,
  GenerateResult,
  Health,
  PolicyChange,
  PolicyName,
  PolicyRole,
  PolicyStats,
  Prompt,
  Published,
  PublishOptions,
  ReadOptions,
  Recommendation,
  RecommendRequest,
  RecoveryReport,
  RewardRequest,
  ScoreRequest,
  ScoreResult,
  SimulateQuery,
  Simulation,
  SyncState,
  UserPage,
  UserQuery,
} from '../index'
import type { NativeChannel, NativeEngine } from '../dist/addon'
import { performance } from 'node:perf_hooks'
import process from 'node:process'
import { setTimeout as sleep } from 'node:timers/promises'
import { throwIfAborted } from './abort'
import * as answers from './answer'
import { answer, answerOf, chosenId, decision } from './answer'
import { scoreBatch } from './batch'
import type { CandidateSet as PreparedSet } from './candidate-set'
import { ALONE, checkId, checkLength, checkPolicy, checkSignal, isObject, policyNumber } from './check'
import { addExplanation, largestOf, packedDecision, packReaction, policyChangeJson, reacted, readExtras, type Rewards, rewardTable } from './decisions'
import { BanditError, fromNative, native, refuse } from './error'
import { listen, listEvents, publish } from './events'
import { closeAtExit, forgetAtExit } from './exit'
import * as frame from './frame'
import { chooseOnly, foresee, nested, pull, react, recommend, reward, scoreSet, setOnly } from './frame'
import { Limit } from './generated/boundary'
import { generate } from './generate'
import { lookAtFeedback, lookAtRecommend, lookAtReward, lookAtScore, lookAtScoreMany } from './look'
import { addon } from './native'
import { analytics, type Asker, dataQuality, decisions, simulate, users } from './reads'
import { environment, optionsJson } from './options'
import { SharedFlush } from './shared-flush'
import { prepareWatched } from './prepare'
import * as packing from './request'
import { packReward, packScore, withPromptVersion } from './request'
import { checkedMode, KeyWatch, type UnknownKeys } from './unknown-keys'

// Own constants: see request.ts.
const { boundary, FIRST, running } = frame
const { chosen } = answers
const { packed } = packing

/** Past so many users the numbering starts afresh: it bounds what this thread remembers of them. */
const MOST_NUMBERED = 1 << 17
/** In place of a number: the user has none yet. */
const NO_NUMBER = -1
/** Equals no user id, whatever a caller passes for one. */
const NOBODY = Symbol('nobody')
/** How often a directory that another process holds is tried again. */
const LOCK_RETRY_MS = 50

const secret = Symbol('made by open()')

export class Bandits implements Contract {
  readonly #engine: NativeEngine
  readonly #channel: NativeChannel
  /** What the channel is called in the frame. */
  readonly #place: number
  readonly #numbers = new Map<string, number>()
  #numbered = 0
  #lastUser: string | typeof NOBODY = NOBODY
  #lastNumber = 0
  readonly #flushes: SharedFlush
  readonly #rewards: Rewards
  readonly #keys: KeyWatch
  #closing: Promise<void> | undefined

  private constructor(key: unknown, engine: NativeEngine, own: OwnOptions) {
    if (key !== secret) throw new BanditError('ERR_INVALID_ARGUMENT', 'engines are made by Bandits.open(options)')
    // Bound, so that they work without the object (`const { recommend, feedback } = bandits`), and not enumerable, so that nobody has to see it.
    for (const name of METHODS) Object.defineProperty(this, name, { value: this[name].bind(this), writable: true, configurable: true })
    this.#engine = engine
    this.#rewards = own.rewards
    this.#keys = new KeyWatch(own.unknownKeys)
    this.#channel = engine.channel(boundary)
    this.#place = this.#channel.place
    this.#flushes = new SharedFlush(() => engine.flush(false))
    closeAtExit(this, () => {
      this.#closing ??= Promise.resolve()
      this.#flushes.begin()
      return native(() => engine.closeNow())
    })
    const { stateDir, warnings } = JSON.parse(engine.health()) as Health
    if (stateDir.source === 'default') process.emitWarning(warnings[0], { type: 'BanditsWarning', code: 'OO_BANDITS_DEFAULT_STATE_DIR' })
    const { directoryWarning } = engine
    if (directoryWarning !== null) process.emitWarning(directoryWarning, { type: 'BanditsWarning', code: 'OO_BANDITS_SHARED_STATE_DIR' })
  }

  static open(options: BanditsOptions = {}): Bandits {
    const { own, rest } = ownOptions(options)
    const json = optionsJson(rest)
    return new Bandits(secret, native(() => addon.NativeEngine.open(json, environment())), own)
  }

  static async openAsync(options: BanditsOptions & { lockTimeoutMs?: number; signal?: AbortSignal } = {}): Promise<Bandits> {
    if (!isObject(options)) refuse('options', 'an object', options)
    const { lockTimeoutMs = 0, signal, ...others } = options
    const { own, rest } = ownOptions(others)
    if (typeof lockTimeoutMs !== 'number' || !(lockTimeoutMs >= 0)) refuse('options.lockTimeoutMs', 'a number of at least 0', lockTimeoutMs)
    checkSignal(signal)
    const json = optionsJson(rest)
    const env = environment()
    const deadline = performance.now() + lockTimeoutMs
    for (;;) {
      throwIfAborted(signal)
      try {
        const engine = await addon.NativeEngine.openAsync(json, env)
        if (!signal?.aborted) return new Bandits(secret, engine, own)
        await engine.close()
      } catch (error) {
        const failure = fromNative(error)
        const left = deadline - performance.now()
        if (failure.code !== 'ERR_STATE_LOCKED' || left <= 0) throw failure
        await sleep(Math.min(LOCK_RETRY_MS, left), undefined, { signal }).catch((aborted: unknown) => {
          throw signal?.aborted ? signal.reason : aborted
        })
      }
    }
  }

  score(request: ScoreRequest): ScoreResult {
    if (running.busy) return nested(() => this.score(request))
    if (this.#closing !== undefined) throw closed()
    if (!isObject(request)) refuse('request', 'an object', request)
    if (--this.#keys.score.left < 0) lookAtScore(this.#keys, request)
    const { userId, candidates, mask } = request
    const foreseen = this.#foresee(userId)
    const before = running.nestings
    const meta = packScore(request, candidates, mask, undefined)
    // The caller's code has run.
    if (this.#closing !== undefined) throw closed()
    const { computedAt } = packed
    if (!Array.isArray(candidates)) {
      scoreSet(this.#place, this.#numberNow(userId, foreseen, before), meta, computedAt)
      return answerOf(candidates as unknown as PreparedSet)
    }
    chooseOnly(this.#place, this.#numberNow(userId, foreseen, before), meta)
    const { nestings } = running
    const id = chosenId(FIRST, candidates, ALONE)
    const { promptVersion } = chosen
    // The caller's code may have run again; and if it has called an engine, users may have other numbers now.
    if (this.#closing !== undefined) throw closed()
    if (promptVersion !== undefined) setOnly(this.#number(userId), withPromptVersion(meta))
    else if (nestings !== running.nestings) setOnly(this.#number(userId), meta)
    pull(this.#place, id, computedAt, promptVersion)
    return answer(FIRST, id)
  }

  scoreMany(requests: readonly ScoreRequest[]): ScoreResult[] {
    if (running.busy) return nested(() => this.scoreMany(requests))
    this.#check()
    if (!Array.isArray(requests)) refuse('requests', 'an array', requests)
    const n: unknown = requests.length
    checkLength(n, Limit.LARGEST_MANY, 'requests', 'requests')
    if (--this.#keys.scoreMany.left < 0) lookAtScoreMany(this.#keys, requests)
    return scoreBatch(requests, n, {
      place: this.#place,
      check: () => this.#check(),
      boundNumbering: () => this.#boundNumbering(),
      number: (userId) => this.#number(userId),
    })
  }

  prepare(candidates: readonly Candidate[]): CandidateSet {
    this.#check()
    return prepareWatched(candidates, this.#keys)
  }

  reward(request: RewardRequest): { ok: true } {
    if (running.busy) return nested(() => this.reward(request))
    this.#check()
    if (!isObject(request)) refuse('request', 'an object', request)
    if (--this.#keys.reward.left < 0) lookAtReward(this.#keys, request)
    const { userId, tipId } = request
    const foreseen = this.#foresee(userId)
    const before = running.nestings
    const meta = packReward(request, tipId)
    this.#check()
    setOnly(this.#numberNow(userId, foreseen, before), meta)
    reward(this.#place, tipId, packed.computedAt)
    return { ok: true }
  }

  recommend(request: RecommendRequest): Recommendation {
    if (running.busy) return nested(() => this.recommend(request))
    this.#check()
    const began = performance.now()
    if (--this.#keys.recommend.left < 0) lookAtRecommend(this.#keys, request)
    const extras = readExtras(request)
    const { userId, candidates } = request
    const foreseen = this.#foresee(userId)
    const before = running.nestings
    const names: string[] = []
    const meta = packScore(request, candidates, undefined, names)
    this.#check()
    const { computedAt } = packed
    const { ids, crossing, promptVersions } = packedDecision(candidates, names, extras)
    setOnly(this.#numberNow(userId, foreseen, before), promptVersions === undefined ? meta : withPromptVersion(meta))
    recommend(this.#place, crossing, computedAt, promptVersions)
    const decided = decision(ids, began)
    if (extras.explain) addExplanation(this.#channel, decided, ids)
    return decided
  }

  feedback(request: FeedbackRequest): FeedbackResult {
    if (running.busy) return nested(() => this.feedback(request))
    this.#check()
    if (--this.#keys.feedback.left < 0) lookAtFeedback(this.#keys, request)
    const userId = packReaction(this.#rewards, request)
    this.#check()
    react(this.#place, userId)
    return reacted()
  }

  policies(): PolicyRole[] {
    this.#check()
    return JSON.parse(native(() => this.#engine.policies())) as PolicyRole[]
  }

  setPolicy(policy: PolicyName, change: PolicyChange): void {
    this.#check()
    checkPolicy(policy)
    const json = policyChangeJson(change)
    native(() => this.#engine.setPolicy(policy, json))
  }

  async decisions(query?: DecisionQuery, options?: ReadOptions): Promise<DecisionPage> {
    this.#check()
    return decisions(this.#asker(), query, options)
  }

  async analytics(query?: AnalyticsQuery, options?: ReadOptions): Promise<Analytics> {
    this.#check()
    return analytics(this.#asker(), query, options)
  }

  async dataQuality(query?: DataQualityQuery, options?: ReadOptions): Promise<DataQuality> {
    this.#check()
    return dataQuality(this.#asker(), query, options)
  }

  async users(query?: UserQuery, options?: ReadOptions): Promise<UserPage> {
    this.#check()
    return users(this.#asker(), query, options)
  }

  async simulate(query: SimulateQuery, options?: ReadOptions): Promise<Simulation> {
    this.#check()
    return simulate(this.#asker(), query, options)
  }

  stats(userId: string, policy?: PolicyName): PolicyStats {
    this.#check()
    checkId(userId, 'userId')
    const number = policy === undefined ? this.#engine.activePolicy : policyNumber(policy, ALONE)
    return JSON.parse(native(() => this.#engine.stats(userId, number))) as PolicyStats
  }

  features(userId: string): { userId: string; history: FeatureRecord[] } {
    this.#check()
    checkId(userId, 'userId')
    return JSON.parse(native(() => this.#engine.features(userId))) as { userId: string; history: FeatureRecord[] }
  }

  reset(userId: string): { ok: true } {
    this.#check()
    checkId(userId, 'userId')
    native(() => this.#engine.reset(userId))
    return { ok: true }
  }

  async erase(userId: string): Promise<void> {
    this.#check()
    checkId(userId, 'userId')
    this.#flushes.begin()
    await this.#engine.erase(userId).catch(rethrow)
  }

  async generate(request: GenerateRequest, options?: { signal?: AbortSignal }): Promise<GenerateResult> {
    this.#check()
    return generate(this.#engine, this.#keys, request, options)
  }

  prompts(): Prompt[] {
    this.#check()
    return JSON.parse(native(() => this.#engine.prompts())) as Prompt[]
  }

  events(filter?: EventFilter): BusEvent[] {
    this.#check()
    return listEvents(this.#engine, filter)
  }

  onEvent(listener: (event: BusEvent) => void): () => void {
    this.#check()
    return listen(this.#engine, listener)
  }

  async publish(subject: string, payload: unknown, options?: PublishOptions): Promise<Published> {
    this.#check()
    return publish(this.#engine, subject, payload, options)
  }

  syncState(userId: string): SyncState | null {
    this.#check()
    checkId(userId, 'userId')
    return JSON.parse(native(() => this.#engine.syncState(userId))) as SyncState | null
  }

  get recovery(): RecoveryReport {
    this.#check()
    return JSON.parse(native(() => this.#engine.recovery())) as RecoveryReport
  }

  health(): Health {
    this.#check()
    const health = JSON.parse(native(() => this.#engine.health())) as Health
    health.warnings.push(...this.#keys.warnings())
    return health
  }

  async start(): Promise<void> {
    this.#check()
    await this.#engine.start().catch(rethrow)
  }

  async flush(): Promise<void> {
    this.#check()
    await this.#flushes.ask().catch(rethrow)
  }

  async checkpoint(): Promise<void> {
    this.#check()
    this.#flushes.begin()
    await this.#engine.flush(true).catch(rethrow)
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  get closed(): boolean {
    return this.#closing !== undefined
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #close(): Promise<void> {
    this.#flushes.begin()
    // Whoever still has this object keeps nothing of the engine alive.
    this.#channel.close()
    this.#numbers.clear()
    this.#lastUser = NOBODY
    try {
      await this.#engine.close()
    } catch (error) {
      throw fromNative(error)
    } finally {
      forgetAtExit(this)
    }
  }

  #asker(): Asker {
    return { engine: this.#engine, keys: this.#keys }
  }

  #check(): void {
    if (this.#closing !== undefined) throw closed()
  }

  /**
   * The next request is this user's: unless it was the last one, too, what is known of it is fetched from memory while the request is read.
   * Its number, if it has one.
   */
  #foresee(userId: string): number {
    this.#boundNumbering()
    if (userId === this.#lastUser) return this.#lastNumber
    const number = this.#numbers.get(userId)
    if (number === undefined) return NO_NUMBER
    this.#lastUser = userId
    this.#lastNumber = number
    foresee(this.#place, number)
    return number
  }

  /** Its number once the request is read; the numbering may have started afresh in a nested call. */
  #numberNow(userId: string, foreseen: number, nestings: number): number {
    return foreseen !== NO_NUMBER && nestings === running.nestings ? foreseen : this.#number(userId)
  }

  /** The number under which native code knows a user. */
  #number(userId: string): number {
    if (userId === this.#lastUser) return this.#lastNumber
    let number = this.#numbers.get(userId)
    if (number === undefined) {
      checkId(userId, 'userId')
      number = native(() => this.#channel.number(userId))
      this.#numbers.set(userId, number)
      this.#numbered++
    }
    this.#lastUser = userId
    this.#lastNumber = number
    return number
  }

  /** Before the users of a call are numbered, never between: the numbers given before are void afterwards. */
  #boundNumbering(): void {
    if (this.#numbered >= MOST_NUMBERED) this.#forgetNumbers()
  }

  #forgetNumbers(): void {
    this.#channel.forgetUsers()
    this.#numbers.clear()
    this.#numbered = 0
    this.#lastUser = NOBODY
  }
}

/** What each opener of an engine has of its own. */
interface OwnOptions {
  rewards: Rewards
  unknownKeys: UnknownKeys
}

/** These options, and those of the engine. */
function ownOptions(options: BanditsOptions): { own: OwnOptions; rest: unknown } {
  const { rewards, unknownKeys, ...rest } = isObject(options) ? options : {}
  const own = { rewards: rewardTable(rewards), unknownKeys: checkedMode(unknownKeys) }
  return { own, rest: isObject(options) ? { ...rest, rewards: largestOf(own.rewards) } : options }
}

/** The names of its methods. */
const METHODS = Reflect.ownKeys(Bandits.prototype).filter((name) => {
  const { value } = Object.getOwnPropertyDescriptor(Bandits.prototype, name) ?? {}
  return name !== 'constructor' && typeof value === 'function'
}) as (Exclude<keyof Bandits, 'closed' | 'recovery'>)[]

function closed(): BanditError {
  return new BanditError('ERR_CLOSED', 'the engine was closed')
}

function rethrow(error: unknown): never {
  throw fromNative(error)
}
