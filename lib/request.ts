// From what callers ask to what stands in the frame: read once, checked, written where src/node/frame.rs looks for it.

import { BanditError, refuse } from './error'
import { ALONE, checkId, day, DAYS, finite, hour, HOURS, isObject, isWhole, policyBits, prefix, TEXT } from './check'
import { isCandidateSet, promptVersionsOf, setNumber } from './candidate-set'
import { checkPromptVersion, type PromptVersions, refuseId } from './candidates'
import * as frame from './frame'
import { checkIntact } from './frame'
import { Asked, AskedFlags, Limit, Mark, Meta, Request, Reward } from './generated/boundary'
import { maskWords, packMask } from './mask'
import type { Candidate, ProfileFeatures, RewardRequest, ScoreRequest } from '../index'

// Own constants: V8 compiles them into the code, and looks up imported ones at each use.
const { words, halves, running, FIRST } = frame

/** In place of a prepared set's number: the lanes and the mask have been removed. */
const NO_LANES = -1

/** The words of the largest request. */
const LARGEST_REQUEST = Request.WORDS + 3 * Limit.LARGEST_CANDIDATES + maskWords(Limit.LARGEST_CANDIDATES)

/** What a request is about, and what else it asks. */
export type Candidates = ScoreRequest['candidates']
type Scored = Pick<ScoreRequest, 'context' | 'profileFeatures' | 'policy'>

