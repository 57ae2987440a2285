// The frame: the block of doubles that JavaScript and native code both see, and how requests are written into it. The layout is
// that of src/node/frame.rs, and loading fails when the two differ.
//
// Reading a caller's objects can run the caller's code (getters, proxies), which may call back into an engine. Whoever packs is
// `busy`; a call that comes in between packs into a block of its own, which takes the frame's place only for the native call.

import { BanditError, refuse } from './error'
import { ALONE, checkId, checkLength, day, finite, hour, ID, isId, isObject, LONGEST_ID, LONGEST_TEXT, POLICIES, policyNumber, prefix, TEXT } from './check'
import { type CandidateSet, isCandidateSet, promptVersionsOf, setNumber } from './candidate-set'
import { addon } from './native'
import type { Candidate, Context, ProfileFeatures, Recommendation, RewardRequest, ScoreRequest, ScoreResult } from '../index'

const CONTROL_WORDS = 1
const REQUEST_WORDS = 12
const DECISION_WORDS = 14
/** Lanes are padded to a multiple of so many candidates. */
const CHUNK = 8
/** Up to so many candidates' ids cross as arguments: see `FEW` in src/node/raw.rs. */
const FEW = 16

// Whole numbers are 32 bits wide, two to a word. Control halves.
const BATCH = 0
const STATUS = 1

// Halves of a request.
const USER = 0
const META = 1
const CANDIDATES = 2
const SET = 3
const INDEX = 4
const EXPLORING = 5

// Words of a request.
const SCORE = 3
const PROPENSITY = 4
const AGE = 3
const REWARD = 4
const PROFILE = 5

// Behind a request for a decision: the holdout's share, halves, a half a candidate.
const ASKED = 2
const EXPLAIN = 1
const HAS_MASK = 1 << 1
const MARKS = 4
const ELIGIBLE = 1 << 16

// Words of a decision's answer.
const N = 1
const SHOWN_SCORE = 2
const SHOWN_PROPENSITY = 3
const FLAGS = 4
const CHOICES = 5
const CHOICE_WORDS = 3

/** In the order of their numbers. */
const ASSIGNED = ['user', 'share', 'registry', 'default'] as const

// What META is put together from.
const HOUR = 2
const DAY = 7
const HAS_PROFILE = 1 << 10
const OVERDUE = 1 << 11
const PRIORITY = 12
const HAS_COMPUTED_AT = 1 << 15
const HAS_PROMPT_VERSIONS = 1 << 16

/** Where the only request of a call stands. */
export const FIRST = CONTROL_WORDS
const LARGEST_CANDIDATES = 100_000
/** Of a batch: 24 MB of numbers. */
const LARGEST_BATCH_CANDIDATES = 1_000_000
/** A frame larger than this is given back after the call that needed it. */
const KEEP_WORDS = 40_000

export const DONE = 0

const boundary = new addon.Boundary()
const expected = [CONTROL_WORDS, REQUEST_WORDS, DECISION_WORDS, CHUNK]
if (boundary.layout.join() !== expected.join()) {
  throw new BanditError('ERR_UNSUPPORTED', 'the native binary of @oo/bandits is of another version than its JavaScript: install again')
}

/** A block as words and as halves of words. */
interface Block {
  words: Float64Array
  halves: Int32Array
}

function blockOf(words: Float64Array): Block {
  return { words, halves: new Int32Array(words.buffer, words.byteOffset, 2 * words.length) }
}

/** What native code sees. Between calls it says: no batch. */
let frame = blockOf(boundary.frame())
/** Where packing goes: the frame, or a nested call's own block. */
let block = frame
/** The same, at hand. */
let { words, halves } = block

function use(next: Block): void {
  block = next
  words = next.words
  halves = next.halves
}

/** The candidates' ids of what is packed, in order; those of an earlier request may stand behind them. */
let ids: string[] = noIds()
let busy = false

function noIds(): string[] {
  return Array.from({ length: FEW }, () => '')
}

export { boundary }

/** True when the caller is in the middle of packing: the call has to go through {@link nested}. */
export function isBusy(): boolean {
  return busy
}

/** How deep getters may call engines that read getters that call engines … */
const DEEPEST = 16
let depth = 0

/** Runs `call` with a block of its own. */
export function nested<T>(call: () => T): T {
  if (depth >= DEEPEST) throw new BanditError('ERR_INVALID_ARGUMENT', `getters call engines more than ${DEEPEST} levels deep`)
  const outer = { block, ids }
  use(blockOf(new Float64Array(FIRST + REQUEST_WORDS + 300)))
  ids = noIds()
  busy = false
  depth++
  try {
    return call()
  } finally {
    depth--
    use(outer.block)
    ids = outer.ids
    busy = true
  }
}

