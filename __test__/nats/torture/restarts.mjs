// @ts-check
// The server is killed and comes back, the consuming process is killed and another takes its place, while messages are published:
// each is handled at least once, and nothing is given up.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

import { PREFIX, SIGNALS } from '../../support/bus.mjs'
import { segmentsIn } from '../../support/log-lines.mjs'
import { startServer } from '../../support/nats.mjs'
import { endWithUs } from '../../support/reaper.mjs'
import { syncsIn } from '../../support/sync-files.mjs'
import { until } from '../../support/until.mjs'
import { withScratch } from '../../torture/scratch.mjs'
import { withHooks } from './hooks.mjs'
import { Load } from './load.mjs'

const CONSUMER = fileURLToPath(new URL('consumer.mjs', import.meta.url))
/** What is killed when so much of the load is published. @type {[number, 'server' | 'consumer'][]} */
const KILLS = [[0.2, 'consumer'], [0.35, 'server'], [0.6, 'consumer'], [0.8, 'server']]

class Consumer {
  #rest = ''

  /** @param {{ stateDir: string, url: string }} settings @param {{ heard: Set<number>, outcomes: Map<string, number> }} tally */
  constructor({ stateDir, url }, tally) {
    this.child = spawn(process.execPath, [CONSUMER, JSON.stringify({ stateDir, url, durablePrefix: PREFIX })], { stdio: ['pipe', 'pipe', 'inherit'] })
    endWithUs(this.child)
    this.events = 0
    this.ended = once(this.child, 'close')
    this.child.stdout.setEncoding('utf8').on('data', (text) => {
      const lines = (this.#rest + text).split('\n')
      this.#rest = lines.pop() ?? ''
      for (const line of lines) {
        const [seq, , outcome = ''] = line.split(' ')
        this.events++
        tally.heard.add(Number(seq))
        tally.outcomes.set(outcome, (tally.outcomes.get(outcome) ?? 0) + 1)
      }
    })
  }

  /** @param {NodeJS.Signals} signal */
  async kill(signal) {
    this.child.kill(signal)
    await this.ended
  }

  async close() {
    this.child.stdin.end()
    const [code, signal] = await this.ended
    assert.deepEqual([code, signal], [0, null])
  }
}

/** @param {Consumer} consumer */
const isAtWork = (consumer) => until(() => consumer.events > 0, 'the consumer consumes')

/**
 * @param {{ messages: number, seed: number, hurry?: boolean, onKill?: (what: string) => void }} settings `hurry`: what died unanswered
 * comes again after a second
 */
export const restarts = ({ messages, seed, hurry = false, onKill = () => {} }) => withScratch((scratch) => withHooks(async (t) => {
  const stateDir = join(scratch, 'state')
  const server = await startServer(t)
  const admin = await server.admin()
  await admin.addStreams()
  const load = new Load({ messages, users: Math.ceil(messages / 10), seed })
  const tally = { heard: new Set(), outcomes: new Map() }
  const from = performance.now()
  const begin = () => new Consumer({ stateDir, url: server.url }, tally)
  let consumer = begin()
  t.after(() => consumer.kill('SIGKILL'))
  const publishing = load.publish(admin)
  publishing.catch(() => undefined)
  for (const [share, what] of KILLS) {
    await Promise.race([publishing, until(() => load.published >= share * messages, `${share} of the load is published`, 600_000)])
    await isAtWork(consumer)
    onKill(`the ${what}`)
    if (what === 'server') await server.restart()
    else {
      await consumer.kill('SIGKILL')
      consumer = begin()
    }
  }
  await publishing
  const publishedAfterMs = performance.now() - from
  await isAtWork(consumer)
  if (hurry) await admin.hurry('SIGNALS', SIGNALS)
  const info = await admin.settled('SIGNALS', SIGNALS, 120_000)
  const seconds = (performance.now() - from) / 1000
  await consumer.close()

  const { state } = await admin.manager.streams.info('SIGNALS')
  assert.equal(info.ack_floor.stream_seq, state.last_seq)
  assert.ok(state.messages >= messages)
  const problems = load.problemsOf(syncsIn(stateDir))
  assert.deepEqual(problems.slice(0, 10), [], `${problems.length} problems`)
  assert.equal(tally.outcomes.get('dead'), undefined)
  for (const name of segmentsIn(stateDir)) assert.ok(!readFileSync(join(stateDir, 'log', name), 'utf8').includes('"kind":"dead"'), `a dead letter in ${name}`)
  return {
    messages: state.messages, deliveries: info.delivered.consumer_seq, heard: tally.heard.size, outcomes: Object.fromEntries(tally.outcomes),
    kills: KILLS.length, publishedAfterS: Number((publishedAfterMs / 1000).toFixed(1)), seconds: Number(seconds.toFixed(1)), seed,
  }
}))