/** What packing found besides the numbers. One object for all calls: read it before anything else is packed. */
const packed: Packed = {
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
export function packScore(request: Scored, candidates: unknown, mask: unknown, names: string[] | undefined): number {
  running.extent = FIRST
  running.spoilt = false
  running.busy = true
  try {
    return packScoreAt(request, candidates, mask, FIRST, names, ALONE)
  } finally {
    // No call: at the end of the stack there may be no room for one.
    running.busy = false
  }
}

/**
 * Packs a request about `candidates` at word `at`, as request `number` of a batch; returns its META. `names`, where it is given, takes the
 * candidates' ids, and prompt versions are kept then, if one has one. Each property is read once.
 *
 * In one piece, because a call costs V8 as much as two candidates; and written for what V8 11 makes of it. `npm run bench` says what a
 * change does to it.
 */
export function packScoreAt(request: Scored, candidates: unknown, mask: unknown, at: number, names: string[] | undefined, number: number): number {
  const { context, profileFeatures, policy } = request
  let meta = policyBits(policy, number)
  let end = at + Request.WORDS
  let set = 0
  let n: number
  let versions: (string | undefined)[] | undefined
  let setVersions: PromptVersions | undefined
  if (Array.isArray(candidates)) {
    n = candidates.length
    if (!isWhole(n, Limit.LARGEST_CANDIDATES) || n === 0) refuseCount(n, number)
    // Three lanes, a number a candidate each.
    const stride = (n + Limit.LANE_CHUNK - 1) & -Limit.LANE_CHUNK
    const lane = end
    const ages = lane + stride
    const levels = ages + stride
    end = levels + stride
    running.extent = end
    for (let i = 0; i < n; i++) {
      const candidate = candidates[i]
      // Whoever has properties is as good as an object: a full test would be a tenth of the loop. What has no id is refused.
      if (candidate === null || candidate === undefined) refuse(`${prefix(number)}candidates[${i}]`, 'an object', candidate)
      const { id, content, source, sourceId, features, promptVersion } = candidate
      if (typeof content !== 'string' && content !== undefined) refuse(`${prefix(number)}candidates[${i}].content`, 'a string', content)
      if (typeof source !== 'string' && source !== undefined) refuse(`${prefix(number)}candidates[${i}].source`, 'a string', source)
      if (typeof sourceId !== 'string' && sourceId !== undefined && sourceId !== null) {
        refuse(`${prefix(number)}candidates[${i}].sourceId`, 'a string or null', sourceId)
      }
      if (promptVersion !== undefined) {
        checkPromptVersion(promptVersion, i, number)
        if (names !== undefined) (versions ??= [])[i] = promptVersion
      }
      let overdue = 0
      let age = 0
      let level = 1
      if (features !== undefined) {
        if (features === null) refuse(`${prefix(number)}candidates[${i}].features`, 'an object', features)
        const { isOverdue, taskAgeDays, priority } = features
        // Neither here nor in the next line a branch that depends on the answer: it would be guessed wrong for every third candidate, and a
        // wrong guess costs as much as the rest of the candidate.
        overdue = Number(isOverdue === true)
        if ((overdue | Number(isOverdue === false)) === 0 && isOverdue !== undefined) {
          refuse(`${prefix(number)}candidates[${i}].features.isOverdue`, 'true or false', isOverdue)
        }
        if (taskAgeDays !== undefined) {
          // The difference is NaN for NaN and for both infinities.
          if (typeof taskAgeDays !== 'number' || taskAgeDays - taskAgeDays !== 0) {
            refuse(`${prefix(number)}candidates[${i}].features.taskAgeDays`, 'a finite number', taskAgeDays)
          }
          age = taskAgeDays
        }
        if (priority !== undefined) {
          if (typeof priority !== 'number' || priority !== (priority & 7) || (priority - 1) >>> 0 >= 4) {
            refuse(`${prefix(number)}candidates[${i}].features.priority`, '1, 2, 3 or 4', priority)
          }
          level = priority
        } else if (isOverdue === undefined && taskAgeDays === undefined && (typeof features !== 'object' || Array.isArray(features))) {
          refuse(`${prefix(number)}candidates[${i}].features`, 'an object', features)
        }
      }
      words[lane + i] = overdue
      words[ages + i] = age
      words[levels + i] = level
      // Last what calls a function: what the compiler knows of an object's shape does not outlive a call.
      if (typeof id !== 'string' || id.isWellFormed() !== true || (id.length - 1) >>> 0 >= Limit.LONGEST_ID) refuseId(candidate, id, i, number)
      if (names !== undefined) names[i] = id
    }
  } else if (isCandidateSet(candidates)) {
    n = candidates.length
    set = setNumber(candidates)
    setVersions = promptVersionsOf(candidates)
    running.extent = end
  } else {
    refuse(`${prefix(number)}candidates`, 'an array or a set made by prepare()', candidates)
  }
  if (mask !== undefined) {
    const allowed = packMask(mask, n, end, number)
    if (allowed > 0) end += maskWords(n)
    meta |= allowed << Meta.ALLOWED
  }
  let hours = 12
  let days = 0
  if (context !== undefined) {
    if (typeof context !== 'object' || context === null) refuse(`${prefix(number)}context`, 'an object', context)
    const { hourOfDay, dayOfWeek } = context
    if (hourOfDay !== undefined) {
      if (!isWhole(hourOfDay, 23)) refuse(`${prefix(number)}context.hourOfDay`, HOURS, hourOfDay)
      hours = hourOfDay
    }
    if (dayOfWeek !== undefined) {
      if (!isWhole(dayOfWeek, 6)) refuse(`${prefix(number)}context.dayOfWeek`, DAYS, dayOfWeek)
      days = dayOfWeek
    } else if (hourOfDay === undefined && Array.isArray(context)) refuse(`${prefix(number)}context`, 'an object', context)
  }
  meta |= (hours << Meta.HOUR) | (days << Meta.DAY)
  if (profileFeatures === undefined || profileFeatures === null) packed.computedAt = undefined
  else meta |= packProfile(profileFeatures, at, number)
  // From here on no code of the caller's runs, until the chosen candidate is read.
  if (running.spoilt) checkIntact()
  halves[2 * (at + Request.CANDIDATES)] = n
  halves[2 * (at + Request.SET)] = set
  packed.count = n
  packed.promptVersions = versions ?? setVersions
  packed.end = end
  return meta
}

function refuseCount(n: unknown, number: number): never {
  if (n === 0) throw new BanditError('ERR_NO_CANDIDATES', `${prefix(number)}candidates: empty, there is nothing to choose from`)
  refuse(`${prefix(number)}candidates`, `an array of at most ${Limit.LARGEST_CANDIDATES} candidates`, n)
}

function packProfile(profile: ProfileFeatures, at: number, number: number): number {
  if (!isObject(profile)) refuse(`${prefix(number)}profileFeatures`, 'an object or null', profile)
  const { completionRate30d, dismissRate30d, meanDwellMs30d, preferredHour, tipVolume30d, computedAt } = profile as ProfileFeatures
  if (computedAt !== undefined && computedAt !== null && typeof computedAt !== 'string') {
    refuse(`${prefix(number)}profileFeatures.computedAt`, 'a string or null', computedAt)
  }
  // The last that runs code of the caller's is behind us: known() only looks at values.
  let flags = Meta.HAS_PROFILE
  packed.computedAt = undefined
  if (typeof computedAt === 'string') {
    if (computedAt.length > Limit.LONGEST_TEXT || !computedAt.isWellFormed()) refuse(`${prefix(number)}profileFeatures.computedAt`, TEXT, computedAt)
    packed.computedAt = computedAt
    flags |= Meta.HAS_COMPUTED_AT
  }
  words[at + Request.PROFILE] = known(completionRate30d, 'completionRate30d', number)
  words[at + Request.PROFILE + 1] = known(dismissRate30d, 'dismissRate30d', number)
  words[at + Request.PROFILE + 2] = known(meanDwellMs30d, 'meanDwellMs30d', number)
  words[at + Request.PROFILE + 3] = known(preferredHour, 'preferredHour', number)
  words[at + Request.PROFILE + 4] = known(tipVolume30d, 'tipVolume30d', number)
  return flags
}

/** NaN stands for "not known". */
function known(value: unknown, key: string, number: number): number {
  if (value === undefined || value === null) return NaN
  // The difference is NaN for NaN and for both infinities.
  if (typeof value !== 'number' || value - value !== 0) refuse(`${prefix(number)}profileFeatures.${key}`, 'a finite number or null', value)
  return value
}

const NOTHING_ELSE: Scored = {}

/** Packs the candidates of a set to be; returns their ids, and leaves their prompt versions in {@link packed}. */
export function packSet(candidates: readonly Candidate[]): readonly string[] {
  if (!Array.isArray(candidates)) refuse('candidates', 'an array', candidates)
  const ids: string[] = []
  packScore(NOTHING_ELSE, candidates, undefined, ids)
  return ids
}

/** Says behind what is packed up to `end` how long these ids are. */
export function packLengths(end: number, ids: readonly string[]): void {
  for (let i = 0; i < ids.length; i++) halves[2 * (end + i)] = ids[i].length
}

/** Packs a reward for `tipId` as the only one; returns its META. */
export function packReward(request: RewardRequest, tipId: unknown): number {
  running.extent = FIRST + Request.WORDS
  running.spoilt = false
  running.busy = true
  try {
    const { reward, features, dayOfWeek, profileFeatures, policy } = request
    checkId(tipId, 'tipId')
    let meta = policyBits(policy, ALONE)
    if (!isObject(features)) refuse('features', 'an object', features)
    const { isOverdue, taskAgeDays, priority, hourOfDay } = features as RewardRequest['features']
    if (isOverdue !== undefined && typeof isOverdue !== 'boolean') refuse('features.isOverdue', 'true or false', isOverdue)
    if (priority !== undefined && priority !== 1 && priority !== 2 && priority !== 3 && priority !== 4) {
      refuse('features.priority', '1, 2, 3 or 4', priority)
    }
    meta |= (hour(hourOfDay, 'features.hourOfDay') << Meta.HOUR) | (day(dayOfWeek, 'dayOfWeek') << Meta.DAY)
    const age = taskAgeDays === undefined ? 0 : finite(taskAgeDays, 'features.taskAgeDays')
    const earned = finite(reward, 'reward')
    if (profileFeatures === undefined || profileFeatures === null) packed.computedAt = undefined
    else meta |= packProfile(profileFeatures, FIRST, ALONE)
    // From here on no code of the caller's runs.
    checkIntact()
    words[FIRST + Reward.REWARD] = earned
    halves[2 * (FIRST + Request.OVERDUE)] = Number(isOverdue === true)
    words[FIRST + Request.AGE] = age
    halves[2 * (FIRST + Request.PRIORITY)] = priority ?? 1
    return meta
  } finally {
    running.busy = false
  }
}

/** Moves a request's own words from word `at` to word `to`, which is not behind it. */
export function moveWithoutLanes(at: number, to: number): void {
  words.copyWithin(to, at, at + Request.WORDS)
  halves[2 * (to + Request.SET)] = NO_LANES
}

/** Says that there is a text that says which prompt wrote the chosen candidate, or which wrote which. */
export function withPromptVersion(meta: number): number {
  return meta | Meta.HAS_PROMPT_VERSION
}

/** How a decision is asked for. */
export interface Asking {
  mask: readonly boolean[] | undefined
  holdout: number
  explain: boolean
  /** The ids cross as one text. */
  asOne: boolean
}

/** Marks the `n` candidates, the first ones of `tipIds`, behind what is packed up to `end`. */
export function packDecision(end: number, tipIds: readonly string[], n: number, { mask, holdout, explain, asOne }: Asking): void {
  words[end + Asked.HOLDOUT] = holdout
  halves[2 * (end + Asked.FLAGS)] = (explain ? AskedFlags.EXPLAIN : 0) | (mask === undefined ? 0 : AskedFlags.HAS_MASK) | (asOne ? AskedFlags.IDS_ARE_ONE_TEXT : 0)
  const marks = end + Asked.MARKS
  for (let i = 0; i < n; i++) halves[2 * (marks + i)] = tipIds[i].length | (mask === undefined || mask[i] ? Mark.ELIGIBLE : 0)
}

// As in frame.ts.
export { LARGEST_REQUEST, packed }
