// The frame: the block of doubles that JavaScript and native code both see, and how requests are written into it. The layout is
// that of src/node/frame.rs, and loading fails when the two differ.
//
// Reading a caller's objects can run the caller's code (getters, proxies), which may call back into an engine. Whoever packs is
// `busy`; a call that comes in between packs into a block of its own, which takes the frame's place only for the native call.

import { BanditError, refuse } from './error'
import { checkId, day, finite, hour, isObject, LONGEST_ID, POLICIES, policyNumber } from './check'
import { CandidateSet, setNumber } from './candidate-set'
import { addon } from './native'
import type { Candidate, Context, ProfileFeatures, RewardRequest, ScoreRequest, ScoreResult } from '../index'

const CONTROL_WORDS = 8
const REQUEST_WORDS = 16

// Control words.
const BATCH = 0
const COUNT = 1
const START = 2
const NUMBER = 3
const STATUS = 4
const FAILED = 5

// Words of a request.
const USER = 0
const POLICY = 1
const HOUR = 2
const DAY = 3
const PROFILE = 4
const CANDIDATES = 9
const SET = 10
const INDEX = 11
const SCORE = 12
const EXPLORING = 13
const PROPENSITY = 14
const OVERDUE = 9
const AGE = 10
const PRIORITY = 11
const REWARD = 12

/** Where the only request of a call stands. */
export const FIRST = CONTROL_WORDS
const LARGEST_CANDIDATES = 100_000
/** Of a batch: 24 MB of numbers. */
const LARGEST_BATCH_CANDIDATES = 1_000_000
/** A frame larger than this is given back after the call that needed it. */
const KEEP_WORDS = 40_000

export const DONE = 0
export const LOOK_UP_AGAIN = 1

const boundary = new addon.Boundary()
const expected = [CONTROL_WORDS, REQUEST_WORDS]
if (boundary.layout.join() !== expected.join()) {
  throw new BanditError('ERR_UNSUPPORTED', 'the native binary of @oo/bandits is of another version than its JavaScript: install again')
}

/** What native code sees. Between calls its control words say: one request, at FIRST, to be carried out. */
let frame = rested(boundary.frame())
/** Where packing goes: the frame, or a nested call's own block. */
let block = frame
/** The candidates' ids of what is packed, in order. */
let ids: string[] = []
let busy = false

export { boundary }

function rested(fresh: Float64Array): Float64Array {
  fresh[BATCH] = 0
  fresh[COUNT] = 1
  fresh[START] = FIRST
  return fresh
}

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
  block = rested(new Float64Array(FIRST + REQUEST_WORDS + 300))
  ids = []
  busy = false
  depth++
  try {
    return call()
  } finally {
    depth--
    block = outer.block
    ids = outer.ids
    busy = true
  }
}

/** Runs the native call on what is packed, which ends before word `end`; returns how it went. */
export function cross<A>(call: (argument: A) => void, end: number, argument: A): number {
  if (block !== frame) return crossFrom(call, end, argument)
  call(argument)
  return frame[STATUS]
}

function crossFrom<A>(call: (argument: A) => void, end: number, argument: A): number {
  if (frame.length < end) frame = rested(boundary.resize(end))
  const kept = frame.slice(0, end)
  frame.set(block.subarray(0, end))
  call(argument)
  block.set(frame.subarray(0, end))
  frame.set(kept)
  return block[STATUS]
}

/** Makes room for words up to `end`, keeping those before `used`. */
function reserve(end: number, used: number): void {
  if (end <= block.length) return
  const size = Math.max(end, Math.min(2 * block.length, end + KEEP_WORDS))
  const larger = block === frame ? rested(boundary.resize(size)) : new Float64Array(size)
  larger.set(block.subarray(0, used))
  if (block === frame) frame = larger
  block = larger
}

