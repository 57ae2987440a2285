// @ts-check
// Waiting for what another process or thread does, where nothing announces it.

import { setTimeout as sleep } from 'node:timers/promises'

/**
 * Resolves with what `condition` returns as soon as that is neither false nor undefined.
 * @template T
 * @param {() => T | false | undefined | Promise<T | false | undefined>} condition
 * @param {string} what for the message
 * @param {number} [deadlineMs]
 * @returns {Promise<T>}
 */
export async function until(condition, what, deadlineMs = 60_000) {
  const deadline = performance.now() + deadlineMs
  for (;;) {
    const value = await condition()
    if (value !== false && value !== undefined) return value
    if (performance.now() > deadline) throw new Error(`not within ${deadlineMs} ms: ${what}`)
    await sleep(5)
  }
}
