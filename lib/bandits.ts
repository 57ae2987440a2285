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
import { setTimeout as sleep } from 'node:timers/promises'
import { ALONE, checkId, checkLength, checkPolicy, checkSignal, isObject, policyNumber } from './check'
import { addExplanation, feedback, packedDecision, policyChangeJson, readExtras, type Rewards, rewardTable } from './decisions'
import { BanditError, fromNative, native, refuse } from './error'
import { listen, listEvents, payloadBytes } from './events'
import { closeAtExit, forgetAtExit } from './exit'
import {
  answer,
  type BatchTexts,
  boundary,
  cross,
  crossScore,
  decision,
  DONE,
  FIRST,
  isBusy,
  nested,
  packBatch,
  packed,
  packedIds,
  packReward,
  packScore,
  setBatch,
  setUser,
  shrink,
} from './frame'
import { generate } from './generate'
import { addon } from './native'
import { analytics, dataQuality, decisions, simulate, users } from './reads'
import { environment, optionsJson } from './options'
import { SharedFlush } from './shared-flush'
import { prepare } from './prepare'

/** Past so many users the numbering starts afresh: it bounds what this thread remembers of them. */
const MOST_NUMBERED = 1 << 17
/** Equals no user id, whatever a caller passes for one. */
const NOBODY = Symbol('nobody')
const LARGEST_MANY = 10_000
/** How often a directory that another process holds is tried again. */
const LOCK_RETRY_MS = 50

const secret = Symbol('made by open()')

export class Bandits implements Contract {
  readonly #engine: NativeEngine
  readonly #channel: NativeChannel
  readonly #scoreFrame: ReturnType<NativeChannel['scoreFunction']>
  readonly #recommendFrame: ReturnType<NativeChannel['recommendFunction']>
  readonly #rewardFrame: ReturnType<NativeChannel['rewardFunction']>
  readonly #numbers = new Map<string, number>()
  #numbered = 0
  #lastUser: string | typeof NOBODY = NOBODY
  #lastNumber = 0
  readonly #flushes: SharedFlush
  readonly #rewards: Rewards
  #closing: Promise<void> | undefined

  private constructor(key: unknown, engine: NativeEngine, rewards: Rewards) {
    if (key !== secret) throw new BanditError('ERR_INVALID_ARGUMENT', 'engines are made by Bandits.open(options)')
    this.#engine = engine
    this.#rewards = rewards
    this.#channel = engine.channel(boundary)
    this.#scoreFrame = this.#channel.scoreFunction()
    this.#recommendFrame = this.#channel.recommendFunction()
    this.#rewardFrame = this.#channel.rewardFunction()
    this.#flushes = new SharedFlush(() => engine.flush(false))
    closeAtExit(this, () => {
      this.#closing ??= Promise.resolve()
      this.#flushes.begin()
      return native(() => engine.closeNow())
    })
    const { stateDir, warnings } = JSON.parse(engine.health()) as Health
    if (stateDir.source === 'default') process.emitWarning(warnings[0], { type: 'BanditsWarning', code: 'OO_BANDITS_DEFAULT_STATE_DIR' })
  }

  static open(options?: BanditsOptions): Bandits {
    const { rewards, ...rest } = isObject(options) ? options : { rewards: undefined }
    const table = rewardTable(rewards)
    const json = optionsJson(isObject(options) ? rest : options)
    return new Bandits(secret, native(() => addon.NativeEngine.open(json, environment())), table)
  }

