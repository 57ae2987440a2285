// From what callers ask to what stands in the frame: read once, checked, written where src/node/frame.rs looks for it.

import { BanditError, refuse } from './error'
import { ALONE, checkId, checkLength, day, finite, hour, isObject, LONGEST_TEXT, policyNumber, prefix, TEXT } from './check'
import { isCandidateSet, promptVersionsOf, setNumber } from './candidate-set'
import { packCandidates, type PromptVersions } from './candidates'
import * as frame from './frame'
import { checkIntact, setRequests } from './frame'
import type { Candidate, Context, ProfileFeatures, RewardRequest, ScoreRequest } from '../index'

// Own constants: V8 compiles them into the code, and looks up imported ones at each use.
const { words, halves, running, CHUNK, FIRST, REQUEST_WORDS } = frame

// Words of a request.
const USER = 0
const META = 1
const CANDIDATES = 2
const SET = 3
const REWARD = 7
const PROFILE = 8
const OVERDUE = 13
const AGE = 14
const PRIORITY = 15

// What META is put together from.
const HOUR = 2
const DAY = 7
const HAS_PROFILE = 1 << 10
const HAS_COMPUTED_AT = 1 << 11
const HAS_PROMPT_VERSION = 1 << 12

// Words behind a request for a decision.
const HOLDOUT = 0
const ASKED = 1
const MARKS = 2
const EXPLAIN = 1
const HAS_MASK = 1 << 1
const ELIGIBLE = 1 << 16

const LARGEST_CANDIDATES = 100_000

/** The words of the largest request. */
export const LARGEST_REQUEST = REQUEST_WORDS + 3 * LARGEST_CANDIDATES

/** What a request is about. */
export type Candidates = ScoreRequest['candidates']

/** What packing found besides the numbers. One object for all calls: read it before anything else is packed. */
export const packed: Packed = {
  count: 0,
  computedAt: undefined,
  promptVersions: undefined,
  end: 0,
}

interface Packed {
  /** How many candidates there are. */
  count: number
  /** When the profile was computed, where that was given. */
  computedAt: string | undefined
  /** The candidates' prompt versions, where one has one and all were asked for. */
  promptVersions: PromptVersions | undefined
  /** Where the request's words end. */
  end: number
}

/** Packs a request about `candidates` as the only one; returns its META. `names`, where it is given, takes the candidates' ids. */
export function packScore(request: ScoreRequest, candidates: unknown, names: string[] | undefined): number {
  running.extent = FIRST
  running.busy = true
  try {
    const meta = packScoreAt(request, candidates, FIRST, names, ALONE)
    setRequests(FIRST, 1)
    return meta
  } finally {
    // No call: at the end of the stack there may be no room for one.
    running.busy = false
  }
}

/** Packs a request about `candidates` at word `at`, as request `number` of a batch; returns its META. */
export function packScoreAt(request: ScoreRequest, candidates: unknown, at: number, names: string[] | undefined, number: number): number {
  const { context, profileFeatures, policy } = request
  let meta = policyNumber(policy, number)
  let end = at + REQUEST_WORDS
  let set = 0
  let n: number
  let promptVersions: PromptVersions | undefined
  if (Array.isArray(candidates)) {
    n = candidates.length
    checkCount(n, number)
    const stride = padded(n)
    const lanes = end
    end += 3 * stride
    running.extent = end
    promptVersions = packCandidates(candidates, n, lanes, stride, names, number)
  } else if (isCandidateSet(candidates)) {
    n = candidates.length
    set = setNumber(candidates)
    promptVersions = promptVersionsOf(candidates)
    running.extent = end
  } else {
    refuse(`${prefix(number)}candidates`, 'an array or a set made by prepare()', candidates)
  }
  meta |= packContext(context, number)
  if (profileFeatures === undefined || profileFeatures === null) packed.computedAt = undefined
  else meta |= packProfile(profileFeatures, at, number)
  // From here on no code of the caller's runs, until the chosen candidate is read.
  checkIntact()
  halves[2 * (at + CANDIDATES)] = n
  halves[2 * (at + SET)] = set
  packed.count = n
  packed.promptVersions = promptVersions
  packed.end = end
  return meta
}

