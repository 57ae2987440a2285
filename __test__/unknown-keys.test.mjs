// @ts-check
// Keys that nobody reads: misspelt or old ones are told of, or refused, with the key that was likely meant; whatever object they stand in.

import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import vm from 'node:vm'

import { prepare, replay } from '@oo/bandits'
import { assertRefuses, assertRejects } from './support/refusal.mjs'
import { standingOf } from './support/standing.mjs'
import { emptyDirectory, openEngine } from './support/state-dir.mjs'

/** @typedef {import('@oo/bandits').Bandits} Bandits */
/** @typedef {import('node:test').TestContext} TestContext */

const INVALID = 'ERR_INVALID_ARGUMENT'
const CODE = 'OO_BANDITS_UNKNOWN_KEY'
const MOST_KINDS = 32

/** Calls by what is wrong in them: `[path of the key, what was likely meant, call]`. @type {[string, string | undefined, (b: any, id: string) => unknown][]} */
const WRONG = [
  ['candidates[1].features.isOverDue', 'isOverdue', (b) => b.score({ userId: 'u', candidates: [{ id: 'a' }, { id: 'b', features: { isOverDue: true } }] })],
  ['candidates[0].features.is_overdue', 'isOverdue', (b) => b.score({ userId: 'u', candidates: [{ id: 'a', features: { is_overdue: true } }] })],
  ['candidates[0].features.task_age_days', 'taskAgeDays', (b) => b.score({ userId: 'u', candidates: [{ id: 'a', features: { task_age_days: 3 } }] })],
  ['candidates[0].features.priorty', 'priority', (b) => b.score({ userId: 'u', candidates: [{ id: 'a', features: { priorty: 3 } }] })],
  ['candidates[0].features.hourOfDay', 'context.hourOfDay', (b) => b.score({ userId: 'u', candidates: [{ id: 'a', features: { hourOfDay: 3 } }] })],
  ['candidates[0].features.colour', undefined, (b) => b.score({ userId: 'u', candidates: [{ id: 'a', features: { colour: 'red' } }] })],
  ['context.hour', 'hourOfDay', (b) => b.score({ userId: 'u', candidates: [{ id: 'a' }], context: { hour: 9 } })],
  ['context.day', 'dayOfWeek', (b) => b.score({ userId: 'u', candidates: [{ id: 'a' }], context: { day: 2 } })],
  ['context.hour_of_day', 'hourOfDay', (b) => b.recommend({ userId: 'u', candidates: [{ id: 'a' }], context: { hour_of_day: 9 } })],
  ['profileFeatures.completionRate', 'completionRate30d', (b) => b.score({ userId: 'u', candidates: [{ id: 'a' }], profileFeatures: { completionRate: 0.5 } })],
  ['profile_features', 'profileFeatures', (b) => b.score({ userId: 'u', candidates: [{ id: 'a' }], profile_features: { preferredHour: 3 } })],
  ['hourOfDay', 'context.hourOfDay', (b) => b.score({ userId: 'u', candidates: [{ id: 'a' }], hourOfDay: 3 })],
  ['holdout', 'holdout of recommend()', (b) => b.score({ userId: 'u', candidates: [{ id: 'a' }], holdout: 0.1 })],
  ['polcy', 'policy', (b) => b.score({ userId: 'u', candidates: b.prepare([{ id: 'a' }]), polcy: 'linucb-v1' })],
  ['requests[1].context.hour', 'hourOfDay', (b) => b.scoreMany([{ userId: 'u', candidates: [{ id: 'a' }] }, { userId: 'u', candidates: [{ id: 'a' }], context: { hour: 3 } }])],
  ['requests[0].candidates[0].features.isOverDue', 'isOverdue', (b) => b.scoreMany([{ userId: 'u', candidates: [{ id: 'a', features: { isOverDue: true } }] }])],
  ['requests[0].explain', 'explain of recommend()', (b) => b.scoreMany([{ userId: 'u', candidates: [{ id: 'a' }], explain: true }])],
  ['candidates[0].features.isOverDue', 'isOverdue', (b) => b.prepare([{ id: 'a', features: { isOverDue: true } }])],
  ['holdOut', 'holdout', (b) => b.recommend({ userId: 'u', candidates: [{ id: 'a' }], holdOut: 0.1 })],
  ['candidates[0].features.isOverDue', 'isOverdue', (b) => b.recommend({ userId: 'u', candidates: [{ id: 'a', features: { isOverDue: true } }] })],
  ['user_id', 'userId', (b, decisionId) => b.feedback({ decisionId, action: 'done', user_id: 'u' })],
  ['timestamp', undefined, (b, decisionId) => b.feedback({ decisionId, action: 'done', timestamp: 5 })],
  ['features.overdue', 'isOverdue', (b) => b.reward({ userId: 'u', tipId: 'a', reward: 1, features: { overdue: true } })],
  ['features.hour', 'hourOfDay', (b) => b.reward({ userId: 'u', tipId: 'a', reward: 1, features: { hour: 9 } })],
  ['features.dayOfWeek', 'dayOfWeek beside features', (b) => b.reward({ userId: 'u', tipId: 'a', reward: 1, features: { dayOfWeek: 1 } })],
  ['hourOfDay', 'features.hourOfDay', (b) => b.reward({ userId: 'u', tipId: 'a', reward: 1, features: {}, hourOfDay: 9 })],
  ['context', undefined, (b) => b.reward({ userId: 'u', tipId: 'a', reward: 1, features: {}, context: { hourOfDay: 9 } })],
  ['profileFeatures.computed_at', 'computedAt', (b) => b.reward({ userId: 'u', tipId: 'a', reward: 1, features: {}, profileFeatures: { computed_at: 'now' } })],
]