  static async openAsync(options: BanditsOptions & { lockTimeoutMs?: number; signal?: AbortSignal } = {}): Promise<Bandits> {
    if (!isObject(options)) refuse('options', 'an object', options)
    const { lockTimeoutMs = 0, signal, rewards, ...rest } = options
    const table = rewardTable(rewards)
    if (typeof lockTimeoutMs !== 'number' || !(lockTimeoutMs >= 0)) refuse('options.lockTimeoutMs', 'a number of at least 0', lockTimeoutMs)
    checkSignal(signal)
    const json = optionsJson(rest)
    const env = environment()
    const deadline = performance.now() + lockTimeoutMs
    for (;;) {
      signal?.throwIfAborted()
      try {
        const engine = await addon.NativeEngine.openAsync(json, env)
        if (!signal?.aborted) return new Bandits(secret, engine, table)
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
    if (isBusy()) return nested(() => this.score(request))
    this.#check()
    packScore(request)
    // The caller's code has run.
    this.#check()
    this.#boundNumbering()
    const { userId, meta, set, end, computedAt, promptVersions } = packed
    const tipIds = set === undefined ? packedIds() : set.ids
    setUser(FIRST, this.#number(userId), meta)
    this.#done(crossScore(this.#scoreFrame, end, computedAt, promptVersions, tipIds))
    const result = answer(FIRST, tipIds)
    shrink()
    return result
  }

  scoreMany(requests: readonly ScoreRequest[]): ScoreResult[] {
    if (isBusy()) return nested(() => this.scoreMany(requests))
    this.#check()
    if (!Array.isArray(requests)) refuse('requests', 'an array', requests)
    const n: unknown = requests.length
    checkLength(n, LARGEST_MANY, 'requests', 'requests')
    const texts: BatchTexts = { tipIds: [], computedAt: [], promptVersions: [] }
    const batch = packBatch(requests, n, texts)
    this.#check()
    const { end } = packed
    this.#boundNumbering()
    for (const { at, userId, meta } of batch) setUser(at, this.#number(userId), meta)
    setBatch(batch.length)
    try {
      if (batch.length > 0) this.#done(cross(this.#scoreFrame, end, texts.computedAt, texts.promptVersions, texts.tipIds))
      return batch.map(({ at }, i) => answer(at, texts.tipIds[i]))
    } finally {
      setBatch(0)
      shrink()
    }
  }

  prepare(candidates: readonly Candidate[]): CandidateSet {
    this.#check()
    return prepare(candidates)
  }

  reward(request: RewardRequest): { ok: true } {
    if (isBusy()) return nested(() => this.reward(request))
    this.#check()
    packReward(request)
    this.#check()
    this.#boundNumbering()
    const { userId, tipId, meta, end, computedAt } = packed
    setUser(FIRST, this.#number(userId), meta)
    this.#done(cross(this.#rewardFrame, end, computedAt, undefined, tipId))
    return { ok: true }
  }

  recommend(request: RecommendRequest): Recommendation {
    if (isBusy()) return nested(() => this.recommend(request))
    this.#check()
    const began = performance.now()
    const extras = readExtras(request)
    packScore(request)
    this.#check()
    this.#boundNumbering()
    const { userId, meta } = packed
    const { ids, joined, promptVersions, computedAt, end } = packedDecision(extras)
    setUser(FIRST, this.#number(userId), meta)
    this.#done(cross(this.#recommendFrame, end, computedAt, promptVersions, joined))
    const decided = decision(ids, began)
    if (extras.explain) addExplanation(this.#channel, decided, ids)
    shrink()
    return decided
  }

  feedback(request: FeedbackRequest): FeedbackResult {
    this.#check()
    return feedback(this.#engine, this.#rewards, request)
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
    return decisions(this.#engine, query, options)
  }

  async analytics(query?: AnalyticsQuery, options?: ReadOptions): Promise<Analytics> {
    this.#check()
    return analytics(this.#engine, query, options)
  }

  async dataQuality(query?: DataQualityQuery, options?: ReadOptions): Promise<DataQuality> {
    this.#check()
    return dataQuality(this.#engine, query, options)
  }

  async users(query?: UserQuery, options?: ReadOptions): Promise<UserPage> {
    this.#check()
    return users(this.#engine, query, options)
  }

  async simulate(query: SimulateQuery, options?: ReadOptions): Promise<Simulation> {
    this.#check()
    return simulate(this.#engine, query, options)
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
    return generate(this.#engine, request, options)
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

  async publish(subject: string, payload: unknown): Promise<Published> {
    this.#check()
    if (typeof subject !== 'string') refuse('subject', 'a NATS subject', subject)
    return JSON.parse(await this.#engine.publish(subject, payloadBytes(payload)).catch(rethrow)) as Published
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
    return JSON.parse(native(() => this.#engine.health())) as Health
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
    this.#forgetNumbers()
    this.#flushes.begin()
    try {
      await this.#engine.close()
    } catch (error) {
      throw fromNative(error)
    } finally {
      forgetAtExit(this)
    }
  }

  #check(): void {
    if (this.#closing !== undefined) throw new BanditError('ERR_CLOSED', 'the engine was closed')
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

  /** Throws what a call failed of, if it failed. */
  #done(outcome: number): void {
    if (outcome !== DONE) native(() => this.#channel.throwError())
  }
}

function rethrow(error: unknown): never {
  throw fromNative(error)
}
