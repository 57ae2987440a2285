// recommend() and feedback() beside what the frame carries: the texts of all candidates, masks, and the reactions' table.

import type { Action, FeedbackRequest, FeedbackResult, PolicyChange, Recommendation, RecommendRequest } from '../index'
import type { CandidateSet } from './candidate-set'
import type { NativeChannel, NativeEngine } from '../dist/addon'
import { checkId, isObject } from './check'
import { BanditError, native, refuse, shown } from './error'
import { packDecision, packed, packedIds } from './frame'

const ACTIONS: Readonly<Record<Action, number>> = { done: 1, helpful: 0.5, snooze: 0, not_helpful: -0.5, dismiss: -1 }
/** Every candidate stands in the log. */
const LARGEST_DECISION = 1000
const LONGEST_SALT = 64
const CHANGE = ['mode', 'share', 'salt', 'userId']
const MODES = ['active', 'shadow', 'off', 'default']

/** What each action is worth. */
export type Rewards = Readonly<Record<Action, number>>

/** The table with what `options.rewards` changes of it. */
export function rewardTable(given: unknown): Rewards {
  if (given === undefined) return ACTIONS
  if (!isObject(given)) refuse('options.rewards', 'an object', given)
  // Undefined is not given.
  const changed = Object.entries(given).filter(([, reward]) => reward !== undefined)
  for (const [action, reward] of changed) {
    if (!Object.hasOwn(ACTIONS, action)) throw new BanditError('ERR_INVALID_ARGUMENT', `options.rewards: no action ${JSON.stringify(action)}; known: ${Object.keys(ACTIONS).join(', ')}`)
    if (typeof reward !== 'number' || !Number.isFinite(reward)) refuse(`options.rewards.${action}`, 'a finite number', reward)
  }
  return { ...ACTIONS, ...Object.fromEntries(changed) }
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
  const flags = mask === undefined ? undefined : checkedMask(mask)
  if (typeof holdout !== 'number' || !(holdout >= 0 && holdout <= 1)) refuse('holdout', 'a number from 0 to 1', holdout)
  if (typeof explain !== 'boolean') refuse('explain', 'true or false', explain)
  return { mask: flags, holdout, explain }
}

function checkedMask(mask: unknown): boolean[] {
  if (!Array.isArray(mask)) refuse('mask', 'an array of true and false', mask)
  if (mask.length > LARGEST_DECISION) refuse('mask', `an array of at most ${LARGEST_DECISION}`, mask.length)
  // Holes are no flags.
  return Array.from(mask, (may: unknown, i) => (typeof may === 'boolean' ? may : refuse(`mask[${i}]`, 'true or false', may)))
}

/** All ids of a set, one behind the other. */
const idsOfSets = new WeakMap<CandidateSet, string>()

/** The call on what is packed, which {@link Extras} complete. */
export interface DecisionCall {
  /** In order; those of an earlier request may stand behind them. */
  ids: readonly string[]
  /** All of them, one behind the other. */
  joined: string
  /** JSON. */
  promptVersions: string | undefined
  computedAt: string | undefined
  end: number
}

/** Completes what is packed. */
export function packedDecision({ mask, holdout, explain }: Extras): DecisionCall {
  const { set, count, computedAt, promptVersions } = packed
  if (count > LARGEST_DECISION) refuse('candidates', `at most ${LARGEST_DECISION} for a decision`, count)
  if (mask !== undefined && mask.length !== count) refuse('mask', `an array of ${count}, one for each candidate`, mask.length)
  if (mask !== undefined && !mask.includes(true)) throw new BanditError('ERR_NO_CANDIDATES', 'mask: no candidate may be shown')
  const ids = set === undefined ? packedIds() : set.ids
  const versions = promptVersions === undefined ? undefined : JSON.stringify(Array.from({ length: count }, (_none, i) => promptVersions[i] ?? null))
  return { ids, joined: joined(ids, count, set), promptVersions: versions, computedAt, end: packDecision(packed.end, ids, count, mask, holdout, explain) }
}

