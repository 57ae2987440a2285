// @ts-check
// What must be known of each user after calls of which some were cut short: the standing after every call that had to survive,
// and after none that was refused. A call that may or may not have survived (the one in flight at a kill, a pull of the last
// moment, whatever no flush() covers at a power cut) leaves more than one right answer; the one that is seen is then held on to.

import { start, copy, learn, learnedDifference, revise } from './standing.mjs'
import { POLICIES } from './features.mjs'

/** @typedef {import('@oo/bandits').PolicyName} PolicyName */
/** @typedef {import('@oo/bandits').FeatureRecord} FeatureRecord */
/** @typedef {import('./standing.mjs').Standing} Standing */
/** @typedef {Record<PolicyName, Standing>} Standings */
/** @typedef {{ exploring: boolean | undefined, index: number, score: number }} Result */
/** @typedef {{ tipId: string | undefined, policy: PolicyName, score?: number, exploring?: boolean, request: any, index?: number }} Remembered */
/**
 * @typedef {object} Event something that happened to one user
 * @property {number} number in the order of calls
 * @property {number} life of which child
 * @property {'reward' | 'pull' | 'reset' | 'decision' | 'feedback'} kind of decisions and feedback there is one for each policy
 * @property {string} userId
 * @property {PolicyName} [policy]
 * @property {any} [request]
 * @property {boolean} acknowledged
 * @property {boolean} required it must have survived
 * @property {number} [at] when it was acknowledged
 * @property {Result} [result]
 * @property {Event} [decision] that a feedback is about: what was shown
 */
/** @typedef {{ standings: Standings, history: Remembered[], pending: Event[] }} User */
/** @typedef {{ standings: Partial<Standings>, history?: readonly FeatureRecord[] }} Seen */
/** @typedef {{ included: Set<Event>, resets: string, standing: Standing }} Choice */

/** The policies in the order in which they choose. @type {PolicyName[]} */
const DECIDING = ['egreedy-v1', 'linucb-v1', 'egreedy-v2']
/** Of those of decisions the lines are written at once, of the others behind. @param {Event} event */
const isPull = ({ kind }) => kind === 'pull' || kind === 'decision'

/** @returns {Standings} */
const fresh = () => /** @type {Standings} */ (Object.fromEntries(POLICIES.map((policy) => [policy, start(policy)])))

export class Oracle {
  /** @type {Map<string, User>} */
  users = new Map()
  /** @type {Event[]} not settled yet */
  open = []
  #number = 0
  #life = 0
  /** @type {Event[]} the decisions of this life */
  #decisions = []
  /** @type {(number | undefined)[]} when each life ended */
  #ends = []
  /** Calls of rewards and resets that returned. */
  acknowledged = { rewards: 0, resets: 0, pulls: 0, decisions: 0, feedback: 0 }
  /** What was acknowledged, need not have survived, and did not. */
  lost = { rewards: 0, resets: 0, pulls: 0, decisions: 0, feedback: 0, oldestPullMs: 0 }

  /** @param {{ historySize?: number, resetsHoldTogether?: boolean }} [settings] a power cut may leave a reset that nobody flushed under one policy and not under another */
  constructor({ historySize = 100, resetsHoldTogether = true } = {}) {
    this.historySize = historySize
    this.resetsHoldTogether = resetsHoldTogether
  }

  /** Another one that knows the same. */
  twin() {
    const { historySize, resetsHoldTogether } = this
    return Object.assign(new Oracle({ historySize, resetsHoldTogether }), structuredClone({ users: this.users, open: this.open, acknowledged: this.acknowledged, lost: this.lost }))
  }

  /** @param {string} userId */
  of(userId) {
    let user = this.users.get(userId)
    if (user === undefined) this.users.set(userId, (user = { standings: fresh(), history: [], pending: [] }))
    return user
  }

  /**
   * A call is about to be made.
   * @param {import('./script.mjs').Call} call
   * @returns {Event[]}
   */
  intend(call) {
    if (call.kind === 'recommend' || call.kind === 'feedback') return this.#intendDecision(call)
    const requests = call.kind === 'scoreMany' ? call.requests : [call.kind === 'reset' ? { userId: call.userId } : call.request]
    const kind = call.kind === 'reward' || call.kind === 'reset' ? call.kind : 'pull'
    return requests.map((request) => {
      const { userId, policy } = /** @type {any} */ (request)
      return this.#add({ kind, userId, policy, request })
    })
  }

