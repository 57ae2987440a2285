// @ts-check
// Realms: the package in one, its callers in another, as under Jest and vitest's vm pools, and the other way round.

import assert from 'node:assert/strict'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import vm from 'node:vm'

import { Bandits } from '@oo/bandits'
import { start } from './support/child.mjs'
import { otherRealm } from './support/realm.mjs'
import { emptyDirectory, openEngine } from './support/state-dir.mjs'

const CANDIDATES = [{ id: 'a' }, { id: 'b' }]

/** An engine of a realm. @param {{ after(fn: () => unknown): void }} t @param {ReturnType<typeof otherRealm>} [realm] */
function engineIn(t, realm = otherRealm()) {
  /** @type {any[]} */
  const opened = []
  // Before the directory goes.
  t.after(() => Promise.all(opened.map((bandits) => bandits.close())))
  opened.push(realm.load('index.js').Bandits.open({ stateDir: emptyDirectory(t), seed: 1 }))
  return opened[0]
}

/** What a call throws. @param {() => unknown} call @returns {any} */
function thrownBy(call) {
  try {
    call()
  } catch (error) {
    return error
  }
  assert.fail('nothing was thrown')
}

/** @param {unknown} promise @returns {Promise<any>} */
const rejectionOf = (promise) => Promise.resolve(promise).then(() => assert.fail('resolved'), (error) => error)

describe('the package in another realm', () => {
  test('native errors are BanditErrors with their codes, and errors of that realm', (t) => {
    const realm = otherRealm()
    const bandits = engineIn(t, realm)
    const error = thrownBy(() => bandits.feedback({ decisionId: '9.9', action: 'done' }))
    assert.deepEqual([error.code, error.retryable, error.reason], ['ERR_UNKNOWN_DECISION', false, 'invalid'])
    assert.match(error.message, /^decisionId: no decision 9\.9 was made in this directory/)
    assert.ok(error instanceof realm.evaluate('Error'))
    assert.ok(error instanceof realm.load('index.js').BanditError)
  })

  test('the loop goes round', async (t) => {
    const bandits = engineIn(t)
    const { decisionId } = bandits.recommend({ userId: 'u', candidates: CANDIDATES })
    assert.equal(bandits.feedback({ decisionId, action: 'done', at: new Date() }).applied, true)
    bandits.reward({ userId: 'u', tipId: 'a', reward: 1, features: { priority: 4 } })
    assert.equal(bandits.score({ userId: 'u', candidates: bandits.prepare(CANDIDATES) }).propensity > 0, true)
    await Promise.all([bandits.flush(), bandits.flush()])
    assert.equal(bandits.stats('u').rewardCount, 2)
    assert.equal((await bandits.decisions({ since: new Date(0) }, { signal: new AbortController().signal })).decisions.length, 1)
  })

  test('openAsync() waits for another process', async (t) => {
    const stateDir = emptyDirectory(t)
    const holder = await start(t, "const engine = Bandits.open({ stateDir }); console.log('held'); process.stdin.once('data', () => engine.close())", { stateDir })
    const realm = otherRealm()
    const refused = await rejectionOf(realm.load('index.js').Bandits.openAsync({ stateDir }))
    assert.deepEqual([refused.code, refused.retryable], ['ERR_STATE_LOCKED', true])
    const opening = realm.load('index.js').Bandits.openAsync({ stateDir, lockTimeoutMs: 60_000, signal: new AbortController().signal })
    holder.child.stdin.write('close')
    const bandits = await opening
    await bandits.close()
  })

  test('signals of this realm end what waits, with their reason', async (t) => {
    const stateDir = emptyDirectory(t)
    await start(t, "Bandits.open({ stateDir }); console.log('held'); setInterval(() => {}, 1000)", { stateDir })
    const realm = otherRealm()
    const reason = new Error('enough')
    const ending = new AbortController()
    const opening = rejectionOf(realm.load('index.js').Bandits.openAsync({ stateDir, lockTimeoutMs: 60_000, signal: ending.signal }))
    ending.abort(reason)
    assert.equal(await opening, reason)
    const bandits = engineIn(t, realm)
    assert.equal(await rejectionOf(bandits.decisions({}, { signal: AbortSignal.abort(reason) })), reason)
    assert.equal(await rejectionOf(bandits.generate({ userId: 'u' }, { signal: AbortSignal.abort(reason) })), reason)
  })

  test('what is given in the place of something else is still refused', async (t) => {
    const bandits = engineIn(t)
    const { signal } = new AbortController()
    for (const call of [() => bandits.decisions(signal), () => bandits.decisions({}, signal), () => bandits.generate({ userId: 'u' }, signal)]) {
      assert.equal((await rejectionOf(call())).code, 'ERR_INVALID_ARGUMENT')
    }
    for (const task of [new Map(), new Set()]) {
      const { code, message } = await rejectionOf(bandits.generate({ userId: 'u', context: { tasks: [task] } }))
      assert.deepEqual([code, message], ['ERR_INVALID_ARGUMENT', 'context.tasks[0]: must be a plain object, got an object'])
    }
  })

  test("bytes of this realm are published as they are, and Node's buffers", () => {
    const { payloadBytes } = otherRealm().load('events.js')
    for (const bytes of [new Uint8Array([1, 2]), Buffer.from([1, 2])]) assert.equal(payloadBytes(bytes), bytes)
    assert.deepEqual([...payloadBytes('ab')], [97, 98])
  })

  test('what JSON cannot carry is refused, what a caller throws arrives unchanged', async (t) => {
    const bandits = engineIn(t)
    const own = new TypeError('own')
    assert.equal((await rejectionOf(bandits.generate({ userId: 'u', context: { extra: { n: 5n } } }))).code, 'ERR_INVALID_ARGUMENT')
    assert.equal(await rejectionOf(bandits.generate({ userId: 'u', context: { extra: { toJSON() { throw own } } } })), own)
    assert.equal(thrownBy(() => bandits.score({ get userId() { throw own }, candidates: CANDIDATES })), own)
  })
})