/** Calls that are promises; where they are not refused for the key, they are for want of a proxy or of data. @type {typeof WRONG} */
const WRONG_ASYNC = [
  ['prompt_version', 'promptVersion', (b) => b.generate({ userId: 'u', prompt_version: 'v1' })],
  ['tasks', 'context.tasks', (b) => b.generate({ userId: 'u', tasks: [] })],
  ['context.hour', 'hourOfDay', (b) => b.generate({ userId: 'u', context: { hour: 9 } })],
  ['profileFeatures.preferred_hour', 'preferredHour', (b) => b.generate({ userId: 'u', profileFeatures: { preferred_hour: 3 } })],
  ['options.abortSignal', 'signal', (b) => b.generate({ userId: 'u' }, { abortSignal: AbortSignal.abort() })],
  ['options.onprogress', 'onProgress', (b) => b.decisions({}, { onprogress: () => 1 })],
  ['options.sinal', 'signal', (b) => b.analytics({}, { sinal: AbortSignal.abort() })],
  ['options.abort', undefined, (b) => b.dataQuality({}, { abort: 1 })],
  ['options.Signal', 'signal', (b) => b.users({}, { Signal: 1 })],
  ['options.progress', 'onProgress', (b) => b.simulate({ policy: 'linucb-v1' }, { progress: 1 })],
]

/** Of all candidates and requests. @param {string} path */
const patternOf = (path) => path.replace(/\[\d+\]/g, '[]')

/** What the process is warned of from now on. @param {TestContext} t @returns {() => Promise<Error[]>} those up to the call */
function warnings(t) {
  /** @type {any[]} */
  const heard = []
  const hear = (/** @type {any} */ warning) => heard.push(warning)
  process.on('warning', hear)
  t.after(() => process.off('warning', hear))
  return async () => {
    // Warnings are emitted at the next tick.
    await new Promise((resolve) => { setImmediate(resolve) })
    return heard.filter(({ code }) => code === CODE)
  }
}

/** An engine that asks an LLM proxy where there is none. @param {TestContext} t @param {import('@oo/bandits').BanditsOptions} [options] */
function open(t, options) {
  const bandits = openEngine(t, { litellm: { url: 'http://127.0.0.1:9', deadlineMs: 1 }, ...options })
  return { bandits, decisionId: bandits.recommend({ userId: 'u', candidates: [{ id: 'a' }] }).decisionId }
}

/** @param {readonly string[]} texts @param {string} path @param {string | undefined} meant */
function assertSaid(texts, path, meant) {
  const key = patternOf(path)
  const said = texts.filter((text) => text.includes(` ${key}${meant === undefined ? '' : ` (did you mean ${meant}?)`}`))
  assert.equal(said.length, 1, `${key}, ${meant}: ${texts.join('\n')}`)
  if (meant === undefined) assert.ok(!said[0]?.includes('did you mean'), said[0])
}

