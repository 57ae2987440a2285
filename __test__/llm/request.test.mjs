// @ts-check
// What generate() refuses before it asks anybody, by the path of what is wrong; and the request that the proxy gets of what it takes.

import assert from 'node:assert/strict'
import { after, describe, test } from 'node:test'

import { KEY, openOnLlm } from '../support/llm-engine.mjs'
import { startLlmServer, tips } from '../support/llm-server.mjs'
import { assertRefusal } from '../support/refusal.mjs'

const INVALID = 'ERR_INVALID_ARGUMENT'
const LONE = 'a\ud800b'
const circular = { id: 'a' }
Object.assign(circular, { circular })

/** @type {(() => unknown)[]} */
const hooks = []
const suite = { after: (/** @type {() => unknown} */ hook) => hooks.push(hook) }
const server = await startLlmServer(suite, tips([{ id: 'a', content: 'Water the plants' }]))
const bandits = openOnLlm(suite, server.url)
after(async () => {
  for (const hook of hooks) await hook()
})

/** Refused by a rejection, with no request. @param {unknown} request @param {string} [path] @param {string} [code] @param {unknown} [options] */
async function assertRefused(request, path, code = INVALID, options) {
  const asked = server.requests.length
  /** @type {Promise<unknown>} */
  let call
  try {
    call = bandits.generate(/** @type {any} */ (request), /** @type {any} */ (options))
  } catch (error) {
    assert.fail(`it threw: ${String(error)}`)
  }
  await assert.rejects(call, (error) => assertRefusal(error, code, path))
  assert.equal(server.requests.length, asked)
  assert.deepEqual([bandits.health().litellm.inFlight, bandits.health().litellm.waiting], [0, 0])
}

const NOT_OBJECTS = [null, 5, NaN, 'text', '', true, false, [], [{}], 5n, Symbol('s'), () => ({})]
const NOT_WHOLE = [null, NaN, Infinity, 1.5, -1, '3', true, {}, [], 5n, Symbol('s'), () => 3]

describe('refused', () => {
  /** @type {[string, unknown[], (value: any) => unknown][]} */
  const cases = [
    ['request', [undefined, ...NOT_OBJECTS], (value) => value],
    ['userId', [undefined, null, 5, '', 'x'.repeat(513), LONE, {}, ['u'], Symbol('s'), () => 'u'], (userId) => ({ userId })],
    ['n', [0, 21, ...NOT_WHOLE], (n) => ({ userId: 'u', n })],
    ['promptVersion', [null, 5, {}, ['v1'], true, Symbol('s'), () => 'v1'], (promptVersion) => ({ userId: 'u', promptVersion })],
    ['context', NOT_OBJECTS, (context) => ({ userId: 'u', context })],
    ['context.hourOfDay', [24, ...NOT_WHOLE], (hourOfDay) => ({ userId: 'u', context: { hourOfDay } })],
    ['context.dayOfWeek', [7, ...NOT_WHOLE], (dayOfWeek) => ({ userId: 'u', context: { dayOfWeek } })],
    ['context.tasks', [null, 5, 'text', true, {}, { length: 1, 0: {} }, 5n, Symbol('s'), () => []], (tasks) => ({ userId: 'u', context: { tasks } })],
    ['context.tasks[1]', [undefined, ...NOT_OBJECTS, new Map([['content', 'a']]), new Set()], (task) => ({ userId: 'u', context: { tasks: [{ content: 'a' }, task] } })],
    ['context.tasks', [circular, { a: 5n }, { deep: [{ a: 5n }] }, new Date(0), new URL('http://a')], (task) => ({ userId: 'u', context: { tasks: [{ content: 'a' }, task] } })],
    ['context.extra', [...NOT_OBJECTS, new Date(0), circular, { a: 5n }], (extra) => ({ userId: 'u', context: { extra } })],
  ]
  for (const [path, values, request] of cases) {
    for (const value of values) {
      test(`${path}: ${typeof value} ${typeof value === 'object' ? Object.prototype.toString.call(value) : String(value).slice(0, 20)}`, () => assertRefused(request(value), path))
    }
  }

  test('options.signal', async () => {
    for (const signal of [null, 5, 'abort', {}, { aborted: false }, [], new AbortController(), new EventTarget(), () => 1]) await assertRefused({ userId: 'u' }, 'options.signal', INVALID, { signal })
  })

  test('options', async () => {
    for (const options of [null, 5, 'text', [], new AbortController().signal]) await assertRefused({ userId: 'u' }, 'options', INVALID, options)
  })

  test('profileFeatures', async () => {
    for (const profileFeatures of [5, 'text', true, () => 1]) await assertRefused({ userId: 'u', profileFeatures }, 'profileFeatures')
  })

  test('a prompt that there is not, with those that there are', async () => {
    for (const promptVersion of ['v9', '', 'V1', ' v1', 'v1,v2-mentor', '__proto__', 'constructor', 'x'.repeat(10_000)]) await assertRefused({ userId: 'u', promptVersion }, 'promptVersion', 'ERR_UNKNOWN_PROMPT_VERSION')
    const versions = bandits.prompts().map(({ version }) => version)
    assert.ok(versions.length >= 3)
    await assert.rejects(bandits.generate({ userId: 'u', promptVersion: 'v9' }), (error) => {
      const { message } = /** @type {Error} */ (error)
      assert.match(message, /"v9"/)
      for (const version of versions) assert.ok(message.includes(version), message)
      return true
    })
  })

  test('more than is sent: extra of over 4,096 bytes, tasks of over 256 KiB', async () => {
    const sized = (/** @type {number} */ bytes, unit = 'x') => ({ a: unit.repeat((bytes - '{"a":""}'.length) / Buffer.byteLength(unit)) })
    await assertRefused({ userId: 'u', context: { extra: sized(4097) } }, 'context.extra')
    await assertRefused({ userId: 'u', context: { extra: sized(4100, 'é') } }, 'context.extra')
    await bandits.generate({ userId: 'u', context: { extra: sized(4096) } })
    await bandits.generate({ userId: 'u', context: { extra: sized(4096, 'é') } })
    await assertRefused({ userId: 'u', context: { tasks: [sized((1 << 18) - 1)] } }, 'context.tasks')
    await assertRefused({ userId: 'u', context: { tasks: Array.from({ length: 100_000 }, () => ({ content: 'Water the plants' })) } }, 'context.tasks')
    await bandits.generate({ userId: 'u', context: { tasks: [sized((1 << 18) - 2)] } })
  })

  test('by rejections that nobody need catch twice', async () => {
    const error = new Error('from the getter')
    const request = { get userId() { throw error } }
    await assert.rejects(bandits.generate(/** @type {any} */ (request)), (thrown) => thrown === error)
    const tasks = [{ get content() { throw error } }]
    await assert.rejects(bandits.generate({ userId: 'u', context: { tasks } }), (thrown) => thrown === error)
    const toJSON = [{ toJSON() { throw error } }]
    await assert.rejects(bandits.generate({ userId: 'u', context: { tasks: /** @type {any} */ (toJSON) } }), (thrown) => thrown === error)
  })
})

