// @ts-check
// What all five questions have in common: what is refused, progress, aborting, closing, threads that end, and how many at once.

import assert from 'node:assert/strict'
import { after, describe, test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'

import * as bandits from '@oo/bandits'
import { run } from '../support/child.mjs'
import { openWorld } from '../support/insight-world.mjs'
import { writeLog } from '../support/large-log.mjs'
import { assertRefusal, assertRejects } from '../support/refusal.mjs'
import { closeEngines, emptyDirectory, openEngine } from '../support/state-dir.mjs'
import { startWorker } from '../support/worker.mjs'

/** @typedef {import('@oo/bandits').Bandits} Bandits */
/** @typedef {(bandits: Bandits, options?: import('@oo/bandits').ReadOptions) => Promise<unknown>} Ask */

/** @type {Record<string, Ask>} */
const ASK = {
  decisions: (engine, options) => engine.decisions({ userId: 'nobody' }, options),
  analytics: (engine, options) => engine.analytics({}, options),
  dataQuality: (engine, options) => engine.dataQuality({}, options),
  simulate: (engine, options) => engine.simulate({ policy: 'linucb-v1', minEffective: 1 }, options),
  users: (engine, options) => engine.users({}, options),
}

describe('refused are', () => {
  /** @type {[method: 'decisions' | 'analytics' | 'dataQuality' | 'users' | 'simulate', query: any, path: string, code?: string][]} */
  const wrong = [
    ['decisions', null, 'query'],
    ['decisions', [], 'query'],
    ['decisions', AbortSignal.abort(), 'query'],
    ['decisions', { signal: AbortSignal.abort() }, 'query'],
    ['decisions', { userId: '' }, 'userId'],
    ['decisions', { userId: null }, 'userId'],
    ['decisions', { policy: 'best' }, 'policy', 'ERR_UNKNOWN_POLICY'],
    ['decisions', { policy: null }, 'policy'],
    ['decisions', { limit: 0 }, 'limit'],
    ['decisions', { limit: 501 }, 'limit'],
    ['decisions', { limit: 1.5 }, 'limit'],
    ['decisions', { limit: '5' }, 'limit'],
    ['decisions', { after: '1' }, 'after'],
    ['decisions', { after: '01.1' }, 'after'],
    ['decisions', { after: '4294967296.1' }, 'after'],
    ['decisions', { after: 5 }, 'after'],
    ['decisions', { since: 'yesterday' }, 'since'],
    ['decisions', { since: new Date(NaN) }, 'since'],
    ['decisions', { since: -1 }, 'since'],
    ['decisions', { until: Infinity }, 'until'],
    ['decisions', { until: null }, 'until'],
    ['decisions', { since: 2, until: 1 }, 'until'],
    ['analytics', { by: 'week' }, 'by'],
    ['analytics', { by: null }, 'by'],
    ['analytics', { since: {} }, 'since'],
    ['analytics', { limit: 5 }, 'query'],
    ['dataQuality', { since: 'x' }, 'since'],
    ['dataQuality', { until: 1 }, 'query'],
    ['users', { limit: 1001 }, 'limit'],
    ['users', { after: '' }, 'after'],
    ['users', { after: 7 }, 'after'],
    ['simulate', undefined, 'query'],
    ['simulate', {}, 'policy'],
    ['simulate', { policy: 7 }, 'policy'],
    ['simulate', { policy: 'linucb-v1', log: '' }, 'log'],
    ['simulate', { policy: 'linucb-v1', log: 'a\0b' }, 'log'],
    ['simulate', { policy: 'linucb-v1', minEffective: 0 }, 'minEffective'],
    ['simulate', { policy: 'linucb-v1', minEffective: NaN }, 'minEffective'],
  ]
  test('wrong arguments, with their paths', async (t) => {
    const engine = openEngine(t)
    for (const [method, query, path, code = 'ERR_INVALID_ARGUMENT'] of wrong) await assertRejects(() => engine[method](query), code, path, `${method} ${JSON.stringify(query)}`)
  })

  test('wrong options', async (t) => {
    const engine = openEngine(t)
    for (const ask of Object.values(ASK)) {
      await assertRejects(() => ask(engine, /** @type {any} */ (null)), 'ERR_INVALID_ARGUMENT', 'options')
      await assertRejects(() => ask(engine, /** @type {any} */ (AbortSignal.abort())), 'ERR_INVALID_ARGUMENT', 'options')
      await assertRejects(() => ask(engine, /** @type {any} */ ({ signal: 1 })), 'ERR_INVALID_ARGUMENT', 'options.signal')
      await assertRejects(() => ask(engine, /** @type {any} */ ({ onProgress: 1 })), 'ERR_INVALID_ARGUMENT', 'options.onProgress')
    }
  })

  test('questions to a closed engine', async (t) => {
    const engine = openEngine(t)
    await engine.close()
    for (const ask of Object.values(ASK)) await assertRejects(() => ask(engine), 'ERR_CLOSED')
  })
})

test('progress rises to all there is, and ends with the promise', async (t) => {
  const { bandits: engine } = await openWorld(t, { stateDir: emptyDirectory(t), decisions: 300 })
  for (const [name, ask] of Object.entries(ASK)) {
    /** @type {number[][]} */
    const seen = []
    let isSettled = false
    await ask(engine, { onProgress: (done, of) => void (assert.ok(!isSettled), seen.push([done, of])) })
    isSettled = true
    await turn()
    await turn()
    assert.ok(seen.length >= 1 && seen.length <= 2 * 2 * 4, `${name}: ${seen.length}`)
    for (const [i, [done, of]] of seen.entries()) assert.ok(done <= of && (i === 0 || done > seen[i - 1][0]), `${name}: ${seen.join(' ')}`)
    assert.equal(seen.at(-1)?.[0], seen.at(-1)?.[1], name)
  }
})

test('a listener that throws is the process\'s affair, and the answer comes', (t) => {
  const { code, stdout, stderr } = run(`
    const engine = Bandits.open({ stateDir })
    process.on('uncaughtException', (error) => console.log(error.message))
    const { totals } = await engine.analytics({}, { onProgress: () => { throw new Error('on purpose') } })
    await engine.close()
    console.log(totals.decisions)`, { stateDir: emptyDirectory(t) })
  assert.deepEqual([code, stdout], [0, 'on purpose\n0\n'], stderr)
})

describe('on a log that takes its time', () => {
  const stateDir = emptyDirectory({ after })
  writeLog(stateDir, { lines: 15_000 })

  /** @param {import('node:test').TestContext} t */
  const open = (t) => {
    t.after(() => closeEngines(t))
    return openEngine(t, { stateDir, logRetentionDays: 400 })
  }

  test('aborting rejects with the reason at once, before, while and after', async (t) => {
    const engine = open(t)
    for (const [name, ask] of Object.entries(ASK)) {
      const reason = new Error('enough')
      await assert.rejects(ask(engine, { signal: AbortSignal.abort(reason) }), (error) => error === reason)
      const controller = new AbortController()
      const asked = ask(engine, { signal: controller.signal, onProgress: () => assert.ok(!controller.signal.aborted, 'told after the end') })
      controller.abort(reason)
      await assert.rejects(asked, (error) => error === reason, name)
      const late = new AbortController()
      await ask(engine, { signal: late.signal })
      late.abort()
    }
    // Aborted ones leave their places to others.
    const controller = new AbortController()
    for (let round = 0; round < 10; round++) {
      const one = new AbortController()
      const many = Array.from({ length: 10 }, () => engine.analytics({}, { signal: one.signal }))
      one.abort()
      for (const { status } of await Promise.allSettled(many)) assert.equal(status, 'rejected')
    }
    assert.ok((await engine.analytics({}, { signal: controller.signal })).totals.decisions > 0)
  })

  test('closing in the middle ends what runs and what waits with ERR_CLOSED', async (t) => {
    const engine = open(t)
    const other = open(t)
    const asked = Object.values(ASK).flatMap((ask) => [ask(engine), ask(engine)])
    const theirs = other.analytics()
    const outcomes = Promise.allSettled(asked)
    await engine.close()
    // What was answered by then was answered.
    const ended = (await outcomes).filter((outcome) => outcome.status === 'rejected')
    for (const { reason } of ended) assertRefusal(reason, 'ERR_CLOSED')
    assert.ok(ended.length >= 1)
    // Another opener's goes on.
    assert.ok((await theirs).totals.decisions > 0)
    await other.close()
    const again = open(t)
    assert.ok((await again.analytics()).totals.decisions > 0)
  })

  test('two are answered, sixteen wait, more are refused for now', async (t) => {
    const engine = open(t)
    // So many more that a few answers while they are asked make no difference.
    const outcomes = await Promise.allSettled(Array.from({ length: 100 }, () => engine.analytics()))
    const refused = outcomes.filter((outcome) => outcome.status === 'rejected')
    for (const { reason } of refused) assertRefusal(reason, 'ERR_BACKPRESSURE')
    assert.equal(refused[0].reason.retryable, true)
    assert.ok(refused.length <= 82 && refused.length >= 1, `${refused.length}`)
    assert.ok((await engine.analytics()).totals.decisions > 0)
  })

  test('a worker that ends in the middle takes its questions with it', async (t) => {
    const engine = open(t)
    for (let round = 0; round < 8; round++) {
      const worker = startWorker(`
        const engine = Bandits.open({ stateDir })
        for (let i = 0; i < 4; i++) engine.analytics({}, { onProgress: () => {} }).catch(() => {})
        engine.decisions({ userId: 'nobody' }).catch(() => {})
        say('asked')
        if (workerData.round % 2 === 0) process.exit()`, { stateDir, round }, t)
      await worker.said()
      if (round % 2 === 1) await worker.worker.terminate()
      // Its end may have come together with its word: then nobody would hear it who listens from here on.
      await worker.ended
    }
    assert.ok((await engine.analytics()).totals.decisions > 0)
  })

  test('process.exit() in the middle ends the process', () => {
    const { code, signal, stderr } = run(`
      const engine = Bandits.open({ stateDir, logRetentionDays: 400 })
      for (let i = 0; i < 6; i++) engine.analytics({}, { onProgress: () => {} }).catch(() => {})
      setImmediate(() => process.exit(7))`, { stateDir })
    assert.deepEqual([code, signal, stderr], [7, null, ''])
  })
})

test('the default engine answers, too', (t) => {
  const { code, stdout, stderr } = run(`
    const { recommend, decisions, analytics, dataQuality, users, simulate, close } = bandits
    recommend({ userId: 'u', candidates: [{ id: 'a' }] })
    const page = await decisions()
    console.log(page.decisions.length, (await analytics()).totals.decisions, (await dataQuality()).decisions, (await users()).users[0].userId)
    console.log(await simulate({ policy: 'linucb-v1' }).catch((error) => error.code))
    await close()`, { stateDir: emptyDirectory(t), env: { STATE_DIR: emptyDirectory(t) } })
  assert.deepEqual([code, stdout], [0, '1 1 1 u\nERR_INSUFFICIENT_DATA\n'], stderr)
  assert.equal(typeof bandits.decisions, 'function')
})
