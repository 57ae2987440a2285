// @ts-check
// What a policy knows of a user is folded into a few numbers per request and remembered by each thread's way to the engine: after whatever
// happens to the user, an old way answers as one that has remembered nothing.

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { Bandits } from '@oo/bandits'
import { chance } from './support/chance.mjs'
import { POLICIES } from './support/standing.mjs'
import { emptyDirectory, openEngine } from './support/state-dir.mjs'

/** @typedef {{ old: Bandits, elsewhere: Bandits, userId: string, decisions: Map<string, string[]>, pick: <T>(of: readonly T[]) => T }} World */

const USERS = ['a', 'b', 'c']
const REACTIONS = [-1, -0.25, 0.5, 1]
/** So few moments and profiles that they come again while they are remembered. */
const REQUESTS = [
  { context: { hourOfDay: 3, dayOfWeek: 1 } },
  { context: { hourOfDay: 3, dayOfWeek: 2 }, profileFeatures: { completionRate30d: 0.25 } },
  { context: { hourOfDay: 16, dayOfWeek: 2 }, profileFeatures: { completionRate30d: 0.75, tipVolume30d: 12 } },
]
const FEATURES = [{ priority: 2, taskAgeDays: 3, isOverdue: true }, { priority: 4, hourOfDay: 16 }]

/** @param {Bandits} bandits @param {World} world */
const learn = (bandits, { userId, pick }) => {
  bandits.reward({ userId, tipId: 't', reward: pick(REACTIONS), features: pick(/** @type {const} */ (FEATURES)), policy: pick(POLICIES), dayOfWeek: pick([1, 2]) })
}

/** @type {Record<string, (world: World) => unknown>} */
const HAPPENINGS = {
  'is rewarded': (world) => learn(world.old, world),
  'is rewarded on another way': (world) => learn(world.elsewhere, world),
  'reacts to a new decision': ({ old, userId, decisions, pick }) => {
    const { decisionId } = old.recommend({ userId, candidates: [{ id: 't', features: { priority: 3 } }], ...pick(REQUESTS) })
    decisions.get(userId)?.push(decisionId)
    old.feedback({ decisionId, reward: pick(REACTIONS) })
  },
  'thinks again about an old one': ({ elsewhere, userId, decisions, pick }) => {
    const known = decisions.get(userId) ?? []
    if (known.length > 0) elsewhere.feedback({ decisionId: pick(known), reward: pick(REACTIONS) })
  },
  'is scored': ({ old, userId, pick }) => old.score({ userId, candidates: [{ id: 't' }], policy: pick(POLICIES), ...pick(REQUESTS) }),
  'is reset': ({ elsewhere, userId, decisions, pick }) => {
    if (pick([true, false, false])) {
      elsewhere.reset(userId)
      decisions.set(userId, [])
    }
  },
  'is erased': async ({ old, userId, decisions, pick }) => {
    if (pick([true, false, false])) {
      await old.erase(userId)
      decisions.set(userId, [])
    }
  },
  'leaves memory and comes back': async ({ elsewhere, userId }) => {
    await elsewhere.checkpoint()
    for (const other of ['x', 'y', 'z']) elsewhere.score({ userId: `${other}-${userId}`, candidates: [{ id: 't' }] })
    await elsewhere.checkpoint()
  },
}

for (const seed of [1, 2, 3, 4]) {
  test(`whatever happens, nothing is answered from what was folded before; seed ${seed}`, async (t) => {
    const { below } = chance(seed)
    /** @template T @param {readonly T[]} of @returns {T} */
    const pick = (of) => /** @type {T} */ (of[below(of.length)])
    const options = { stateDir: emptyDirectory(t), maxHotUsers: 3 }
    const [old, elsewhere] = [openEngine(t, options), openEngine(t, options)]
    const decisions = new Map(USERS.map((userId) => [userId, /** @type {string[]} */ ([])]))
    /** @type {Set<number>} */
    const answers = new Set()
    for (let step = 0; step < 300; step++) {
      const [userId, what] = [pick(USERS), pick(Object.keys(HAPPENINGS))]
      await HAPPENINGS[what]?.({ old, elsewhere, userId, decisions, pick })
      const fresh = Bandits.open({ seed: 1, ...options })
      for (const policy of POLICIES) {
        for (const [r, request] of REQUESTS.entries()) {
          // Of one candidate, whose score is the same whether chance chose it or not.
          const scored = (/** @type {Bandits} */ bandits) => bandits.score({ userId, candidates: [{ id: 't', features: { priority: 2 } }], policy, ...request }).score
          const [remembered, afresh] = [scored(old), scored(fresh)]
          assert.equal(remembered, afresh, `step ${step}, user ${userId} ${what}, ${policy}, request ${r}`)
          answers.add(afresh)
        }
      }
      await fresh.close()
    }
    assert.ok(answers.size > 300, `only ${answers.size} different answers`)
  })
}
