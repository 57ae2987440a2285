// @ts-check
// Everything that can be seen of users in an engine, to compare before and after.

/** @type {import('@oo/bandits').PolicyName[]} */
export const POLICIES = ['linucb-v1', 'egreedy-v1', 'egreedy-v2']

/**
 * @param {import('@oo/bandits').Bandits} bandits
 * @param {string[]} userIds
 */
export function standingOf(bandits, userIds) {
  return userIds.map((userId) => ({
    stats: POLICIES.map((policy) => bandits.stats(userId, policy)),
    history: bandits.features(userId).history,
  }))
}

/**
 * The same without times, which differ between two runs.
 * @param {import('@oo/bandits').Bandits} bandits
 * @param {string[]} userIds
 */
export function timelessStandingOf(bandits, userIds) {
  return standingOf(bandits, userIds).map(({ stats, history }) => ({
    stats: stats.map(({ lastUpdated: _time, ...rest }) => rest),
    history: history.map(({ ts: _time, ...rest }) => rest),
  }))
}

/**
 * Rewards a tip with given features once.
 * @param {import('@oo/bandits').Bandits} bandits
 * @param {string} userId
 * @param {Partial<import('@oo/bandits').RewardRequest>} [more]
 */
export function rewardOnce(bandits, userId, more = {}) {
  bandits.reward({ userId, tipId: 'tip', reward: 1, features: { priority: 4, hourOfDay: 0 }, ...more })
}