describe('taken', () => {
  test('the smallest and the largest of each', async () => {
    for (const request of [
      { userId: 'u', n: 1, context: { hourOfDay: 0, dayOfWeek: 0, tasks: [], extra: {} } },
      { userId: '😀'.repeat(256), n: 20, context: { hourOfDay: 23, dayOfWeek: 6 }, profileFeatures: null, promptVersion: undefined },
      { userId: 'u', context: undefined, n: undefined, profileFeatures: { preferredHour: 8 } },
      { userId: 'u', context: { tasks: Array.from({ length: 1000 }, (_task, i) => ({ content: `Task ${i}` })) } },
      { userId: 'u', context: { tasks: [Object.create(null), JSON.parse('{"__proto__":{"a":1}}'), { content: LONE, '\ud800': 1, undefined: undefined, nan: NaN, date: new Date(0) }] } },
    ]) assert.equal((await bandits.generate(request)).attempts, 1)
    await bandits.generate({ userId: 'u' }, undefined)
    await bandits.generate({ userId: 'u' }, {})
    await bandits.generate({ userId: 'u' }, { signal: undefined })
  })

  test('is sent in one form', async () => {
    await bandits.generate({ userId: 'never-told', context: { tasks: [{ content: 'Water the plants' }], hourOfDay: 9, dayOfWeek: 2, extra: { mood: 'cheerful' } }, n: 7 })
    const { method, path, headers, body } = server.requests.at(-1) ?? assert.fail()
    assert.deepEqual([method, path], ['POST', '/chat/completions'])
    assert.deepEqual([headers.authorization, headers['content-type'], headers.host], [`Bearer ${KEY}`, 'application/json', `127.0.0.1:${server.port}`])
    assert.deepEqual(Object.keys(body).sort(), ['messages', 'model', 'temperature'])
    assert.deepEqual([body.model, body.temperature, body.messages.map((/** @type {any} */ { role }) => role)], ['tip-generator', 0.7, ['system', 'user']])
    const user = body.messages[1].content
    for (const told of ['Water the plants', 'cheerful', '7']) assert.ok(user.includes(told), user)
    assert.ok(!JSON.stringify([headers, body]).includes('never-told'))
  })

  test('with half a character replaced, and nothing that only looks like one', async () => {
    await bandits.generate({ userId: 'u', context: { tasks: [{ title: LONE, note: 'a\\ud800b', '\\\ud800': 1 }] } })
    const user = server.requests.at(-1)?.body.messages[1].content
    assert.deepEqual(JSON.parse(/<tasks>\n(.*)\n/.exec(user)?.[1] ?? ''), { title: 'a\ufffdb', note: 'a\\ud800b', '\\\ufffd': 1 })
  })

  test('with the path that the URL has', async (t) => {
    for (const [url, path] of [['', '/chat/completions'], ['/', '/chat/completions'], ['/v1', '/v1/chat/completions'], ['/v1/', '/v1/chat/completions'], ['/a/b', '/a/b/chat/completions']]) {
      const own = openOnLlm(t, `${server.url}${url}`)
      await own.generate({ userId: 'u' })
      assert.equal(server.requests.at(-1)?.path, path)
    }
  })

  test('without a proxy that the environment names', async (t) => {
    const names = ['HTTP_PROXY', 'http_proxy', 'ALL_PROXY', 'all_proxy']
    t.after(() => { for (const name of names) delete process.env[name] })
    const proxy = await startLlmServer(t, tips([]))
    for (const name of names) process.env[name] = proxy.url
    await openOnLlm(t, server.url).generate({ userId: 'u' })
    assert.deepEqual([proxy.requests.length, proxy.connections], [0, 0])
  })
})
