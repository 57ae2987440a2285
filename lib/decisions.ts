// recommend() and feedback() beside what the frame carries: the texts of all candidates, masks, and the reactions' table.

import type { Action, FeedbackRequest, FeedbackResult, PolicyChange, Recommendation, RecommendRequest } from '../index'
import { isCandidateSet } from './candidate-set'
import type { NativeChannel } from '../dist/addon'
import { ALONE, checkId, checkKeys, finite, isObject, moment } from './check'
import { oneText } from './candidates'
import { native, refuse } from './error'
import * as frame from './frame'
import { ACTIONS, Limit, POLICIES, Reaction, ReactionFlags } from './generated/boundary'
import { checkedMask, checkMaskLength, refuseAll } from './mask'
import { type Candidates, packDecision, packed } from './request'

// Own constants: see request.ts.
const { FIRST, halves, words } = frame

/** There is no name for what was done. */
const NONE = -1

/** What each action is worth unless options say otherwise. */
const WORTH: Readonly<Record<Action, number>> = { done: 1, helpful: 0.5, snooze: 0, not_helpful: -0.5, dismiss: -1 }
const ACTION_NAMES: readonly string[] = ACTIONS
const LONGEST_SALT = 64
/** How many texts a decision has besides its candidates' ids. */
const OTHER_TEXTS = 2
const CHANGE = ['mode', 'share', 'salt', 'userId']
const MODES = ['active', 'shadow', 'off', 'default']

/** What each action is worth. */
export type Rewards = Readonly<Record<Action, number>>

/** The largest of them, in either direction: what native code holds against `options.maxReward`. */
export function largestOf(rewards: Rewards): number {
  return Math.max(...Object.values(rewards).map(Math.abs))
}

/** The table with what `options.rewards` changes of it. */
export function rewardTable(given: unknown): Rewards {
  if (given === undefined) return WORTH
  if (!isObject(given)) refuse('options.rewards', 'an object', given)
  // Undefined is not given.
  const changed = Object.fromEntries(Object.entries(given).filter(([, reward]) => reward !== undefined))
  checkKeys(changed, ACTION_NAMES, 'options.rewards', 'action')
  for (const [action, reward] of Object.entries(changed)) finite(reward, `options.rewards.${action}`)
  return { ...WORTH, ...changed }
}

/** What a request says beside what `score()` takes; read before anything is packed, because getters may run. */
export interface Extras {
  mask: readonly boolean[] | undefined
  holdout: number
  explain: boolean
}

export function readExtras(request: RecommendRequest): Extras {
  if (!isObject(request)) refuse('request', 'an object', request)
  const { mask, holdout = 0, explain = false } = request
  if ('policy' in request && request.policy !== undefined) refuse('policy', 'left out: setPolicy() says who decides', request.policy)
  const flags = mask === undefined ? undefined : checkedMask(mask, Limit.LARGEST_DECISION, ALONE)
  if (typeof holdout !== 'number' || !(holdout >= 0 && holdout <= 1)) refuse('holdout', 'a number from 0 to 1', holdout)
  if (typeof explain !== 'boolean') refuse('explain', 'true or false', explain)
  return { mask: flags, holdout, explain }
}

/** The texts of the call on what is packed. */
export interface DecisionTexts {
  /** The candidates' ids, in order. */
  ids: readonly string[]
  /** What crosses of them: each, or one text with all of them, one behind the other; of a set nothing. */
  crossing: readonly string[]
  /** JSON. */
  promptVersions: string | undefined
}

/** Completes what is packed of these candidates; `names` are their ids where they are no set. */
export function packedDecision(candidates: Candidates, names: readonly string[], { mask, holdout, explain }: Extras): DecisionTexts {
  const { count, promptVersions } = packed
  if (count > Limit.LARGEST_DECISION) refuse('candidates', `at most ${Limit.LARGEST_DECISION} for a decision`, count)
  if (mask !== undefined) checkMaskLength(mask.length, count, ALONE)
  if (mask !== undefined && !mask.includes(true)) refuseAll(ALONE)
  const ids = isCandidateSet(candidates) ? candidates.ids : names
  const versions = promptVersions === undefined ? undefined : JSON.stringify(Array.from({ length: count }, (_none, i) => promptVersions[i] ?? null))
  // To make one text of a few takes longer than to pass each. Native code has a set's: there are no names then.
  const asOne = names.length > Limit.MOST_TEXTS - OTHER_TEXTS
  packDecision(packed.end, ids, count, { mask, holdout, explain, asOne })
  return { ids, crossing: asOne ? [oneText(names)] : names, promptVersions: versions }
}