/** Where native code reads texts from: times of profiles, prompt versions, tips; see `JsTexts` in src/node/raw.rs. */
type NativeCall = (computedAt: unknown, promptVersions: unknown, tips: unknown) => void

/** Runs the native call on what is packed, which ends before word `end`; returns how it went. */
export function cross(call: NativeCall, end: number, computedAt: unknown, promptVersions: unknown, tips: unknown): number {
  if (block === frame) call(computedAt, promptVersions, tips)
  else crossFrom(call, end, computedAt, promptVersions, tips)
  return halves[STATUS]
}

/** The same for one request; `tipIds` are its candidates', with any others behind them. */
export function crossScore(
  call: (computedAt: unknown, promptVersions: unknown, ...tipIds: readonly unknown[]) => void,
  end: number,
  computedAt: unknown,
  promptVersions: unknown,
  tipIds: readonly string[],
): number {
  // The frame's own list, which is never shorter.
  if (block !== frame || tipIds !== ids || end > FIRST + REQUEST_WORDS + 3 * FEW) return cross(call, end, computedAt, promptVersions, tipIds)
  call(
    computedAt, promptVersions,
    tipIds[0], tipIds[1], tipIds[2], tipIds[3], tipIds[4], tipIds[5], tipIds[6], tipIds[7],
    tipIds[8], tipIds[9], tipIds[10], tipIds[11], tipIds[12], tipIds[13], tipIds[14], tipIds[15],
  )
  return halves[STATUS]
}

function crossFrom(call: NativeCall, end: number, computedAt: unknown, promptVersions: unknown, tips: unknown): void {
  if (frame.words.length < end) frame = blockOf(boundary.resize(end))
  const kept = frame.words.slice(0, end)
  frame.words.set(words.subarray(0, end))
  try {
    call(computedAt, promptVersions, tips)
    words.set(frame.words.subarray(0, end))
  } finally {
    frame.words.set(kept)
  }
}

/** Makes room for words up to `end`, keeping those before `used`. */
function reserve(end: number, used: number): void {
  if (end <= words.length) return
  const size = Math.max(end, Math.min(2 * words.length, end + KEEP_WORDS))
  const kept = words.subarray(0, used)
  const larger = blockOf(block === frame ? boundary.resize(size) : new Float64Array(size))
  larger.words.set(kept)
  if (block === frame) frame = larger
  use(larger)
}

/** Gives back what one large call needed. */
export function shrink(): void {
  if (ids.length > KEEP_WORDS) ids = noIds()
  if (frame.words.length <= KEEP_WORDS) return
  const used = block === frame
  frame = blockOf(boundary.resize(KEEP_WORDS))
  if (used) use(frame)
}

/** What packing found besides the numbers. One object for all calls: read it before anything else is packed. */
export const packed: Packed = {
  userId: '',
  tipId: '',
  meta: 0,
  set: undefined,
  count: 0,
  computedAt: undefined,
  promptVersions: undefined,
  end: 0,
}

interface Packed {
  userId: string
  /** Of a reward. */
  tipId: string
  meta: number
  set: CandidateSet | undefined
  /** How many candidates there are. */
  count: number
  /** When the profile was computed, where that was given. */
  computedAt: string | undefined
  /** The candidates' prompt versions, where one has one. */
  promptVersions: PromptVersions | undefined
  end: number
}

/** In the order of the candidates; those without a version may be missing. */
export type PromptVersions = readonly (string | undefined)[]

function begin(): void {
  busy = true
  // A nested call that needed a larger frame has replaced it under the call that it was nested in.
  if (depth === 0 && block !== frame) use(frame)
}

/** Packs a request as the frame's only one. */
export function packScore(request: ScoreRequest): void {
  begin()
  try {
    packScoreAt(request, FIRST, ids, ALONE)
  } finally {
    busy = false
  }
}

/** One request of a batch. */
export interface PackedRequest {
  /** The word at which it starts. */
  at: number
  userId: string
  meta: number
}

/** The texts of a batch, an entry a request. */
export interface BatchTexts {
  tipIds: (readonly string[])[]
  computedAt: (string | undefined)[]
  promptVersions: (PromptVersions | undefined)[]
}

