// @ts-check
// Many messages wait when the engine starts: how many a second it handles, and what that does to score().

import assert from 'node:assert/strict'
import { join } from 'node:path'

import { Bandits } from '@oo/bandits'
import { PREFIX, SIGNALS } from '../../support/bus.mjs'
import { startServer } from '../../support/nats.mjs'
import { syncsIn } from '../../support/sync-files.mjs'
import { after, scoreUntil } from '../../torture/scoring.mjs'
import { withScratch } from '../../torture/scratch.mjs'
import { withHooks } from './hooks.mjs'
import { Load } from './load.mjs'

const USERS = 100

/** @param {{ messages: number, seed: number, quietMs?: number }} settings */
export const backlog = ({ messages, seed, quietMs = 3000 }) => withScratch((scratch) => withHooks(async (t) => {
  const stateDir = join(scratch, 'state')
  // How quickly the server takes them is not asked for.
  const server = await startServer(t, { syncInterval: '2m' })
  const admin = await server.admin()
  await admin.addStreams()
  const load = new Load({ messages, users: USERS, seed })
  await load.publish(admin, { lanes: 500 })
  const bandits = Bandits.open({ stateDir, nats: { url: server.url, durablePrefix: PREFIX } })
  t.after(() => bandits.close())
  // Compiled, and with everybody in memory.
  await scoreUntil(bandits, after(Math.min(quietMs, 1000)))
  const quiet = await scoreUntil(bandits, after(quietMs))

  const from = performance.now()
  await bandits.start()
  const processed = () => bandits.health().nats.consumers.signals?.processed ?? 0
  const isStuck = after(300_000)
  const flowing = await scoreUntil(bandits, () => processed() >= messages || isStuck())
  const seconds = (performance.now() - from) / 1000
  const info = await admin.settled('SIGNALS', SIGNALS, 60_000)
  const quietAgain = await scoreUntil(bandits, after(quietMs))
  await bandits.close()

  assert.equal(info.delivered.stream_seq, messages)
  const problems = load.problemsOf(syncsIn(stateDir))
  assert.deepEqual(problems.slice(0, 10), [], `${problems.length} problems`)
  const ratio = Number((flowing.p99 / quiet.p99).toFixed(2))
  return { messages, deliveries: info.delivered.consumer_seq, seconds: Number(seconds.toFixed(2)), perSecond: Math.round(messages / seconds), microseconds: { quiet, flowing, quietAgain }, ratio, seed }
}))
