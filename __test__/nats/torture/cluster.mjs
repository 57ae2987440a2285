// @ts-check
// Three servers with three copies of the stream, whose leader is killed under load: consumption goes on, and nothing is lost.

import assert from 'node:assert/strict'
import { join } from 'node:path'

import { Bandits } from '@oo/bandits'
import { consumes, PREFIX, SIGNALS } from '../../support/bus.mjs'
import { startCluster } from '../../support/nats.mjs'
import { syncsIn } from '../../support/sync-files.mjs'
import { until } from '../../support/until.mjs'
import { withScratch } from '../../torture/scratch.mjs'
import { withHooks } from './hooks.mjs'
import { Load } from './load.mjs'

const PATIENCE_MS = 60_000
const LANES = 16

/**
 * Who leads the stream, once the others have all of it: two of three have to be there for anything to happen.
 * @param {import('../../support/nats-admin.mjs').Admin} admin
 */
async function leaderOf(admin) {
  const places = [(await admin.manager.streams.info('SIGNALS')).cluster, (await admin.consumer('SIGNALS', SIGNALS))?.cluster]
  const isWhole = places.every((place) => place?.leader && place.replicas?.length === 2 && place.replicas.every(({ current, offline }) => current && !offline))
  return isWhole ? places[0]?.leader : undefined
}

/**
 * `resumeMs`: a kill may not hold up consumption for longer. The servers' own election is most of it, so only a run on a machine with
 * nothing else to do is judged by it.
 * @param {{ messages: number, perSecond?: number, kills?: number, seed: number, hurry?: boolean, resumeMs?: number, onKill?: (who: string) => void }} settings
 */
export const cluster = ({ messages, perSecond = 500, kills = 1, seed, hurry = false, resumeMs = PATIENCE_MS, onKill = () => {} }) => withScratch((scratch) => withHooks(async (t) => {
  const stateDir = join(scratch, 'state')
  const { servers, url } = await startCluster(t)
  const [first] = servers
  assert.ok(first !== undefined)
  const admin = await first.admin()
  // Servers that have just found each other do not take streams at once.
  await until(() => admin.addStreams({ num_replicas: 3 }).then(() => true, () => undefined), 'the cluster takes streams')
  const bandits = Bandits.open({ stateDir, nats: { url, durablePrefix: PREFIX } })
  t.after(() => bandits.close())
  /** When a message that was taken after this moment is seen. @type {{ after: number, at: number | undefined }} */
  const awaited = { after: Infinity, at: undefined }
  /** @type {Set<number>} */
  const seen = new Set()
  let [longestGapMs, last] = [0, performance.now()]
  bandits.onEvent(({ ts, streamSeq, deliveries }) => {
    const now = performance.now()
    // What comes again comes when the server's patience has ended.
    if (seen.size > 0 && deliveries === 1) longestGapMs = Math.max(longestGapMs, now - last)
    last = now
    seen.add(streamSeq)
    if (awaited.at === undefined && Date.parse(ts) > awaited.after) awaited.at = now
  })
  await bandits.start()
  await consumes(bandits)

  /** @type {number[]} */
  const publishedAfterMs = []
  /** @type {number[]} */
  const resumedAfterMs = []
  const load = new Load({ messages, users: Math.ceil(messages / 10), seed })
  const publishing = load.publish(admin, { perSecond, lanes: LANES, isEnough: () => resumedAfterMs.length === kills })
  publishing.catch(() => undefined)
  for (let kill = 1; kill <= kills; kill++) {
    await until(() => load.published >= (messages * kill) / (kills + 1), 'it is time for a kill', 600_000)
    const name = await until(() => leaderOf(admin).catch(() => undefined), 'all three have the stream')
    const leader = servers.find((server) => server.name === name)
    assert.ok(leader !== undefined, `no server ${name}`)
    onKill(name)
    await leader.kill()
    const killed = performance.now()
    Object.assign(awaited, { after: Date.now(), at: undefined })
    // Nothing can be consumed before something can be published again. What was acknowledged last may still be on its way here.
    const before = load.published + LANES
    const publishes = until(() => load.published > before && performance.now(), 'publishing goes on', PATIENCE_MS)
    const [published, resumed] = await Promise.all([publishes, until(() => awaited.at, 'consumption goes on', PATIENCE_MS)])
    publishedAfterMs.push(Math.round(published - killed))
    resumedAfterMs.push(Math.round(resumed - killed))
    await leader.restart()
  }
  await publishing
  if (hurry) await admin.hurry('SIGNALS', SIGNALS)
  const info = await admin.settled('SIGNALS', SIGNALS, 120_000)
  const { state } = await admin.manager.streams.info('SIGNALS')
  const { dead, reconnects } = bandits.health().nats
  await bandits.close()

  assert.deepEqual(Array.from({ length: state.last_seq }, (_message, i) => i + 1).filter((seq) => !seen.has(seq)), [], 'messages that nobody saw')
  const problems = load.problemsOf(syncsIn(stateDir))
  assert.deepEqual(problems.slice(0, 10), [], `${problems.length} problems`)
  assert.equal(dead, 0)
  const figures = { messages: state.messages, deliveries: info.delivered.consumer_seq, reconnects, publishedAfterMs, resumedAfterMs, longestGapMs: Math.round(longestGapMs), seed }
  assert.ok(resumedAfterMs.every((ms) => ms < resumeMs), JSON.stringify(figures))
  return figures
}))