/** Packs a batch; `texts` takes what goes with each request. */
export function packBatch(requests: readonly ScoreRequest[], n: number, texts: BatchTexts): PackedRequest[] {
  begin()
  try {
    const batch: PackedRequest[] = []
    let at = FIRST
    let candidates = 0
    for (let i = 0; i < n; i++) {
      const names: string[] = []
      packScoreAt(requests[i], at, names, i)
      const { userId, meta, set, end } = packed
      if (typeof userId !== 'string' || !isId(userId)) refuse(`requests[${i}].userId`, ID, userId)
      batch.push({ at, userId, meta })
      texts.tipIds.push(set === undefined ? names : set.ids)
      texts.computedAt.push(packed.computedAt)
      texts.promptVersions.push(packed.promptVersions)
      candidates += names.length
      if (candidates > LARGEST_BATCH_CANDIDATES) refuse('requests', `of at most ${LARGEST_BATCH_CANDIDATES} candidates in all`, candidates)
      at = end
    }
    packed.end = at
    return batch
  } finally {
    busy = false
  }
}

function packScoreAt(request: ScoreRequest, at: number, names: string[], number: number): void {
  if (!isObject(request)) refuse(number === ALONE ? 'request' : `requests[${number}]`, 'an object', request)
  const { userId, candidates, context, profileFeatures, policy } = request as ScoreRequest
  let meta = policyNumber(policy, number)
  let end = at + REQUEST_WORDS
  let set: CandidateSet | undefined
  let n: number
  packed.promptVersions = undefined
  packed.computedAt = undefined
  if (Array.isArray(candidates)) {
    n = candidates.length
    end = packCandidates(candidates as readonly Candidate[], n, end, names, number)
  } else if (isCandidateSet(candidates)) {
    set = candidates
    n = set.length
    packed.promptVersions = promptVersionsOf(set)
    reserve(end, at)
  } else {
    refuse(`${prefix(number)}candidates`, 'an array or a set made by prepare()', candidates)
  }
  // Reading on may run code that packs something else.
  const { promptVersions } = packed
  meta |= packContext(context, number)
  if (profileFeatures !== undefined && profileFeatures !== null) meta |= packProfile(profileFeatures, at, number)
  // From here on no code of the caller's runs.
  halves[2 * at + CANDIDATES] = n
  halves[2 * at + SET] = set === undefined ? 0 : setNumber(set)
  if (promptVersions !== undefined) meta |= HAS_PROMPT_VERSIONS
  packed.userId = userId
  packed.meta = meta
  packed.set = set
  packed.count = n
  packed.promptVersions = promptVersions
  packed.end = end
}

/** Hour and day as META has them. */
function packContext(context: Context | undefined, number: number): number {
  if (context === undefined) return (12 << HOUR) | (0 << DAY)
  if (!isObject(context)) refuse(`${prefix(number)}context`, 'an object', context)
  const { hourOfDay, dayOfWeek } = context as Context
  return (hour(hourOfDay, number, 'context.hourOfDay') << HOUR) | (day(dayOfWeek, number, 'context.dayOfWeek') << DAY)
}

function packProfile(profile: ProfileFeatures, at: number, number: number): number {
  if (!isObject(profile)) refuse(`${prefix(number)}profileFeatures`, 'an object or null', profile)
  const { completionRate30d, dismissRate30d, meanDwellMs30d, preferredHour, tipVolume30d, computedAt } = profile as ProfileFeatures
  if (computedAt !== undefined && computedAt !== null && typeof computedAt !== 'string') {
    refuse(`${prefix(number)}profileFeatures.computedAt`, 'a string or null', computedAt)
  }
  // The last that runs code of the caller's is behind us: known() only looks at values.
  let flags = HAS_PROFILE
  if (typeof computedAt === 'string') {
    if (computedAt.length > LONGEST_TEXT || !computedAt.isWellFormed()) refuse(`${prefix(number)}profileFeatures.computedAt`, TEXT, computedAt)
    packed.computedAt = computedAt
    flags |= HAS_COMPUTED_AT
  }
  words[at + PROFILE] = known(completionRate30d, 'completionRate30d', number)
  words[at + PROFILE + 1] = known(dismissRate30d, 'dismissRate30d', number)
  words[at + PROFILE + 2] = known(meanDwellMs30d, 'meanDwellMs30d', number)
  words[at + PROFILE + 3] = known(preferredHour, 'preferredHour', number)
  words[at + PROFILE + 4] = known(tipVolume30d, 'tipVolume30d', number)
  return flags
}

/** NaN stands for "not known". */
function known(value: unknown, key: string, number: number): number {
  if (value === undefined || value === null) return NaN
  if (typeof value !== 'number' || !Number.isFinite(value)) refuse(`${prefix(number)}profileFeatures.${key}`, 'a finite number or null', value)
  return value
}

