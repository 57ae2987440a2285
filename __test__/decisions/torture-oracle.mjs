// @ts-check
// What must be known of each user after decisions and reactions: it keeps, of each decision, the final reward alone, and learns from
// each of these once. What a call has to answer follows from it, too.

import { learn, start, close, difference } from '../torture/standing.mjs'
import { POLICIES } from '../torture/features.mjs'

/** @typedef {import('@oo/bandits').PolicyName} PolicyName */
/** @typedef {import('./torture-calls.mjs').Call} Call */
/** @typedef {Extract<Call, { kind: 'recommend' }>['request']} Request */
/** @typedef {{ userId: string, life: number, id: string | undefined, at: number | undefined, generation: number, shown: any, final?: { at: number, reward: number }, policies: PolicyName[] }} Decision */
/** @typedef {{ generation: number, pulls: Record<PolicyName, number>, decisions: Decision[] }} User */
/** @typedef {Record<PolicyName, { pulls: number, rewards: number, sum: number }>} Counts */

const none = () => /** @type {Record<PolicyName, number>} */ (Object.fromEntries(POLICIES.map((policy) => [policy, 0])))

export class Oracle {
  /** @type {Map<string, User>} */
  users = new Map()
  /** @type {Decision[]} by slot */
  decisions = []
  /** @type {PolicyName} */
  active = 'egreedy-v1'
  /** @type {Set<PolicyName>} */
  off = new Set()
  /** @type {Set<string>} since they were last looked at */
  touched = new Set()
  life = 0
  tally = { decisions: 0, applied: 0, revised: 0, ignored: 0, expired: 0, late: 0, resets: 0, changes: 0, refused: 0 }

  /** @param {string} userId */
  of(userId) {
    let user = this.users.get(userId)
    if (user === undefined) this.users.set(userId, (user = { generation: 0, pulls: none(), decisions: [] }))
    return user
  }

  enabled() {
    return POLICIES.filter((policy) => !this.off.has(policy))
  }

  /** Whom a call is about. @param {Call} call */
  userOf(call) {
    if (call.kind === 'recommend') return call.request.userId
    if (call.kind === 'feedback') return this.decisions[call.slot]?.userId
    return call.kind === 'reset' ? call.userId : undefined
  }

  /**
   * A decision was made; its id and time where they were told.
   * @param {Request} request @param {number} slot @param {{ id?: string, at?: number }} [told] @param {number} [index]
   */
  decide({ userId, candidates, context, profileFeatures }, slot, { id, at } = {}, index = 0) {
    const user = this.of(userId)
    for (const policy of this.enabled()) user.pulls[policy]++
    const shown = { features: { ...candidates[index]?.features, hourOfDay: context?.hourOfDay }, dayOfWeek: context?.dayOfWeek, profileFeatures }
    const decision = { userId, life: this.life, id, at, generation: user.generation, shown, policies: [] }
    this.decisions[slot] = decision
    user.decisions.push(decision)
    this.touched.add(userId)
    this.tally.decisions++
  }

  /**
   * What a reaction has to come to.
   * @param {Decision} decision @param {{ at: number, reward: number }} reaction
   */
  expect({ userId, generation, final, policies }, { at, reward }) {
    if (generation !== this.of(userId).generation) return 'r ERR_UNKNOWN_DECISION'
    if (final === undefined) return `f 1 0 ${this.enabled().toSorted()}`
    // Ties go to what came last; the same again is not another one.
    const applied = at > final.at || (at === final.at && reward !== final.reward)
    return `f ${Number(applied)} 1 ${policies.toSorted()}`
  }

  /** A reaction counts. @param {Decision} decision @param {{ at: number, reward: number }} reaction */
  react(decision, { at, reward }) {
    if (decision.final === undefined) decision.policies = this.enabled()
    else this.tally.revised++
    decision.final = { at, reward }
    this.touched.add(decision.userId)
    this.tally.applied++
    if (decision.life !== this.life) this.tally.late++
  }

  /** @param {string} userId */
  reset(userId) {
    const user = this.of(userId)
    user.generation++
    user.pulls = none()
    user.decisions = []
    this.touched.add(userId)
    this.tally.resets++
  }

  /** @param {PolicyName} policy @param {import('@oo/bandits').PolicyChange} change */
  change(policy, { mode, share }) {
    this.tally.changes++
    if (mode === 'off') this.off.add(policy)
    else this.off.delete(policy)
    if (mode === 'active' && share === undefined) this.active = policy
    if (mode === 'default' && policy === this.active) this.active = 'egreedy-v1'
    this.off.delete(this.active)
  }

  /** Which roles there are, for comparison. */
  roles() {
    return JSON.stringify([this.active, POLICIES.filter((policy) => this.off.has(policy))])
  }

  /** Final rewards, counted. @param {string} userId @returns {Counts} */
  counts(userId) {
    const { pulls, decisions } = this.of(userId)
    return /** @type {Counts} */ (Object.fromEntries(POLICIES.map((policy) => {
      const own = decisions.filter((decision) => decision.final !== undefined && decision.policies.includes(policy))
      return [policy, { pulls: pulls[policy], rewards: own.length, sum: own.reduce((sum, { final }) => sum + (final?.reward ?? 0), 0) }]
    })))
  }

  /** What differs from what `stats()` says of a user. @param {string} userId @param {Map<PolicyName, import('@oo/bandits').PolicyStats>} seen */
  statsDifference(userId, seen) {
    const counts = this.counts(userId)
    for (const policy of POLICIES) {
      const { pulls, rewards, sum } = counts[policy]
      const stats = seen.get(policy)
      if (stats?.pulls !== pulls || stats.rewardCount !== rewards || !close(stats.cumulativeReward, sum)) {
        return `${userId} ${policy}: ${stats?.pulls} pulls, ${stats?.rewardCount} rewards of ${stats?.cumulativeReward} instead of ${pulls}, ${rewards} of ${sum}`
      }
    }
    return undefined
  }

  /** What differs in A, b and counts from what a file says, 1e-9 allowed. @param {string} userId @param {PolicyName} policy @param {import('../torture/standing.mjs').Standing | undefined} file */
  fileDifference(userId, policy, file = start(policy)) {
    const standing = start(policy)
    const { pulls, decisions } = this.of(userId)
    standing.pulls = pulls[policy]
    standing.explored = file.explored
    for (const { shown, final, policies } of decisions) if (final !== undefined && policies.includes(policy)) learn(standing, policy, { ...shown, reward: final.reward })
    const wrong = difference(file, standing, close)
    return wrong === undefined ? undefined : `${userId} ${policy}: ${wrong}`
  }
}
