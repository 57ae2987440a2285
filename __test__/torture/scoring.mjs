// @ts-check
// How long score() takes while something else goes on.

import { setTimeout as sleep } from 'node:timers/promises'

const CANDIDATES = Array.from({ length: 10 }, (_candidate, i) => ({ id: `c${i}`, features: { isOverdue: i % 2 === 0, taskAgeDays: i, priority: 1 + (i % 4) } }))
/** Calls one after the other, then a millisecond for everything else. */
const BURST = 50

/** The durations of score() in µs, called until it is over. @param {import('@oo/bandits').Bandits} bandits @param {() => boolean} isOver */
export async function scoreUntil(bandits, isOver) {
  /** @type {number[]} */
  const durations = []
  for (let call = 0; !isOver(); ) {
    for (let i = 0; i < BURST; i++, call++) {
      const from = process.hrtime.bigint()
      bandits.score({ userId: `scored ${call % 50}`, candidates: CANDIDATES })
      durations.push(Number(process.hrtime.bigint() - from) / 1000)
    }
    await sleep(1)
  }
  durations.sort((a, b) => a - b)
  /** @param {number} share */
  const at = (share) => Number((durations[Math.floor(durations.length * share)] ?? NaN).toFixed(1))
  return { calls: durations.length, p50: at(0.5), p99: at(0.99) }
}

/** Whether so much time has passed from now on. @param {number} ms */
export function after(ms) {
  const from = performance.now()
  return () => performance.now() - from > ms
}