/** Gives back what one large call needed. */
export function shrink(): void {
  if (ids.length > KEEP_WORDS) ids = []
  if (frame.length <= KEEP_WORDS) return
  const used = block === frame
  frame = rested(boundary.resize(KEEP_WORDS))
  if (used) block = frame
}

/** What packing found besides the numbers. One object for all calls: read it before anything else is packed. */
export const packed: { userId: string; policy: number; set: CandidateSet | undefined; end: number } = {
  userId: '',
  policy: 0,
  set: undefined,
  end: 0,
}

/** Packs a request as the frame's only one; `active` is the number of the policy that is meant where none is named. */
export function packScore(request: ScoreRequest, active: number): void {
  busy = true
  try {
    packScoreAt(request, active, FIRST, ids, '')
  } finally {
    busy = false
  }
}

/** One request of a batch. */
export interface PackedRequest {
  /** The word at which it starts. */
  at: number
  userId: string
  policy: number
}

/** Packs a batch; `tipIds` takes the candidates' ids of each request. */
export function packBatch(requests: readonly ScoreRequest[], active: number, tipIds: (readonly string[])[]): PackedRequest[] {
  busy = true
  try {
    const batch: PackedRequest[] = []
    const n = requests.length
    let at = FIRST
    let candidates = 0
    for (let i = 0; i < n; i++) {
      const names: string[] = []
      packScoreAt(requests[i], active, at, names, `requests[${i}].`)
      const { userId, policy, set, end } = packed
      checkId(userId, `requests[${i}].userId`)
      batch.push({ at, userId, policy })
      tipIds.push(set === undefined ? names : set.ids)
      candidates += names.length
      if (candidates > LARGEST_BATCH_CANDIDATES) refuse('requests', `of at most ${LARGEST_BATCH_CANDIDATES} candidates in all`, requests)
      at = end
    }
    packed.end = at
    return batch
  } finally {
    busy = false
  }
}

function packScoreAt(request: ScoreRequest, active: number, at: number, names: string[], prefix: string): void {
  if (!isObject(request)) refuse(prefix === '' ? 'request' : prefix.slice(0, -1), 'an object', request)
  const { userId, candidates, context, profileFeatures, policy: name } = request as ScoreRequest
  const policy = policyNumber(name, active, prefix)
  let end = at + REQUEST_WORDS
  let set: CandidateSet | undefined
  let n: number
  if (Array.isArray(candidates)) {
    n = candidates.length
    end = packCandidates(candidates as readonly Candidate[], n, end, names, prefix)
  } else if (candidates instanceof CandidateSet) {
    set = candidates
    n = set.length
    reserve(end, at)
  } else {
    refuse(`${prefix}candidates`, 'an array or a set made by prepare()', candidates)
  }
  packMoment(context, at, prefix)
  packProfile(profileFeatures, at, prefix)
  block[at + CANDIDATES] = n
  block[at + SET] = set === undefined ? 0 : setNumber(set)
  // Last, when no code of the caller's runs any more.
  packed.userId = userId
  packed.policy = policy
  packed.set = set
  packed.end = end
}

function packMoment(context: Context | undefined, at: number, prefix: string): void {
  let hourOfDay = 12
  let dayOfWeek = 0
  if (context !== undefined) {
    if (!isObject(context)) refuse(`${prefix}context`, 'an object', context)
    hourOfDay = hour(context.hourOfDay, prefix, 'context.hourOfDay')
    dayOfWeek = day(context.dayOfWeek, prefix, 'context.dayOfWeek')
  }
  block[at + HOUR] = hourOfDay
  block[at + DAY] = dayOfWeek
}

