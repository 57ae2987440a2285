// @ts-check
// The child of erase.mjs: it learns about people and erases some of them, and says on descriptor 3 what it is about to do and
// what is done:  + USER rewarded   e USER about to erase   E USER erased   ! TEXT what must not happen

import { writeSync } from 'node:fs'

import { Bandits } from '@oo/bandits'
import { random } from '../bench/workload.mjs'

/** @type {{ stateDir: string, seed: number, life: number, people: number }} */
const { stateDir, seed, life, people } = JSON.parse(process.argv[2] ?? '{}')
/** @param {string} word */
const say = (word) => writeSync(3, `${word}\n`)

try {
  const rng = random(seed)
  const bandits = Bandits.open({ stateDir, seed: 1, maxHotUsers: 20 })
  for (let round = 0; ; round++) {
    for (let i = 0; i < 30; i++) {
      const userId = `person-${Math.floor(rng() * people)}`
      bandits.reward({ userId, tipId: `tip-${life}-${round}`, reward: 1, features: { priority: 2 } })
      say(`+ ${userId}`)
      bandits.score({ userId, candidates: [{ id: `seen-by-${userId}` }] })
    }
    const gone = [...new Set(Array.from({ length: 1 + Math.floor(rng() * 3) }, () => `person-${Math.floor(rng() * people)}`))]
    for (const userId of gone) say(`e ${userId}`)
    await Promise.all(gone.map((userId) => bandits.erase(userId).then(() => say(`E ${userId}`))))
  }
} catch (error) {
  say(`! ${String(error instanceof Error ? error.stack : error).replaceAll('\n', ' | ')}`)
}
