// @ts-check
// What a scenario did to the service, kept by itself: what every read has to say follows from it.

import { POLICIES } from '../support/standing.mjs'

/** @typedef {import('@oo/bandits').PolicyName} PolicyName */
/** @typedef {import('@oo/bandits').Action} Action */
/** @typedef {import('@oo/bandits').Recommendation} Recommendation */
/** @typedef {import('@oo/bandits').RecommendRequest & { candidates: import('@oo/bandits').Candidate[] }} Request */
/** @typedef {{ action: Action | null, reward: number, at: number | undefined }} Reaction */
/** @typedef {Recommendation & { request: Request, final?: Reaction, learning: PolicyName[] }} Decided */

export const WORTH = /** @type {const} */ ({ done: 1, helpful: 0.5, snooze: 0, not_helpful: -0.5, dismiss: -1 })

export class WhatHappened {
  /** @type {Decided[]} in order, without those of people who were erased */
  decided = []
  /** @type {Map<string, number>} how many decisions there were at each one's last reset */
  #resets = new Map()

  /** @param {Request} request @param {Recommendation} answer */
  decide(request, answer) {
    const decided = { ...answer, request, learning: [] }
    this.decided.push(decided)
    return decided
  }

  /** @param {string} userId */
  reset(userId) {
    this.#resets.set(userId, this.decided.length)
  }

  /** @param {string} userId */
  erase(userId) {
    this.decided = this.decided.filter(({ request }) => request.userId !== userId)
  }

  /** Those that still count. @param {string} userId */
  of(userId) {
    return this.decided.filter(({ request }, i) => request.userId === userId && i >= (this.#resets.get(userId) ?? 0))
  }

  get users() {
    return [...new Set(this.decided.map(({ request }) => request.userId))]
  }

  /** Counts of one user. @param {string} userId @param {PolicyName} policy */
  counts(userId, policy) {
    const own = this.of(userId)
    const learned = own.filter(({ learning }) => learning.includes(policy))
    return { pulls: own.filter((decided) => evaluated(decided).includes(policy)).length, rewardCount: learned.length, cumulativeReward: sum(learned) }
  }

  /** What came of some decisions. @param {(decided: Decided) => boolean} [which] */
  summary(which = () => true) {
    const some = this.decided.filter(which)
    const known = some.filter(({ final }) => final !== undefined)
    /** @type {Record<string, number>} */
    const actions = {}
    for (const { final } of known) if (final?.action) actions[final.action] = (actions[final.action] ?? 0) + 1
    return { decisions: some.length, feedback: known.length, meanReward: known.length === 0 ? null : sum(known) / known.length, actions }
  }
}

/** Which policies chose. @param {Decided} decided */
export const evaluated = ({ policy, shadows }) => [policy, ...shadows.map((shadow) => shadow.policy)].toSorted((a, b) => POLICIES.indexOf(a) - POLICIES.indexOf(b))

/** @param {Decided[]} decided */
const sum = (decided) => decided.reduce((total, { final }) => total + (final?.reward ?? 0), 0)