/** Packs candidates into three lanes from word `at`; returns the word after them. `n` is their number, read once. */
function packCandidates(candidates: readonly Candidate[], n: number, at: number, names: string[], number: number): number {
  if (n === 0) throw new BanditError('ERR_NO_CANDIDATES', `${prefix(number)}candidates: empty, there is nothing to choose from`)
  if (typeof n !== 'number' || n < 0 || n > LARGEST_CANDIDATES || !Number.isInteger(n)) checkLength(n, LARGEST_CANDIDATES, `${prefix(number)}candidates`, 'candidates')
  const stride = (n + CHUNK - 1) & -CHUNK
  const end = at + 3 * stride
  reserve(end, at)
  // The caller's code may make a nested call, which swaps the block and puts it back: a local is safe, and faster.
  const lanes = words
  let versions: (string | undefined)[] | undefined
  const age = at + stride
  const priority = age + stride
  for (let i = 0; i < n; i++) {
    const candidate = candidates[i]
    if (typeof candidate !== 'object' || candidate === null) refuse(`${prefix(number)}candidates[${i}]`, 'an object', candidate)
    // First what calls a function: what the compiler knows of an object's shape does not outlive a call.
    const id = candidate.id
    if (typeof id !== 'string' || !id.isWellFormed() || id.length === 0 || id.length > LONGEST_ID) {
      if (Array.isArray(candidate)) refuse(`${prefix(number)}candidates[${i}]`, 'an object', candidate)
      refuse(`${prefix(number)}candidates[${i}].id`, ID, id)
    }
    const { content, source, sourceId, features, promptVersion } = candidate
    if (content !== undefined && typeof content !== 'string') refuse(`${prefix(number)}candidates[${i}].content`, 'a string', content)
    if (source !== undefined && typeof source !== 'string') refuse(`${prefix(number)}candidates[${i}].source`, 'a string', source)
    if (sourceId !== undefined && sourceId !== null && typeof sourceId !== 'string') {
      refuse(`${prefix(number)}candidates[${i}].sourceId`, 'a string or null', sourceId)
    }
    if (promptVersion !== undefined) {
      if (typeof promptVersion !== 'string' || promptVersion.length > LONGEST_TEXT || !promptVersion.isWellFormed()) {
        refuse(`${prefix(number)}candidates[${i}].promptVersion`, TEXT, promptVersion)
      }
      versions ??= []
      versions[i] = promptVersion
    }
    names[i] = id
    let overdue = 0
    let days = 0
    let urgency = 1
    if (features !== undefined) {
      if (typeof features !== 'object' || features === null) refuse(`${prefix(number)}candidates[${i}].features`, 'an object', features)
      const { isOverdue, taskAgeDays, priority: level } = features
      if (isOverdue === true) overdue = 1
      else if (isOverdue !== undefined && isOverdue !== false) refuse(`${prefix(number)}candidates[${i}].features.isOverdue`, 'true or false', isOverdue)
      if (taskAgeDays !== undefined) {
        // The difference is NaN for NaN and for both infinities.
        if (typeof taskAgeDays !== 'number' || taskAgeDays - taskAgeDays !== 0) {
          refuse(`${prefix(number)}candidates[${i}].features.taskAgeDays`, 'a finite number', taskAgeDays)
        }
        days = taskAgeDays
      }
      if (level !== undefined) {
        if (typeof level !== 'number' || (level | 0) !== level || level < 1 || level > 4) {
          refuse(`${prefix(number)}candidates[${i}].features.priority`, '1, 2, 3 or 4', level)
        }
        urgency = level
      } else if (isOverdue === undefined && taskAgeDays === undefined && Array.isArray(features)) {
        refuse(`${prefix(number)}candidates[${i}].features`, 'an object', features)
      }
    }
    lanes[at + i] = overdue
    lanes[age + i] = days
    lanes[priority + i] = urgency
  }
  packed.promptVersions = versions
  return end
}

/** Packs the candidates of a set to be; returns their ids, and leaves their prompt versions in {@link packed}. */
export function packSet(candidates: readonly Candidate[]): readonly string[] {
  begin()
  try {
    if (!Array.isArray(candidates)) refuse('candidates', 'an array', candidates)
    const n = candidates.length
    packed.end = packCandidates(candidates, n, FIRST + REQUEST_WORDS, ids, ALONE)
    halves[2 * FIRST + CANDIDATES] = n
    halves[2 * FIRST + SET] = 0
    return ids.slice(0, n)
  } finally {
    busy = false
  }
}

