// @ts-check
// The timed loops of the paired bench. Each build gets a module instance of its own (`paired-calls.mjs?of=A`), so that its call sites only
// ever see that build.

let turn = 0
let total = 0
/** Asked for at the end: what is computed is used. */
export const checksum = () => total

/** @typedef {{ arrays: any[], contexts: any[], userIds: string[], rewards: any[] }} Inputs */
/** Each makes so many calls and returns the milliseconds that they took. @type {Record<string, (engine: any, inputs: Inputs, calls: number) => number>} */
export const timed = {
  score(engine, { arrays, contexts, userIds }, calls) {
    const start = performance.now()
    for (let i = 0; i < calls; i++) {
      const k = turn++
      total += engine.score({ userId: userIds[k & 63], candidates: arrays[k & (arrays.length - 1)], context: contexts[k & 63] }).index
    }
    return performance.now() - start
  },

  scoreMany(engine, { arrays, contexts, userIds }, calls) {
    const start = performance.now()
    for (let i = 0; i < calls; i++) {
      const requests = []
      for (let j = 0; j < 32; j++) {
        const k = turn++
        requests.push({ userId: userIds[k & 63], candidates: arrays[k & (arrays.length - 1)], context: contexts[k & 63] })
      }
      total += engine.scoreMany(requests)[31].index
    }
    return performance.now() - start
  },

  prepare(engine, { arrays }, calls) {
    const start = performance.now()
    for (let i = 0; i < calls; i++) total += engine.prepare(arrays[turn++ & (arrays.length - 1)]).length
    return performance.now() - start
  },

  recommend(engine, { arrays, contexts, userIds }, calls) {
    const start = performance.now()
    for (let i = 0; i < calls; i++) {
      const k = turn++
      total += engine.recommend({ userId: userIds[k & 63], candidates: arrays[k & (arrays.length - 1)], context: contexts[k & 63] }).index
    }
    return performance.now() - start
  },

  feedback(engine, { arrays, contexts, userIds }, calls) {
    const decided = []
    for (let i = 0; i < calls; i++) {
      const k = turn++
      decided.push(engine.recommend({ userId: userIds[k & 63], candidates: arrays[k & (arrays.length - 1)], context: contexts[k & 63] }).decisionId)
    }
    const start = performance.now()
    for (let i = 0; i < calls; i++) total += Number(engine.feedback({ decisionId: decided[i], action: 'done', userId: undefined }).applied)
    return performance.now() - start
  },

  reward(engine, { rewards, userIds }, calls) {
    const start = performance.now()
    for (let i = 0; i < calls; i++) {
      const k = turn++
      const { tipId, features } = rewards[k & 63]
      total += Number(engine.reward({ userId: userIds[k & 63], tipId, reward: 1, features, dayOfWeek: 2 }).ok)
    }
    return performance.now() - start
  },
}