function padded(n: number): number {
  return (n + CHUNK - 1) & -CHUNK
}

function checkCount(n: unknown, number: number): asserts n is number {
  if (n === 0) throw new BanditError('ERR_NO_CANDIDATES', `${prefix(number)}candidates: empty, there is nothing to choose from`)
  if (typeof n !== 'number' || n < 0 || n > LARGEST_CANDIDATES || !Number.isInteger(n)) checkLength(n, LARGEST_CANDIDATES, `${prefix(number)}candidates`, 'candidates')
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
  packed.computedAt = undefined
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

/** Packs the candidates of a set to be; returns their ids, and leaves their prompt versions in {@link packed}. */
export function packSet(candidates: readonly Candidate[]): readonly string[] {
  running.extent = FIRST
  running.busy = true
  try {
    if (!Array.isArray(candidates)) refuse('candidates', 'an array', candidates)
    const n: unknown = candidates.length
    checkCount(n, ALONE)
    const stride = padded(n)
    const ids: string[] = []
    running.extent = FIRST + REQUEST_WORDS + 3 * stride
    packed.promptVersions = packCandidates(candidates, n, FIRST + REQUEST_WORDS, stride, ids, ALONE)
    checkIntact()
    halves[2 * (FIRST + CANDIDATES)] = n
    halves[2 * (FIRST + SET)] = 0
    return ids
  } finally {
    running.busy = false
  }
}

/** Packs a reward for `tipId` as the only one; returns its META. */
export function packReward(request: RewardRequest, tipId: unknown): number {
  running.extent = FIRST + REQUEST_WORDS
  running.busy = true
  try {
    const { reward, features, dayOfWeek, profileFeatures, policy } = request
    checkId(tipId, 'tipId')
    let meta = policyNumber(policy, ALONE)
    if (!isObject(features)) refuse('features', 'an object', features)
    const { isOverdue, taskAgeDays, priority, hourOfDay } = features as RewardRequest['features']
    if (isOverdue !== undefined && typeof isOverdue !== 'boolean') refuse('features.isOverdue', 'true or false', isOverdue)
    if (priority !== undefined && priority !== 1 && priority !== 2 && priority !== 3 && priority !== 4) {
      refuse('features.priority', '1, 2, 3 or 4', priority)
    }
    meta |= (hour(hourOfDay, ALONE, 'features.hourOfDay') << HOUR) | (day(dayOfWeek, ALONE, 'dayOfWeek') << DAY)
    const age = taskAgeDays === undefined ? 0 : finite(taskAgeDays, 'features.taskAgeDays')
    const earned = finite(reward, 'reward')
    if (profileFeatures === undefined || profileFeatures === null) packed.computedAt = undefined
    else meta |= packProfile(profileFeatures, FIRST, ALONE)
    // From here on no code of the caller's runs.
    checkIntact()
    words[FIRST + REWARD] = earned
    halves[2 * (FIRST + OVERDUE)] = Number(isOverdue === true)
    words[FIRST + AGE] = age
    halves[2 * (FIRST + PRIORITY)] = priority ?? 1
    setRequests(FIRST, 1)
    return meta
  } finally {
    running.busy = false
  }
}

/** Completes the request at word `at`. */
export function setUser(at: number, user: number, meta: number): void {
  halves[2 * (at + USER)] = user
  halves[2 * (at + META)] = meta
}

/** Says that there is a text that says which prompt wrote the chosen candidate, or which wrote which. */
export function withPromptVersion(meta: number): number {
  return meta | HAS_PROMPT_VERSION
}

/** Marks the `n` candidates, the first ones of `tipIds`, behind what is packed up to `end`. */
export function packDecision(end: number, tipIds: readonly string[], n: number, mask: readonly boolean[] | undefined, holdout: number, explain: boolean): void {
  words[end + HOLDOUT] = holdout
  halves[2 * (end + ASKED)] = (explain ? EXPLAIN : 0) | (mask === undefined ? 0 : HAS_MASK)
  const marks = end + MARKS
  for (let i = 0; i < n; i++) halves[2 * (marks + i)] = tipIds[i].length | (mask === undefined || mask[i] ? ELIGIBLE : 0)
}