/** Packs a reward as the frame's first request. */
export function packReward(request: RewardRequest): void {
  begin()
  try {
    if (!isObject(request)) refuse('request', 'an object', request)
    const { userId, tipId, reward, features, dayOfWeek, profileFeatures, policy } = request as RewardRequest
    checkId(tipId, 'tipId')
    let meta = policyNumber(policy, ALONE)
    if (!isObject(features)) refuse('features', 'an object', features)
    const { isOverdue, taskAgeDays, priority, hourOfDay } = features as RewardRequest['features']
    if (isOverdue !== undefined && typeof isOverdue !== 'boolean') refuse('features.isOverdue', 'true or false', isOverdue)
    if (priority !== undefined && priority !== 1 && priority !== 2 && priority !== 3 && priority !== 4) {
      refuse('features.priority', '1, 2, 3 or 4', priority)
    }
    meta |= (hour(hourOfDay, ALONE, 'features.hourOfDay') << HOUR) | (day(dayOfWeek, ALONE, 'dayOfWeek') << DAY)
    meta |= (isOverdue === true ? OVERDUE : 0) | ((priority ?? 1) << PRIORITY)
    const age = taskAgeDays === undefined ? 0 : finite(taskAgeDays, 'features.taskAgeDays')
    const earned = finite(reward, 'reward')
    packed.computedAt = undefined
    if (profileFeatures !== undefined && profileFeatures !== null) meta |= packProfile(profileFeatures, FIRST, ALONE)
    // From here on no code of the caller's runs.
    words[FIRST + AGE] = age
    words[FIRST + REWARD] = earned
    packed.userId = userId
    packed.tipId = tipId
    packed.meta = meta
    packed.set = undefined
    packed.end = FIRST + REQUEST_WORDS
  } finally {
    busy = false
  }
}

/** Completes the request at word `at`. */
export function setUser(at: number, user: number, meta: number): void {
  halves[2 * at + USER] = user
  halves[2 * at + META] = meta
}

/** The ids of what is packed, in order. */
export function packedIds(): readonly string[] {
  return ids
}

/** The next calls are about a batch of so many requests; 0: about one and no batch. */
export function setBatch(count: number): void {
  halves[BATCH] = count
}

/** What was chosen for the request at word `at`, whose candidates are called `tipIds`. */
export function answer(at: number, tipIds: readonly string[]): ScoreResult {
  const index = halves[2 * at + INDEX]
  const flags = halves[2 * at + EXPLORING]
  return {
    tipId: tipIds[index],
    score: words[at + SCORE],
    policy: POLICIES[flags >> 1],
    index,
    exploring: (flags & 1) !== 0,
    propensity: words[at + PROPENSITY],
  }
}

/** Marks the `n` candidates, the first ones of `tipIds`, behind what is packed up to `end`; returns where the call's words end. */
export function packDecision(end: number, tipIds: readonly string[], n: number, mask: readonly boolean[] | undefined, holdout: number, explain: boolean): number {
  const last = Math.max(end + MARKS / 2 + Math.ceil(n / 2), FIRST + REQUEST_WORDS + DECISION_WORDS)
  reserve(last, end)
  words[end] = holdout
  halves[2 * end + ASKED] = (explain ? EXPLAIN : 0) | (mask === undefined ? 0 : HAS_MASK)
  const marks = 2 * end + MARKS
  for (let i = 0; i < n; i++) halves[marks + i] = tipIds[i].length | (mask === undefined || mask[i] ? ELIGIBLE : 0)
  return last
}

/** What was decided about the candidates called `tipIds`. */
export function decision(tipIds: readonly string[], began: number): Recommendation {
  const at = FIRST + REQUEST_WORDS
  const index = halves[2 * at + 1]
  const flags = halves[2 * (at + FLAGS)]
  const heldOut = (flags & 1) !== 0
  const own = at + CHOICES
  const end = own + CHOICE_WORDS * halves[2 * (at + FLAGS) + 1]
  const shadows: Recommendation['shadows'] = []
  for (let other = own + CHOICE_WORDS; other < end; other += CHOICE_WORDS) {
    const chosen = halves[2 * other]
    shadows.push({ policy: POLICIES[halves[2 * other + 1] >> 1], tipId: tipIds[chosen], score: words[other + 1], propensity: words[other + 2], agrees: chosen === index })
  }
  return {
    decisionId: `${halves[2 * at] >>> 0}.${words[at + N]}`,
    tipId: tipIds[index],
    index,
    score: words[at + SHOWN_SCORE],
    policy: POLICIES[halves[2 * own + 1] >> 1],
    assigned: ASSIGNED[flags >> 1],
    propensity: words[at + SHOWN_PROPENSITY],
    exploring: (halves[2 * own + 1] & 1) !== 0 || heldOut,
    heldOut,
    shadows,
    latencyUs: (performance.now() - began) * 1000,
  }
}