describe('values of another realm', () => {
  /** @param {string} expression */
  const there = (expression) => vm.runInNewContext(expression)

  test('are as good as own ones', async (t) => {
    const bandits = openEngine(t)
    const candidates = there("[{ id: 'a', features: { priority: 4 } }, { id: 'b' }]")
    const { decisionId } = bandits.recommend({ userId: 'u', candidates, mask: there('[true, true]') })
    assert.equal(bandits.feedback({ decisionId, reward: 1, at: there('new Date()') }).applied, true)
    assert.equal(bandits.scoreMany(there("[{ userId: 'u', candidates: [{ id: 'a' }] }]")).length, 1)
    assert.equal((await bandits.decisions({ since: there('new Date(0)') })).decisions.length, 1)
  })

  test('a signal is whatever says that it was aborted, and when it is', async (t) => {
    const bandits = openEngine(t)
    /** As jsdom's and the libraries' that came before Node's. */
    class Signal extends EventTarget {
      aborted = false
      /** @type {unknown} */ reason = undefined
    }
    const signal = /** @type {AbortSignal} */ (/** @type {unknown} */ (Object.assign(new Signal(), { aborted: true, reason: 'gone' })))
    assert.equal(await rejectionOf(bandits.decisions({}, { signal })), 'gone')
    assert.equal(await rejectionOf(Bandits.openAsync({ stateDir: emptyDirectory(t), signal })), 'gone')
    const stateDir = join(emptyDirectory(t), 'held')
    mkdirSync(stateDir)
    await start(t, "Bandits.open({ stateDir }); console.log('held'); setInterval(() => {}, 1000)", { stateDir })
    const later = Object.assign(new Signal(), { reason: /** @type {unknown} */ ('later') })
    const opening = rejectionOf(Bandits.openAsync({ stateDir, lockTimeoutMs: 60_000, signal: /** @type {AbortSignal} */ (/** @type {unknown} */ (later)) }))
    later.aborted = true
    later.dispatchEvent(new Event('abort'))
    assert.equal(await opening, 'later')
  })

  test('maps are no plain objects', async (t) => {
    const bandits = openEngine(t)
    for (const task of [there('new Map()'), there('new Set()')]) {
      assert.equal((await rejectionOf(bandits.generate({ userId: 'u', context: { tasks: [task] } }))).code, 'ERR_INVALID_ARGUMENT')
    }
  })
})