function packProfile(profile: ProfileFeatures | null | undefined, at: number, prefix: string): void {
  if (profile === undefined || profile === null) {
    const words = block // five stores: fill() costs more than the whole profile
    words[at + PROFILE] = NaN
    words[at + PROFILE + 1] = NaN
    words[at + PROFILE + 2] = NaN
    words[at + PROFILE + 3] = NaN
    words[at + PROFILE + 4] = NaN
    return
  }
  if (!isObject(profile)) refuse(`${prefix}profileFeatures`, 'an object or null', profile)
  const { completionRate30d, dismissRate30d, meanDwellMs30d, preferredHour, tipVolume30d, computedAt } = profile as ProfileFeatures
  if (computedAt !== undefined && computedAt !== null && typeof computedAt !== 'string') {
    refuse(`${prefix}profileFeatures.computedAt`, 'a string or null', computedAt)
  }
  block[at + PROFILE] = known(completionRate30d, 'completionRate30d', prefix)
  block[at + PROFILE + 1] = known(dismissRate30d, 'dismissRate30d', prefix)
  block[at + PROFILE + 2] = known(meanDwellMs30d, 'meanDwellMs30d', prefix)
  block[at + PROFILE + 3] = known(preferredHour, 'preferredHour', prefix)
  block[at + PROFILE + 4] = known(tipVolume30d, 'tipVolume30d', prefix)
}

/** NaN stands for "not known". */
function known(value: unknown, key: string, prefix: string): number {
  if (value === undefined || value === null) return NaN
  if (typeof value !== 'number' || !Number.isFinite(value)) refuse(`${prefix}profileFeatures.${key}`, 'a finite number or null', value)
  return value
}

/** Packs candidates into three lanes from word `at`; returns the word after them. `n` is their number, read once. */
function packCandidates(candidates: readonly Candidate[], n: number, at: number, names: string[], prefix: string): number {
  if (n === 0) throw new BanditError('ERR_NO_CANDIDATES', `${prefix}candidates: empty, there is nothing to choose from`)
  // A proxy's length can be anything.
  if (!(n <= LARGEST_CANDIDATES) || !Number.isInteger(n) || n < 0) refuse(`${prefix}candidates`, `an array of 1 to ${LARGEST_CANDIDATES} candidates`, n)
  const end = at + 3 * n
  reserve(end, at)
  // The caller's code may make a nested call, which swaps `block` and puts it back: a local is safe, and faster.
  const words = block
  const age = at + n
  const priority = age + n
  for (let i = 0; i < n; i++) {
    const candidate = candidates[i]
    if (!isObject(candidate)) refuse(`${prefix}candidates[${i}]`, 'an object', candidate)
    const { id, content, source, sourceId, features, promptVersion } = candidate as Candidate
    if (typeof id !== 'string' || id.length === 0 || id.length > LONGEST_ID || !id.isWellFormed()) {
      refuse(`${prefix}candidates[${i}].id`, `a string of 1 to ${LONGEST_ID} UTF-16 units without lone surrogates`, id)
    }
    if (content !== undefined && typeof content !== 'string') refuse(`${prefix}candidates[${i}].content`, 'a string', content)
    if (source !== undefined && typeof source !== 'string') refuse(`${prefix}candidates[${i}].source`, 'a string', source)
    if (sourceId !== undefined && sourceId !== null && typeof sourceId !== 'string') {
      refuse(`${prefix}candidates[${i}].sourceId`, 'a string or null', sourceId)
    }
    if (promptVersion !== undefined && typeof promptVersion !== 'string') {
      refuse(`${prefix}candidates[${i}].promptVersion`, 'a string', promptVersion)
    }
    names[i] = id
    if (features === undefined) {
      words[at + i] = 0
      words[age + i] = 0
      words[priority + i] = 1
      continue
    }
    if (!isObject(features)) refuse(`${prefix}candidates[${i}].features`, 'an object', features)
    const { isOverdue, taskAgeDays, priority: level } = features
    if (isOverdue === true) words[at + i] = 1
    else if (isOverdue === undefined || isOverdue === false) words[at + i] = 0
    else refuse(`${prefix}candidates[${i}].features.isOverdue`, 'true or false', isOverdue)
    if (taskAgeDays === undefined) words[age + i] = 0
    else if (typeof taskAgeDays === 'number' && taskAgeDays - taskAgeDays === 0) words[age + i] = taskAgeDays
    else refuse(`${prefix}candidates[${i}].features.taskAgeDays`, 'a finite number', taskAgeDays)
    if (level === undefined) words[priority + i] = 1
    else if (level === 1 || level === 2 || level === 3 || level === 4) words[priority + i] = level
    else refuse(`${prefix}candidates[${i}].features.priority`, '1, 2, 3 or 4', level)
  }
  return end
}

