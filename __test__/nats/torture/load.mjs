// @ts-check
// Messages in a random order of their times, published by several at once through whatever the servers go through, and what has to
// be in the sync files afterwards.

import { random } from '../../bench/workload.mjs'
import { SYNCED, THEN } from '../../support/bus.mjs'

/** @typedef {import('../../support/nats-admin.mjs').Admin} Admin */

export class Load {
  /** Of each user the newest event: by its time, then by its number in the stream. @type {Map<string, { ts: number, seq: number, i: number }>} */
  newest = new Map()
  published = 0

  /** @param {{ messages: number, users: number, seed: number }} settings */
  constructor({ messages, users, seed }) {
    this.messages = messages
    this.users = users
    this.rng = random(seed)
  }

  /**
   * Resolves when streams have so many messages, and more for as long as somebody wants more. With `perSecond` it takes its time.
   * @param {Admin} admin
   * @param {{ lanes?: number, perSecond?: number, isEnough?: () => boolean }} [pace]
   */
  async publish(admin, { lanes = 16, perSecond = Infinity, isEnough = () => true } = {}) {
    const from = performance.now()
    let next = 0
    const lane = async () => {
      for (let i = next++; i < this.messages || !isEnough(); i = next++) {
        const wait = (i / perSecond) * 1000 - (performance.now() - from)
        if (wait > 1) await new Promise((resolve) => { setTimeout(resolve, wait) })
        const event = { user_id: `user ${Math.floor(this.rng() * this.users)}`, ts: THEN + Math.floor(this.rng() * 1e6), i }
        const seq = await admin.publish(SYNCED, event, { deadlineMs: 120_000 })
        this.#note(event, seq)
        this.published++
      }
    }
    await Promise.all(Array.from({ length: lanes }, lane))
  }

  /** @param {{ user_id: string, ts: number, i: number }} event @param {number} seq */
  #note({ user_id: userId, ts, i }, seq) {
    const newest = this.newest.get(userId)
    if (newest === undefined || ts > newest.ts || (ts === newest.ts && seq > newest.seq)) this.newest.set(userId, { ts, seq, i })
  }

  /** What differs from what the sync files say. @param {Map<string, import('@oo/bandits').SyncState>} syncs */
  problemsOf(syncs) {
    const problems = []
    for (const [userId, { ts, seq, i }] of this.newest) {
      const state = syncs.get(userId)
      const says = state && JSON.stringify([Date.parse(state.ts), state.streamSeq, state.data['i']])
      if (says !== JSON.stringify([ts, seq, i])) problems.push(`${userId}: ${says ?? 'no file'} in place of ${JSON.stringify([ts, seq, i])}`)
    }
    for (const userId of syncs.keys()) if (!this.newest.has(userId)) problems.push(`${userId}: a file of nobody`)
    return problems
  }
}