  /** @param {Extract<import('./script.mjs').Call, { kind: 'recommend' | 'feedback' }>} call */
  #intendDecision(call) {
    if (call.kind === 'recommend') {
      const { request } = call
      const events = DECIDING.map((policy) => this.#add({ kind: 'decision', userId: request.userId, policy, request }))
      this.#decisions.push(/** @type {Event} */ (events[0]))
      return events
    }
    const decision = /** @type {Event} */ (this.#decisions[call.decision])
    return DECIDING.map((policy) => this.#add({ kind: 'feedback', userId: decision.userId, policy, request: call, decision }))
  }

  /** @param {Pick<Event, 'kind' | 'userId' | 'policy' | 'request' | 'decision'>} what */
  #add(what) {
    /** @type {Event} */
    const event = { ...what, number: this.#number++, life: this.#life, acknowledged: false, required: false }
    this.of(event.userId).pending.push(event)
    this.open.push(event)
    return event
  }

  /** @param {Event} event @param {Result} [result] @param {number} [at] */
  acknowledge(event, result, at) {
    event.acknowledged = true
    event.result = result
    event.at = at
    this.acknowledged[plural(event)]++
  }

  /** It threw: it must not be there. @param {Event} event */
  refuse(event) {
    const { pending } = this.of(event.userId)
    pending.splice(pending.indexOf(event), 1)
    this.open.splice(this.open.indexOf(event), 1)
  }

  /**
   * The engine's process is gone.
   * @param {(event: Event) => boolean} survives of those that were acknowledged
   * @param {number} [at] when it went
   */
  endLife(survives, at) {
    for (const event of this.open) if (event.life === this.#life) event.required = event.acknowledged && survives(event)
    this.#ends[this.#life] = at
    this.#life++
    this.#decisions = []
  }

  /** Users with calls since they were last settled. */
  touched() {
    return [...new Set(this.open.map(({ userId }) => userId))]
  }

  /**
   * Holds what is seen of a user against what must be, and takes it over.
   * @param {string} userId
   * @param {Seen} seen
   * @returns {string | undefined} what is wrong
   */
  settle(userId, seen) {
    const user = this.of(userId)
    const resets = user.pending.filter(({ kind }) => kind === 'reset')
    /** @type {Choice[][]} */
    const choices = []
    for (const policy of POLICIES) {
      const events = user.pending.filter((event) => event.kind === 'reset' || event.policy === policy)
      const standing = seen.standings[policy] ?? start(policy)
      const found = choose(user.standings[policy], events, policy, standing)
      if (typeof found === 'string') return `${JSON.stringify(userId)} ${policy}: ${found}`
      choices.push(found)
    }
    let wrong = 'a reset under one policy and not under another'
    for (const [one, two, three] of product(choices)) {
      const chosen = [one, two, three].map((choice) => /** @type {Choice} */ (choice))
      if (this.resetsHoldTogether && new Set(chosen.map((choice) => choice.resets)).size > 1) continue
      const included = new Set(chosen.flatMap((choice) => [...choice.included]))
      const isApart = new Set(chosen.map((choice) => choice.resets)).size > 1
      const history = isApart ? undefined : this.#historyOf(user, included, resets)
      const problem = history === undefined || seen.history === undefined ? undefined : historyDifference(seen.history, history, this.historySize)
      if (problem !== undefined) {
        wrong = problem
        continue
      }
      for (const [i, policy] of POLICIES.entries()) user.standings[policy] = copy(/** @type {Choice} */ (chosen[i]).standing)
      for (const event of user.pending) {
        if (!event.acknowledged || included.has(event)) continue
        this.lost[plural(event)]++
        const age = (this.#ends[event.life] ?? NaN) - (event.at ?? NaN)
        if (event.kind === 'pull' && age > this.lost.oldestPullMs) this.lost.oldestPullMs = Math.round(age * 10) / 10
      }
      user.history = seen.history?.map((record) => ({ ...record, request: undefined })) ?? history?.expected ?? []
      user.pending = []
      return undefined
    }
    return `${JSON.stringify(userId)}: ${wrong}`
  }

  /** After a pass over all that were touched. */
  settled() {
    this.open = this.open.filter((event) => this.of(event.userId).pending.includes(event))
  }

  /** @param {User} user @param {Set<Event>} included @param {Event[]} resets */
  #historyOf(user, included, resets) {
    const last = resets.findLast((event) => included.has(event))?.number ?? -1
    const pulls = user.pending.filter((event) => isPull(event) && event.number > last)
    const kept = pulls.filter((event) => included.has(event)).map(remember)
    return { expected: [...(last === -1 ? user.history : []), ...kept], lost: pulls.length - kept.length }
  }
}

/** @param {Event} event */
const plural = ({ kind }) => /** @type {const} */ ({ reward: 'rewards', reset: 'resets', pull: 'pulls', decision: 'decisions', feedback: 'feedback' })[kind]

/** @param {Event} event @returns {Remembered} */
function remember({ request, policy, result }) {
  const tipId = result === undefined ? undefined : request.candidates[result.index].id
  return { tipId, policy: /** @type {PolicyName} */ (policy), score: result?.score, exploring: result?.exploring, request, index: result?.index }
}

/** @template T @param {T[][]} lists @returns {Generator<T[]>} */
function* product([first, ...rest]) {
  if (first === undefined) yield []
  else for (const item of first) for (const others of product(rest)) yield [item, ...others]
}

/**
 * All ways in which calls of the one policy may have survived that lead to what is seen, or why there is none. What need not
 * have survived did so up to some call of its life and not from there on, separately for pulls and for what is learned: pulls
 * are written behind.
 * @param {Standing} before
 * @param {Event[]} events
 * @param {PolicyName} policy
 * @param {Standing} seen
 * @returns {Choice[] | string}
 */
function choose(before, events, policy, seen) {
  const definite = events.filter((event) => !isPull(event))
  const pulls = events.filter(({ kind }) => kind === 'pull')
  const decisions = events.filter(({ kind }) => kind === 'decision')
  /** @type {Choice[]} */
  const choices = []
  let nearest = ''
  for (const left of omissions(definite)) {
    const kept = definite.filter((event) => !left.has(event))
    const lastReset = kept.findLastIndex(({ kind }) => kind === 'reset')
    const since = lastReset === -1 ? -1 : /** @type {Event} */ (kept[lastReset]).number
    const lessons = lessonsOf(kept.slice(lastReset + 1), since)
    const count = (lastReset === -1 ? before.rewards : 0) + lessons.filter(({ replaced }) => replaced === undefined).length
    if (count !== seen.rewards) {
      nearest ||= `${seen.rewards} rewards instead of ${count}${definite.some(({ required }) => !required) ? ' or another number' : ''}`
      continue
    }
    const standing = lastReset === -1 ? copy(before) : start(policy)
    for (const { request, replaced } of lessons) {
      if (replaced === undefined) learn(standing, policy, request)
      else revise(standing, policy, request, replaced)
    }
    const wrong = learnedDifference(seen, standing)
    if (wrong !== undefined) {
      nearest = wrong
      continue
    }
    const counted = pulls.filter(({ number }) => number > since)
    const resets = kept.flatMap(({ kind, required, number }) => (kind === 'reset' && !required ? [number] : [])).join()
    const decided = decisions.filter(({ number }) => number > since)
    for (const missing of product([[...omissions(counted)], [...omissions(decided)]])) {
      const keptPulls = [...counted, ...decided].filter((event) => missing.every((gone) => !gone.has(event)))
      const { pulls: total, explored, unknown } = countPulls(standing, keptPulls, policy)
      if (total !== seen.pulls || seen.explored < explored || seen.explored > explored + unknown) {
        nearest = `${seen.pulls} pulls, ${seen.explored} of them explored, instead of ${total}, ${explored}; the last rewards are right`
        continue
      }
      choices.push({ included: new Set([...kept, ...[...pulls, ...decisions].filter(({ number }) => number <= since), ...keptPulls]), resets, standing: { ...standing, pulls: seen.pulls, explored: seen.explored } })
    }
  }
  return choices.length > 0 ? choices : nearest || 'nothing fits'
}

/**
 * What is learned from rewards and feedback, in order: of several reactions to a decision each that counts replaces the one before.
 * @param {Event[]} events @param {number} since the number of the reset that they come after
 */
function lessonsOf(events, since) {
  /** @type {{ request: any, replaced: number | undefined }[]} */
  const lessons = []
  /** @type {Map<Event, { at: number, reward: number }>} */
  const known = new Map()
  for (const { kind, request, decision } of events) {
    if (kind === 'reward') lessons.push({ request, replaced: undefined })
    if (decision?.result === undefined || decision.number < since) continue
    const { at, reward } = request
    const before = known.get(decision)
    if (before !== undefined && (at < before.at || (at === before.at && reward === before.reward))) continue
    known.set(decision, { at, reward })
    const { candidates, context, profileFeatures } = decision.request
    const shown = { features: { ...candidates[decision.result.index].features, hourOfDay: context.hourOfDay }, dayOfWeek: context.dayOfWeek, profileFeatures, reward }
    lessons.push({ request: shown, replaced: before?.reward })
  }
  return lessons
}

/** @param {Standing} from @param {Event[]} kept @param {PolicyName} policy */
function countPulls(from, kept, policy) {
  const explored = kept.filter(({ result }) => result?.exploring && policy !== 'linucb-v1').length
  return { pulls: from.pulls + kept.length, explored: from.explored + explored, unknown: kept.filter(({ result }) => result?.exploring === undefined).length }
}

/**
 * Sets of events that may be missing: of each life, the optional ones from some on. Fewest first.
 * @param {Event[]} events
 * @returns {Generator<Set<Event>>}
 */
function* omissions(events) {
  const optional = events.filter(({ required }) => !required)
  /** @type {Event[][]} */
  const lives = []
  for (const event of optional) (lives[event.life] ??= []).push(event)
  const ends = Object.values(lives).map((own) => Array.from({ length: own.length + 1 }, (_, missing) => own.slice(own.length - missing)))
  for (const missing of product(ends)) yield new Set(missing.flat())
}

/**
 * Of the last pulls all are there but as many as are lost: what a lost pull had pushed out is not brought back. The files of a
 * user's policies are written one after the other, so what is pushed out of one may be older or younger than what is in another.
 * @param {readonly FeatureRecord[]} actual
 * @param {{ expected: Remembered[], lost: number }} history
 * @param {number} historySize
 */
function historyDifference(actual, { expected, lost }, historySize) {
  /** @type {Set<number>} */
  const found = new Set()
  let at = -1
  for (const record of actual) {
    const before = at
    do at++
    while (at < expected.length && !isSame(record, /** @type {Remembered} */ (expected[at])))
    if (at === expected.length) return `${record.tipId} (${record.policy}) in the history, wrong or after ${expected[before]?.tipId}: ${names(actual)} instead of ${names(expected.slice(-historySize))}`
    found.add(at)
  }
  const first = Math.max(0, expected.length - historySize)
  const missing = expected.filter((_pull, i) => i >= first && !found.has(i))
  if (actual.length <= historySize && missing.length <= lost) return undefined
  return `a history of ${actual.length} without ${names(missing)}, with ${lost} pulls lost: ${names(actual)}`
}

/** @param {readonly { tipId: string | undefined, policy: PolicyName }[]} pulls */
const names = (pulls) => pulls.map(({ tipId, policy }) => `${tipId} ${policy}`).join(', ')

/** @param {FeatureRecord} record @param {Remembered} pull */
function isSame(record, { tipId, policy, score, exploring, request, index }) {
  if (record.policy !== policy || (tipId !== undefined && record.tipId !== tipId)) return false
  if (score !== undefined && record.score !== score) return false
  if (exploring !== undefined && record.exploring !== exploring) return false
  if (request === undefined || index === undefined) return true
  const { isOverdue, taskAgeDays, priority } = request.candidates[index].features
  const { hourOfDay, dayOfWeek } = request.context
  const { features } = record
  const hasSame = features.isOverdue === isOverdue && features.taskAgeDays === taskAgeDays && features.priority === priority && features.hourOfDay === hourOfDay
  return hasSame && (features.dayOfWeek ?? dayOfWeek) === dayOfWeek
}
