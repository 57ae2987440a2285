// @ts-check
// What is measured against whom, and the floors it has to reach.

/** @typedef {import('../../index.d.ts').PolicyName} PolicyName */
/**
 * @typedef {object} Scenario
 * @property {string} group heading in the report
 * @property {string} id
 * @property {'score' | 'scoreMany' | 'reward' | 'service'} operation
 * @property {PolicyName} policy
 * @property {number} [n] candidates
 * @property {number} users drawn at random
 * @property {boolean} [prepared] the package gets `prepare()`d sets
 * @property {string[]} opponents
 * @property {Record<string, number>} floors by opponent
 */

const IN_MEMORY = ['typical', 'typical-bare', 'expert', 'expert-bare']
/** @type {[PolicyName, number][]} */
const POLICIES = [['linucb-v1', 5], ['egreedy-v1', 7], ['egreedy-v2', 12]]
const SIZES = [1, 10, 100, 1000]
const MANY = 10_000

/** Floors for ordinary objects, by policy and n. @param {PolicyName} policy @param {number} n @returns {Record<string, number>} */
function scoreFloors(policy, n) {
  const linucb = policy === 'linucb-v1'
  if (n === 10) return linucb ? { typical: 4, expert: 0.9 } : { expert: 0.7 }
  if (n === 100) return linucb ? { typical: 8, expert: 1.2 } : { expert: 0.9 }
  return {}
}

/** @returns {Scenario[]} */
function everything() {
  /** @type {Scenario[]} */
  const list = []
  for (const [policy, d] of POLICIES) {
    const name = `${policy} (d ${d})`
    for (const n of SIZES)
      list.push({
        group: 'score, ordinary objects, one warm user', id: `${name}, n ${n}`, operation: 'score', policy, n, users: 1,
        opponents: IN_MEMORY, floors: scoreFloors(policy, n),
      })
    for (const n of SIZES)
      list.push({
        group: 'score, ordinary objects, 10,000 users in random order', id: `${name}, n ${n}`, operation: 'score', policy, n,
        users: MANY, opponents: IN_MEMORY, floors: scoreFloors(policy, n),
      })
    for (const n of SIZES)
      list.push({
        group: 'score, the package with a prepared set', id: `${name}, n ${n}`, operation: 'score', policy, n, users: 1,
        prepared: true, opponents: ['typical', 'expert', 'expert-prepared'], floors: { expert: 1 },
      })
    for (const n of [1, 10, 100])
      list.push({
        group: 'scoreMany, 32 requests of 32 users a call (time per request)', id: `${name}, n ${n}`, operation: 'scoreMany', policy,
        n, users: 32, opponents: IN_MEMORY, floors: { expert: 1 },
      })
    list.push({
      group: 'reward, one warm user', id: name, operation: 'reward', policy, users: 1, opponents: IN_MEMORY, floors: { expert: 1 },
    })
    list.push({
      group: 'reward, 10,000 users in random order', id: name, operation: 'reward', policy, users: MANY, opponents: IN_MEMORY,
      floors: { expert: 1 },
    })
    list.push({
      group: 'score, against plain JavaScript that persists', id: `${name}, n 10`, operation: 'score', policy, n: 10, users: 1,
      opponents: ['sqlite', 'file'], floors: { sqlite: 10, file: 10 },
    })
    list.push({
      group: 'reward, against plain JavaScript that persists', id: name, operation: 'reward', policy, users: 1,
      opponents: ['sqlite', 'file'], floors: { sqlite: 10, file: 10 },
    })
    list.push({
      group: 'score, against the FastAPI service (p50)', id: `${name}, n 10`, operation: 'service', policy, n: 10, users: 1,
      opponents: ['service'], floors: { service: 3000 },
    })
  }
  return list
}

export const SCENARIOS = everything()

/** For `--quick`: one of each kind, to prove that the bench works. */
export const QUICK_SCENARIOS = SCENARIOS.filter(
  ({ policy, n, users, operation }) => policy === (operation === 'scoreMany' ? 'egreedy-v2' : 'linucb-v1') && (n ?? 10) === 10 && users <= 32,
)
