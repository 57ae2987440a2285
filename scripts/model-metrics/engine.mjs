// @ts-check
// Engines to throw away: each on a directory of its own that goes away with it.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Bandits } from '@oo/bandits'

/** @import { PolicyName } from '@oo/bandits' */

/** @type {readonly PolicyName[]} */
export const POLICIES = ['linucb-v1', 'egreedy-v1', 'egreedy-v2']
export const EPSILON = 0.1

/**
 * An engine for everything about one policy; users are reset and used again, which spares the disk thousands of files.
 *
 * Everything that could depend on the surroundings is an option here, so that an environment variable changes no figure. Without
 * the interaction log: nothing that is measured reads it.
 * @template T
 * @param {PolicyName} policy
 * @param {number} seed of the exploration
 * @param {(bandits: Bandits) => T | Promise<T>} use
 * @returns {Promise<T>}
 */
export async function withEngine(policy, seed, use) {
  const stateDir = mkdtempSync(join(tmpdir(), 'oo-bandits-metrics-'))
  try {
    const bandits = Bandits.open({ stateDir, seed, activePolicy: policy, log: 'off', historySize: 0, nats: { url: '' } })
    try {
      return await use(bandits)
    } finally {
      await bandits.close()
    }
  } finally {
    rmSync(stateDir, { recursive: true, force: true })
  }
}

/**
 * The candidate that the policy thinks best. An ε-greedy policy says so by a propensity over one half, and is asked until it does:
 * scoring changes nothing that is learned.
 * @param {Bandits} bandits
 * @param {Parameters<Bandits['score']>[0]} request
 */
export function bestIndex(bandits, request) {
  for (;;) {
    const { index, propensity } = bandits.score(request)
    if (propensity > 0.5) return index
  }
}