describe('warn, the default', () => {
  for (const [path, meant, call] of [...WRONG, ...WRONG_ASYNC]) {
    test(`${call.toString().slice(call.toString().indexOf('=>') + 3)}`, async (t) => {
      const { bandits, decisionId } = open(t)
      const heard = warnings(t)
      assert.deepEqual(bandits.health().warnings, [])
      for (let i = 0; i < 3; i++) await Promise.resolve(call(bandits, decisionId)).catch((error) => assert.notEqual(error.code, INVALID, error.message))
      const all = await heard()
      assertSaid(all.map(({ message }) => message), path, meant)
      assert.equal(all.length, 1, 'more was said, or more than once')
      assert.equal(all[0]?.name, 'BanditsWarning')
      const { ok, warnings: told } = bandits.health()
      assert.equal(ok, true)
      assertSaid(told, path, meant)
      assert.match(told[0] ?? '', /: found 3 times/)
    })
  }

  test('with `prepare()`, which needs no engine', async (t) => {
    const heard = warnings(t)
    for (let i = 0; i < 3; i++) prepare(/** @type {any} */ ([{ id: 'a', features: { is_over_due: true } }]))
    assertSaid((await heard()).map(({ message }) => message), 'candidates[0].features.is_over_due', 'isOverdue')
  })

  test('changes nothing of what a call does', (t) => {
    const [silent, warned] = [openEngine(t, { unknownKeys: 'ignore' }), openEngine(t)]
    for (const bandits of [silent, warned]) {
      for (const [, , call] of WRONG) call(bandits, bandits.recommend({ userId: 'u', candidates: [{ id: 'a' }] }).decisionId)
    }
    const timeless = (/** @type {Bandits} */ bandits) => standingOf(bandits, ['u']).map((standing) => JSON.stringify(standing).replace(/"\d{4}-[^"]*Z"/g, '"…"'))
    assert.deepEqual(timeless(warned), timeless(silent))
  })

  test('is heard of a misspelling that begins late, of any of many candidates and requests', async (t) => {
    const { bandits } = open(t)
    const heard = warnings(t)
    const good = Array.from({ length: 1000 }, (_none, i) => ({ id: `c${i}`, features: { priority: 2 } }))
    for (let i = 0; i < 200; i++) bandits.score({ userId: 'u', candidates: good })
    const bad = /** @type {any} */ (good.map(({ id }) => ({ id, features: { Priority: 4 } })))
    for (let i = 0; i < 2048; i++) bandits.score({ userId: 'u', candidates: bad.slice(0, 20) })
    assertSaid((await heard()).map(({ message }) => message), 'candidates[0].features.Priority', 'priority')
  })

  test('calls of another kind are looked at from their first on', async (t) => {
    const { bandits, decisionId } = open(t)
    const heard = warnings(t)
    for (let i = 0; i < 300; i++) bandits.score({ userId: 'u', candidates: [{ id: 'a' }] })
    bandits.feedback(/** @type {any} */ ({ decisionId, action: 'done', At: 5 }))
    assert.equal((await heard()).length, 1)
  })

  test('is bounded, whatever keys are made of', async (t) => {
    const { bandits } = open(t)
    const heard = warnings(t)
    const context = Object.fromEntries(Array.from({ length: 5000 }, (_none, i) => [`k${i}${'x'.repeat(300)}\u001b[31m`, 1]))
    for (let i = 0; i < 3; i++) bandits.score({ userId: 'u', candidates: [{ id: 'a' }], context })
    const all = await heard()
    assert.equal(all.length, MOST_KINDS + 1)
    const told = bandits.health().warnings
    assert.equal(told.length, MOST_KINDS + 1)
    assert.match(told.at(-1) ?? '', /14904 times/)
    // oxlint-disable-next-line no-control-regex -- the subject
    for (const text of [...told, ...all.map(({ message }) => message)]) assert.ok(text.length < 500 && !/\u001b/.test(text), text)
  })
})

describe('refuse', () => {
  for (const [path, meant, call] of WRONG) {
    test(`${call.toString().slice(call.toString().indexOf('=>') + 3)}`, (t) => {
      const { bandits, decisionId } = open(t, { unknownKeys: 'refuse' })
      const before = standingOf(bandits, ['u'])
      // Each call, not only the first ones.
      for (let i = 0; i < 200; i++) assertRefuses(() => call(bandits, decisionId), INVALID, path)
      assert.throws(() => call(bandits, decisionId), ({ message }) => (meant === undefined ? /got .*; known: /.test(message) : message.endsWith(`did you mean ${meant}?`)))
      assert.deepEqual(standingOf(bandits, ['u']), before)
    })
  }
  for (const [path, meant, call] of WRONG_ASYNC) {
    test(`${call.toString().slice(call.toString().indexOf('=>') + 3)}`, async (t) => {
      const { bandits, decisionId } = open(t, { unknownKeys: 'refuse' })
      await assertRejects(() => Promise.resolve(call(bandits, decisionId)), INVALID, path)
      if (meant !== undefined) await assert.rejects(Promise.resolve(call(bandits, decisionId)), ({ message }) => message.endsWith(`did you mean ${meant}?`))
    })
  }

  test('names the value', (t) => {
    const { bandits } = open(t, { unknownKeys: 'refuse' })
    assert.throws(() => bandits.score(/** @type {any} */ ({ userId: 'u', candidates: [{ id: 'a', features: { isOverDue: true } }] })), {
      code: INVALID, retryable: false, message: 'candidates[0].features.isOverDue: no such key, got true; did you mean isOverdue?',
    })
    assert.throws(() => bandits.score(/** @type {any} */ ({ userId: 'u', candidates: [{ id: 'a' }], 'a "b\n': 'x'.repeat(100) })), ({ message }) =>
      message === `["a \\"b\\n"]: no such key, got "${'x'.repeat(60)}"… (100 characters); known: userId, candidates, context, profileFeatures, policy, mask`)
  })

  test('any of 1,000 candidates, and of 300 requests', (t) => {
    const { bandits } = open(t, { unknownKeys: 'refuse' })
    const many = Array.from({ length: 1000 }, (_none, i) => ({ id: `c${i}`, features: i === 777 ? { priorty: 2 } : {} }))
    for (let i = 0; i < 3; i++) assertRefuses(() => bandits.score(/** @type {any} */ ({ userId: 'u', candidates: many })), INVALID, 'candidates[777].features.priorty')
    const requests = Array.from({ length: 300 }, (_none, i) => ({ userId: 'u', candidates: [{ id: 'a' }], context: i === 299 ? { hour: 2 } : {} }))
    for (let i = 0; i < 3; i++) assertRefuses(() => bandits.scoreMany(requests), INVALID, 'requests[299].context.hour')
  })

  test('also what getters and proxies give', (t) => {
    const { bandits } = open(t, { unknownKeys: 'refuse' })
    class Request { userId = 'u'; candidates = [{ id: 'a' }]; get context() { return { hour: 3 } } }
    assertRefuses(() => bandits.score(/** @type {any} */ (new Request())), INVALID, 'context.hour')
    assertRefuses(() => bandits.score({ userId: 'u', candidates: [{ id: 'a', features: new Proxy(/** @type {any} */ ({ isOverDue: true }), {}) }] }), INVALID, 'candidates[0].features.isOverDue')
    const error = new Error('from the trap')
    const request = new Proxy(/** @type {any} */ ({ userId: 'u', candidates: [{ id: 'a' }] }), { ownKeys: () => { throw error } })
    assert.throws(() => bandits.score(request), (thrown) => thrown === error)
  })

  test('takes all that is right', (t) => {
    const { bandits, decisionId } = open(t, { unknownKeys: 'refuse' })
    const features = { isOverdue: true, taskAgeDays: 1, priority: 2 }
    const profileFeatures = { completionRate30d: 1, dismissRate30d: 1, meanDwellMs30d: 1, preferredHour: 1, tipVolume30d: 1, computedAt: 'now' }
    const candidates = [{ id: 'a', content: '', source: 's', sourceId: null, features, promptVersion: 'v1', rationale: 'generated', title: 'carried', priority: 3 }]
    const request = { userId: 'u', candidates, context: { hourOfDay: 1, dayOfWeek: 2 }, profileFeatures }
    bandits.score({ ...request, policy: 'linucb-v1', mask: [true] })
    bandits.scoreMany([{ ...request, policy: undefined }, { ...request, candidates: bandits.prepare(candidates) }])
    bandits.recommend({ ...request, mask: [true], holdout: 0.5, explain: true })
    bandits.reward({ userId: 'u', tipId: 'a', reward: 1, features: { ...features, hourOfDay: 3 }, dayOfWeek: 1, profileFeatures, policy: 'linucb-v1' })
    bandits.feedback({ decisionId, action: 'done', reward: 1, at: Date.now(), userId: 'u' })
    assert.deepEqual(bandits.health().warnings, [])
  })
})

describe('what is no mistake', () => {
  for (const unknownKeys of /** @type {const} */ (['warn', 'refuse'])) {
    test(`with ${unknownKeys}`, async (t) => {
      const { bandits } = open(t, { unknownKeys })
      const heard = warnings(t)
      class Features {
        #kept = true
        is_overdue = true
        createdAt = 0
        get isOverdue() { return this.#kept && this.is_overdue }
      }
      class Task { id = 'task'; title = 'carried'; get features() { return new Features() } }
      const bare = Object.assign(Object.create(null), { id: 'bare', features: Object.assign(Object.create(null), { priority: 4 }) })
      const inherited = Object.create({ id: 'inherited', features: { priority: 3 } })
      const hidden = Object.defineProperty({ priority: 2 }, 'isOverDue', { value: true, enumerable: false })
      const candidates = [new Task(), bare, inherited, { id: 'hidden', features: hidden }, { id: 'symbol', features: { [Symbol('isOverDue')]: true } },
        { id: 'undefined', features: { isOverDue: undefined } }, { id: 'generated', content: 'x', source: 'llm', rationale: 'because', promptVersion: 'v1' },
        { id: 'carried', age: 4, due: 'now', Source: 'x', features: {}, isOverdue: true, priority: 4 },
        vm.runInNewContext("({ id: 'foreign', features: { priority: 3 } })")]
      for (let i = 0; i < 100; i++) {
        bandits.score(/** @type {any} */ ({ userId: 'u', candidates, context: Object.freeze({ hourOfDay: 3, hour: undefined }), [Symbol('userID')]: 1 }))
        bandits.recommend({ userId: 'u', candidates })
        bandits.prepare(candidates)
      }
      assert.deepEqual(await heard(), [])
      assert.deepEqual(bandits.health().warnings, [])
    })

    test(`what is meant for features, beside them, is told of, and candidates may carry it, with ${unknownKeys}`, async (t) => {
      const { bandits } = open(t, { unknownKeys })
      const heard = warnings(t)
      const candidates = /** @type {any} */ ([{ id: 'a', is_overdue: true }, { id: 'b', Features: { priority: 3 } }, { id: 'c', features: {}, prompt_version: 'v1' }])
      for (let i = 0; i < 3; i++) bandits.score({ userId: 'u', candidates })
      const said = (await heard()).map(({ message }) => message)
      assertSaid(said, 'candidates[].is_overdue', 'features.isOverdue')
      assertSaid(said, 'candidates[].Features', 'features')
      assertSaid(said, 'candidates[].prompt_version', 'promptVersion')
      assert.deepEqual([said.length, bandits.health().warnings.length], [3, 3])
    })
  }

  test('a look asks no getter and no proxy', (t) => {
    const { bandits } = open(t)
    let asked = 0
    const count = (/** @type {object} */ target) => new Proxy(target, { ownKeys: () => assert.fail('keys'), getOwnPropertyDescriptor: () => assert.fail('descriptor'), getPrototypeOf: () => assert.fail('prototype') })
    const features = { get priority() { asked++; return 3 }, get isOverDue() { return assert.fail('nobody asks') } }
    const request = { userId: 'u', candidates: [count({ id: 'a' }), { id: 'b', features }], get context() { asked++; return {} } }
    for (let i = 1; i <= 100; i++) {
      bandits.score(count({ userId: 'u', candidates: [{ id: 'a' }] }))
      bandits.score({ userId: 'u', candidates: count([{ id: 'a' }]), context: count({}) })
      bandits.score(/** @type {any} */ (request))
      assert.equal(asked, 2 * i)
    }
    // That it is there can be seen without asking it.
    assert.match(bandits.health().warnings.join(), /isOverDue/)
  })
})

describe('ignore', () => {
  test('says nothing', async (t) => {
    const { bandits, decisionId } = open(t, { unknownKeys: 'ignore' })
    const heard = warnings(t)
    for (const [, , call] of [...WRONG, ...WRONG_ASYNC]) for (let i = 0; i < 3; i++) await Promise.resolve(call(bandits, decisionId)).catch(() => undefined)
    assert.deepEqual(await heard(), [])
    assert.deepEqual(bandits.health().warnings.filter((warning) => /does not know/.test(warning)), [])
  })
})

describe('the option', () => {
  test('is one of three', (t) => {
    for (const unknownKeys of /** @type {any[]} */ (['', 'error', 'WARN', 5, true, {}, ['warn'], Symbol('s')])) assertRefuses(() => openEngine(t, { unknownKeys }), INVALID, 'options.unknownKeys')
    for (const unknownKeys of /** @type {any[]} */ ([undefined, null])) openEngine(t, { unknownKeys })
  })

  test("is each opener's own", (t) => {
    const stateDir = emptyDirectory(t)
    const [strict, other] = [openEngine(t, { stateDir, unknownKeys: 'refuse' }), openEngine(t, { stateDir, unknownKeys: 'ignore' })]
    const request = /** @type {any} */ ({ userId: 'u', candidates: [{ id: 'a' }], Context: {} })
    assertRefuses(() => strict.score(request), INVALID, 'Context')
    assert.equal(other.score(request).tipId, 'a')
  })
})

describe('what was refused before is refused in any mode, with what was meant', () => {
  for (const unknownKeys of /** @type {const} */ (['warn', 'refuse', 'ignore'])) {
    test(unknownKeys, async (t) => {
      const { bandits } = open(t, { unknownKeys })
      const b = /** @type {any} */ (bandits)
      /** @type {[() => unknown, RegExp][]} */
      const calls = [
        [() => openEngine(t, /** @type {any} */ ({ unknownKeys, maxreward: 5 })), /^options: no option "maxreward"; did you mean maxReward\?$/],
        [() => openEngine(t, /** @type {any} */ ({ unknownkeys: 'refuse' })), /^options: no option "unknownkeys"; did you mean unknownKeys\?$/],
        [() => openEngine(t, /** @type {any} */ ({ masterKey: 'secret' })), /^options: no option "masterKey"; did you mean litellm.masterKey\?$/],
        [() => openEngine(t, { nats: /** @type {any} */ ({ durable_prefix: 'x' }) }), /^options: no option "nats.durable_prefix"; did you mean nats.durablePrefix\?$/],
        [() => openEngine(t, { litellm: /** @type {any} */ ({ master_key: 'secret' }) }), /^options: no option "litellm.master_key"; did you mean litellm.masterKey\?$/],
        [() => openEngine(t, { litellm: { prompts: /** @type {any} */ ([{ version: 'x', txt: '' }]) } }), /^options.litellm.prompts\[0\]: no part "txt"; did you mean text\?$/],
        [() => openEngine(t, { rewards: /** @type {any} */ ({ dismissed: 1 }) }), /^options.rewards: no action "dismissed"; did you mean dismiss\?$/],
        [() => bandits.setPolicy('linucb-v1', /** @type {any} */ ({ mode: 'active', user_id: 'u' })), /^change: no key "user_id"; did you mean userId\?$/],
        [() => bandits.events(/** @type {any} */ ({ since: 5 })), /^filter: no key "since"; did you mean sinceSeq\?$/],
        [() => b.decisions({ from: 1 }), /^query: no key "from"; known: /],
        [() => b.analytics({ groupBy: 'day' }), /^query: no key "groupBy"; known: /],
        [() => b.dataQuality({ Since: 1 }), /^query: no key "Since"; did you mean since\?$/],
        [() => b.users({ limits: 1 }), /^query: no key "limits"; did you mean limit\?$/],
        [() => b.simulate({ policy: 'linucb-v1', min_effective: 1 }), /^query: no key "min_effective"; did you mean minEffective\?$/],
        [() => replay('x', 'y', /** @type {any} */ ({ historysize: 1 })), /^options: no option "historysize"; did you mean historySize\?$/],
        [() => replay('x', 'y', /** @type {any} */ ({ seed: 1 })), /^options: no option "seed"; known: historySize, revisableDecisions$/],
      ]
      for (const [call, message] of calls) {
        await assert.rejects(async () => call(), (/** @type {any} */ error) => {
          assert.match(error.message, message)
          assert.equal(error.code, INVALID)
          assert.ok(!error.message.includes('secret'))
          return true
        })
      }
    })
  }
})
