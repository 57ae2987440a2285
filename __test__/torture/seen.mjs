// @ts-check
// Everybody's numbers and histories as an engine gives them, held against standings.

import { POLICIES } from './features.mjs'
import { keyOf, readStateFiles } from './directory.mjs'
import { difference, start, statsProblems } from './standing.mjs'

/** @typedef {import('./standing.mjs').Standing} Standing */

/**
 * What is wrong in the engine's words: counts, sums of rewards, and whether θ solves Aθ = b.
 * @param {import('@oo/bandits').Bandits} bandits
 * @param {readonly string[]} users
 * @param {Map<string, Standing>} standings those missing stand at the start
 */
export function statsDifferences(bandits, users, standings) {
  return users.flatMap((userId) => POLICIES.flatMap((policy) => {
    const key = keyOf(userId, policy)
    return statsProblems(bandits.stats(userId, policy), standings.get(key) ?? start(policy), key)
  }))
}

/**
 * What is wrong in the files, to the last bit.
 * @param {string} stateDir
 * @param {readonly string[]} users
 * @param {Map<string, Standing>} standings
 */
export function fileDifferences(stateDir, users, standings) {
  const files = readStateFiles(stateDir)
  return users.flatMap((userId) => POLICIES.flatMap((policy) => {
    const key = keyOf(userId, policy)
    const wrong = difference(files.get(key)?.standing ?? start(policy), standings.get(key) ?? start(policy))
    return wrong === undefined ? [] : [`${key}: ${wrong} (${files.get(key)?.name ?? 'no file'})`]
  }))
}