/** Packs the candidates of a set to be; returns their ids. */
export function packSet(candidates: readonly Candidate[]): readonly string[] {
  busy = true
  try {
    if (!Array.isArray(candidates)) refuse('candidates', 'an array', candidates)
    const n = candidates.length
    packed.end = packCandidates(candidates, n, FIRST + REQUEST_WORDS, ids, '')
    block[FIRST + CANDIDATES] = n
    block[FIRST + SET] = 0
    return ids.slice(0, n)
  } finally {
    busy = false
  }
}

/** Packs a reward as the frame's first request. */
export function packReward(request: RewardRequest, active: number): void {
  busy = true
  try {
    if (!isObject(request)) refuse('request', 'an object', request)
    const { userId, tipId, reward, features, dayOfWeek, profileFeatures, policy: name } = request as RewardRequest
    checkId(tipId, 'tipId')
    const policy = policyNumber(name, active, '')
    if (!isObject(features)) refuse('features', 'an object', features)
    const { isOverdue, taskAgeDays, priority, hourOfDay } = features as RewardRequest['features']
    if (isOverdue !== undefined && typeof isOverdue !== 'boolean') refuse('features.isOverdue', 'true or false', isOverdue)
    if (priority !== undefined && priority !== 1 && priority !== 2 && priority !== 3 && priority !== 4) {
      refuse('features.priority', '1, 2, 3 or 4', priority)
    }
    const hourShown = hour(hourOfDay, '', 'features.hourOfDay')
    const dayShown = day(dayOfWeek, '', 'dayOfWeek')
    const age = taskAgeDays === undefined ? 0 : finite(taskAgeDays, 'features.taskAgeDays')
    const earned = finite(reward, 'reward')
    packProfile(profileFeatures, FIRST, '')
    block[FIRST + HOUR] = hourShown
    block[FIRST + DAY] = dayShown
    block[FIRST + OVERDUE] = isOverdue === true ? 1 : 0
    block[FIRST + AGE] = age
    block[FIRST + PRIORITY] = priority ?? 1
    block[FIRST + REWARD] = earned
    // Last, when no code of the caller's runs any more.
    packed.userId = userId
    packed.policy = policy
    packed.set = undefined
    packed.end = FIRST + REQUEST_WORDS
  } finally {
    busy = false
  }
}

export function setUser(at: number, user: number, policy: number): void {
  block[at + USER] = user
  block[at + POLICY] = policy
}

/** The ids of what is packed, in order. */
export function packedIds(): readonly string[] {
  return ids
}

/** The next calls are about a batch: `count` requests, of which the first starts at word `start` and is number `number`. */
export function setBatch(count: number, start: number, number: number): void {
  block[BATCH] = 1
  block[COUNT] = count
  block[START] = start
  block[NUMBER] = number
}

/** The next calls are about one request again. */
export function unsetBatch(): void {
  rested(block)
}

/** Which request of the call was refused. */
export function failedRequest(): number {
  return block[FAILED]
}

/** What was chosen for the request at word `at`, whose candidates are called `tipIds`. */
export function answer(at: number, policy: number, tipIds: readonly string[]): ScoreResult {
  const index = block[at + INDEX]
  return {
    tipId: tipIds[index],
    score: block[at + SCORE],
    policy: POLICIES[policy],
    index,
    exploring: block[at + EXPLORING] !== 0,
    propensity: block[at + PROPENSITY],
  }
}