/** Adds to a decision what it is made of. */
export function addExplanation(channel: NativeChannel, decided: Recommendation, ids: readonly string[]): void {
  const { contributions, uncertainty, runnerUp } = JSON.parse(native(() => channel.explanation())) as NativeExplanation
  decided.explanation = { contributions, uncertainty, runnerUp: runnerUp && { tipId: ids[runnerUp[0]], index: runnerUp[0], score: runnerUp[1] } }
}

interface NativeExplanation {
  contributions: number[]
  uncertainty: number
  runnerUp: [number, number] | null
}

/** Reads, checks and packs what a person did; returns whose decision it has to be, where that was said. */
export function packReaction(rewards: Rewards, request: FeedbackRequest): string | undefined {
  if (!isObject(request)) refuse('request', 'an object', request)
  const { decisionId, action, reward, at, userId } = request as FeedbackRequest
  const [epoch, n] = decisionSeq(decisionId, 'decisionId')
  const worthOfIt = worth(rewards, action, reward)
  // However late: native code knows when the decision was made, and counts what it refuses.
  const when = moment(at, 'at', Number.MAX_VALUE)
  if (userId !== undefined) checkId(userId, 'userId')
  halves[2 * (FIRST + Reaction.EPOCH)] = epoch
  words[FIRST + Reaction.N] = n
  words[FIRST + Reaction.REWARD] = worthOfIt
  words[FIRST + Reaction.AT] = when ?? NaN
  halves[2 * (FIRST + Reaction.ACTION)] = action === undefined ? NONE : ACTION_NAMES.indexOf(action)
  halves[2 * (FIRST + Reaction.OF_USER)] = Number(userId !== undefined)
  return userId
}

/** What became of it. */
export function reacted(): FeedbackResult {
  const flags = halves[2 * (FIRST + Reaction.FLAGS)]
  return { ok: true, applied: (flags & ReactionFlags.APPLIED) !== 0, revision: (flags & ReactionFlags.REVISION) !== 0, policies: POLICIES.filter((_name, i) => (flags & (1 << (ReactionFlags.POLICIES + i))) !== 0) }
}

/** The number of the line that a decision's id stands for. */
export function decisionSeq(decisionId: unknown, path: string): [epoch: number, n: number] {
  const [, epoch, n] = /^([1-9]\d{0,9})\.(0|[1-9]\d{0,15})$/.exec(typeof decisionId === 'string' ? decisionId : '') ?? []
  if (epoch === undefined || Number(epoch) > 0xffff_ffff || !Number.isSafeInteger(Number(n))) refuse(path, 'an id that recommend() gave', decisionId)
  return [Number(epoch), Number(n)]
}

function worth(rewards: Rewards, action: unknown, reward: unknown): number {
  if (action !== undefined && (typeof action !== 'string' || !Object.hasOwn(rewards, action))) refuse('action', `one of ${ACTION_NAMES.join(', ')}`, action)
  if (reward === undefined) {
    if (action === undefined) refuse('action', 'given, or reward', action)
    return rewards[action as Action]
  }
  return finite(reward, 'reward')
}

/** A checked change of a policy, as JSON. */
export function policyChangeJson(change: PolicyChange): string {
  if (!isObject(change)) refuse('change', 'an object', change)
  // A typo in `userId` must not change everybody's policy.
  checkKeys(change, CHANGE, 'change', 'key')
  const { mode, share, salt, userId } = change as PolicyChange
  if (!MODES.includes(mode)) refuse('mode', `one of ${MODES.join(', ')}`, mode)
  if (share !== undefined && (typeof share !== 'number' || !(share >= 0 && share <= 1))) refuse('share', 'a number from 0 to 1', share)
  if (salt !== undefined && (typeof salt !== 'string' || !salt.isWellFormed() || salt.length > LONGEST_SALT)) refuse('salt', `a string of at most ${LONGEST_SALT} UTF-16 units`, salt)
  if (salt !== undefined && share === undefined) refuse('salt', 'given together with share', salt)
  if (userId !== undefined) checkId(userId, 'userId')
  return JSON.stringify({ mode, share, salt, userId })
}
