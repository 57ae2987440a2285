// @ts-check
// The child of erase.mjs: it learns about people and erases some of them, and says on descriptor 3 what it is about to do and
// what is done:  + USER rewarded   e USER about to erase   E USER erased   ! TEXT what must not happen

import { writeSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'

import { BanditError, Bandits } from '@oo/bandits'
import { random } from '../bench/workload.mjs'

/** @type {{ stateDir: string, seed: number, life: number, people: number, megabytes: number }} */
const { stateDir, seed, life, people, megabytes } = JSON.parse(process.argv[2] ?? '{}')
/** @param {string} word */
const say = (word) => writeSync(3, `${word}\n`)

/**
 * With so few users in memory, a disk that others keep busy makes them wait for each other longer than the engine has patience:
 * then nothing was applied, and the call is made again.
 * @template T @param {() => T | Promise<T>} call @returns {Promise<T>}
 */
async function patiently(call) {
  for (const deadline = performance.now() + 20_000; ; await sleep(5)) {
    try {
      return await call()
    } catch (error) {
      if (!(error instanceof BanditError && error.code === 'ERR_BACKPRESSURE') || performance.now() > deadline) throw error
    }
  }
}

try {
  const rng = random(seed)
  const bandits = Bandits.open({ stateDir, seed: 1, maxHotUsers: 20 })
  // Erased as well, now and then, so that all of it is written anew.
  const candidates = Array.from({ length: 40 }, (_, i) => ({ id: `task-${i}-${'x'.repeat(60)}` }))
  for (let n = 0; bandits.health().log.bytes < megabytes * 2 ** 20; n++) {
    for (let i = 0; i < 200; i++) await patiently(() => bandits.recommend({ userId: `crowd-${n % 10}`, candidates }))
    await bandits.flush()
  }
  for (let round = 0; ; round++) {
    for (let i = 0; i < 30; i++) {
      const userId = `person-${Math.floor(rng() * people)}`
      await patiently(() => {
        bandits.reward({ userId, tipId: `tip-${life}-${round}`, reward: 1, features: { priority: 2 } })
        say(`+ ${userId}`)
      })
      bandits.score({ userId, candidates: [{ id: `seen-by-${userId}` }] })
    }
    const gone = [...new Set(Array.from({ length: 1 + Math.floor(rng() * 3) }, () => `person-${Math.floor(rng() * people)}`))]
    if (megabytes > 0) void bandits.erase(`crowd-${round % 10}`).catch(() => {})
    for (const userId of gone) say(`e ${userId}`)
    await Promise.all(gone.map((userId) => patiently(() => bandits.erase(userId)).then(() => say(`E ${userId}`))))
  }
} catch (error) {
  say(`! ${String(error instanceof Error ? error.stack : error).replaceAll('\n', ' | ')}`)
}
