// @ts-check
// Engines with little room in memory.

import { BanditError } from '@oo/bandits'

const PATIENCE_MS = 60_000

/**
 * Calls again while there is no room for the user: an engine waits 100 ms until others are written, which a busy machine can take longer
 * for. Nothing was applied then.
 * @template T @param {() => T} call @returns {T}
 */
export function withRoom(call) {
  for (const deadline = performance.now() + PATIENCE_MS; ;) {
    try {
      return call()
    } catch (error) {
      if (!(error instanceof BanditError && error.code === 'ERR_BACKPRESSURE') || performance.now() > deadline) throw error
    }
  }
}