function joined(ids: readonly string[], count: number, set: CandidateSet | undefined): string {
  const known = set && idsOfSets.get(set)
  if (known !== undefined) return known
  // V8 puts the parts together when native code reads them: a quarter of what join() costs.
  let all = ''
  for (let i = 0; i < count; i++) all += ids[i]
  if (set !== undefined) idsOfSets.set(set, all)
  return all
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

/** Tells what a person did. */
export function feedback(engine: NativeEngine, rewards: Rewards, request: FeedbackRequest): FeedbackResult {
  if (!isObject(request)) refuse('request', 'an object', request)
  const { decisionId, action, reward, at } = request as FeedbackRequest
  const [epoch, n] = decisionSeq(decisionId, 'decisionId')
  const json = native(() => engine.feedback(epoch, n, action, worth(rewards, action, reward), moment(at, 'at')))
  return { ok: true, ...(JSON.parse(json) as Omit<FeedbackResult, 'ok'>) }
}

/** The number of the line that a decision's id stands for. */
export function decisionSeq(decisionId: unknown, path: string): [epoch: number, n: number] {
  const [, epoch, n] = /^([1-9]\d{0,9})\.(0|[1-9]\d{0,15})$/.exec(typeof decisionId === 'string' ? decisionId : '') ?? []
  if (epoch === undefined || Number(epoch) > 0xffff_ffff || !Number.isSafeInteger(Number(n))) refuse(path, 'an id that recommend() gave', decisionId)
  return [Number(epoch), Number(n)]
}

function worth(rewards: Rewards, action: unknown, reward: unknown): number {
  if (action !== undefined && (typeof action !== 'string' || !Object.hasOwn(rewards, action))) refuse('action', `one of ${Object.keys(ACTIONS).join(', ')}`, action)
  if (reward === undefined) {
    if (action === undefined) refuse('action', 'given, or reward', action)
    return rewards[action as Action]
  }
  if (typeof reward !== 'number' || !Number.isFinite(reward)) refuse('reward', 'a finite number', reward)
  return reward
}

/** Milliseconds since 1970 of a time in any of the forms in which callers may give one. */
export function moment(at: unknown, path: string): number | undefined {
  if (at === undefined) return undefined
  const ms = at instanceof Date ? at.getTime() : typeof at === 'string' ? parsed(at) : at
  if (typeof ms !== 'number' || !Number.isFinite(ms) || ms < 0 || ms > 8.64e15) {
    refuse(path, 'a time: a Date, an ISO 8601 date, or date and time with Z or an offset, or milliseconds since 1970', at)
  }
  return Math.floor(ms)
}

/** Date.parse() alone takes `tip 5` for a day in May, the 31st of November for the 1st of December, and a time without a zone for this machine's. */
function parsed(text: string): number {
  const [, year, month, day] = /^(\d{4})-(\d\d)-(\d\d)(?:T\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:\d\d))?$/.exec(text) ?? []
  const isDay = year !== undefined && new Date(Date.UTC(Number(year), Number(month) - 1, Number(day))).getUTCDate() === Number(day)
  return isDay ? Date.parse(text) : NaN
}

/** A checked change of a policy, as JSON. */
export function policyChangeJson(change: PolicyChange): string {
  if (!isObject(change)) refuse('change', 'an object', change)
  const unknown = Object.keys(change).find((key) => !CHANGE.includes(key))
  // A typo in `userId` must not change everybody's policy.
  if (unknown !== undefined) throw new BanditError('ERR_INVALID_ARGUMENT', `change: no key ${shown(unknown)}; known: ${CHANGE.join(', ')}`)
  const { mode, share, salt, userId } = change as PolicyChange
  if (!MODES.includes(mode)) refuse('mode', `one of ${MODES.join(', ')}`, mode)
  if (share !== undefined && (typeof share !== 'number' || !(share >= 0 && share <= 1))) refuse('share', 'a number from 0 to 1', share)
  if (salt !== undefined && (typeof salt !== 'string' || !salt.isWellFormed() || salt.length > LONGEST_SALT)) refuse('salt', `a string of at most ${LONGEST_SALT} UTF-16 units`, salt)
  if (salt !== undefined && share === undefined) refuse('salt', 'given together with share', salt)
  if (userId !== undefined) checkId(userId, 'userId')
  return JSON.stringify({ mode, share, salt, userId })
}
