// @ts-check
// The timed loops. Each engine gets a module instance of its own (`sampling.mjs?of=NAME`), so that its call site, like the
// one in a program that uses that engine alone, only ever sees that engine.

let turn = 0
let total = 0
/** Asked for at the end: what is computed is used. */
export const checksum = () => total

/** Each returns the milliseconds that it took. @type {Record<string, (engine: any, inputs: any, userIds: string[]) => number>} */
export const timed = {
  score(engine, { arrays, contexts, profiles, policy }, userIds) {
    const mask = arrays.length - 1
    let sum = 0
    const start = performance.now()
    for (let i = 0; i < userIds.length; i++) {
      const k = turn++
      const result = engine.score({
        userId: userIds[i], candidates: arrays[k & mask], context: contexts[k & 63], profileFeatures: profiles[k & 63], policy,
      })
      sum += result.index + result.score + result.propensity
    }
    const elapsed = performance.now() - start
    total += sum
    return elapsed
  },

  scoreMany(engine, { arrays, contexts, profiles, policy, batch }, userIds) {
    const mask = arrays.length - 1
    let sum = 0
    const start = performance.now()
    for (let i = 0; i < userIds.length; ) {
      const requests = []
      for (let j = 0; j < batch; j++) {
        const k = turn++
        requests.push({
          userId: userIds[i++], candidates: arrays[k & mask], context: contexts[k & 63], profileFeatures: profiles[k & 63], policy,
        })
      }
      const results = engine.scoreMany(requests)
      sum += results[0].index + results[batch - 1].score
    }
    const elapsed = performance.now() - start
    total += sum
    return elapsed
  },

  reward(engine, { rewards, profiles, policy }, userIds) {
    const mask = rewards.length - 1
    let sum = 0
    const start = performance.now()
    for (let i = 0; i < userIds.length; i++) {
      const k = turn++
      const { tipId, reward, features, dayOfWeek } = rewards[k & mask]
      if (engine.reward({ userId: userIds[i], tipId, reward, features, dayOfWeek, profileFeatures: profiles[k & 63], policy }).ok) sum++
    }
    const elapsed = performance.now() - start
    total += sum
    return elapsed
  },
}
