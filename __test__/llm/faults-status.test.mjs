// @ts-check
// Statuses of the LLM proxy that are none of success: those that may pass are tried again twice, as late as the proxy asks for, the
// others end the call at once. The server counts.

import assert from 'node:assert/strict'
import { describe, test } from 'node:test'

import { assertFault, echoOf } from '../support/llm-faults.mjs'
import { assertNoKey, everythingOf, formsOf, KEY, startLlm } from '../support/llm-engine.mjs'
import { failure, inTurn, startLlmServer, tips } from '../support/llm-server.mjs'

/** @typedef {import('../support/llm-server.mjs').Answer} Answer */
/** @typedef {import('../support/llm-faults.mjs').Fault} Fault */
/** @typedef {import('../support/llm-faults.mjs').End} End */

const GOOD = tips([{ id: 'a', content: 'Water the plants' }])
/** @type {import('@oo/bandits').BanditErrorCode} */
const code = 'ERR_LLM_STATUS'

/** In the proxy's form, with all that it was told. @param {number} status @param {Record<string, string>} [headers] @returns {Answer} */
const refusal = (status, headers = {}) => (response, received) => failure(status, `got ${echoOf(received)}, ${formsOf(KEY).join(' ')}`, { 'x-echo': echoOf(received), ...headers })(response, received)

/** @param {number} status @param {string} type @param {(echo: string) => string} text @returns {Answer} */
const page = (status, type, text) => (response, received) => {
  response.writeHead(status, { 'content-type': type }).end(text(echoOf(received)))
}

/** Ends at the first. @param {number} status @param {Partial<End>} [more] @returns {End} */
const once = (status, more) => ({ code, status, retryable: false, requests: 1, ...more })
/** Ends at the third. @param {number} status @param {Partial<End>} [more] @returns {End} */
const thrice = (status, more) => ({ code, status, requests: 3, ...more })

/** @type {Record<string, Fault>} */
const PASSING = {
  '429': { answer: refusal(429), ends: thrice(429, { message: /429.*\*\*\*/s }) },
  '500': { answer: refusal(500), ends: thrice(500, { message: /500.*\*\*\*/s }) },
  // A proxy without a database says so to who has no key.
  '500 in plain text': { answer: page(500, 'text/plain', (echo) => `Internal Server Error ${echo}`), ends: thrice(500, { message: /Internal Server Error/ }) },
  '500 without a body': { answer: page(500, 'text/plain', () => ''), ends: thrice(500) },
  '502 in HTML': { answer: page(502, 'text/html', (echo) => `<html><h1>Bad Gateway</h1>\n<!-- ${echo} --></html>`), ends: thrice(502, { message: /Bad Gateway/ }) },
  '503': { answer: refusal(503), ends: thrice(503) },
  '504': { answer: refusal(504), ends: thrice(504) },
  '599': { answer: refusal(599), ends: thrice(599) },
  '503, then an answer': { answer: inTurn(refusal(503), GOOD), ends: { requests: 2 } },
  '429, 500, then an answer': { answer: inTurn(refusal(429), refusal(500), GOOD), ends: { requests: 3 }, endsSoon: { code, status: 500, requests: 2 } },
  '429, 500, 503': { answer: inTurn(refusal(429), refusal(500), refusal(503)), ends: thrice(503), endsSoon: { status: 500, requests: 2 } },
  '503, then 401': { answer: inTurn(refusal(503), refusal(401)), ends: once(401, { requests: 2 }) },
  'a status that never ends': { answer: (response) => { response.writeHead(503).write('no') }, litellm: { timeoutMs: 150 }, ends: thrice(503) },
}

/** @type {Record<string, Fault>} */
const FINAL = {
  // A proxy without a database says so to who has a wrong key.
  '400 in JSON': { answer: refusal(400), ends: once(400, { message: /400.*\*\*\*/s }) },
  '401 in JSON': { answer: refusal(401), ends: once(401, { message: /401.*\*\*\*/s }) },
  '403': { answer: refusal(403), ends: once(403) },
  '404': { answer: page(404, 'text/html', (echo) => `<html>Not Found ${echo}</html>`), ends: once(404, { message: /Not Found/ }) },
  '405': { answer: refusal(405), ends: once(405) },
  '408': { answer: refusal(408), ends: once(408, { retryable: true }) },
  '408 with Retry-After': { answer: refusal(408, { 'retry-after': '1' }), ends: once(408, { retryable: true }) },
  '413': { answer: refusal(413), ends: once(413) },
  '422': { answer: refusal(422), ends: once(422) },
  '304': { answer: (response) => { response.writeHead(304).end() }, ends: once(304) },
  '401 that never ends': { answer: (response) => { response.writeHead(401).write('no') }, litellm: { timeoutMs: 150 }, ends: once(401) },
}

describe('tried again twice:', { concurrency: 4 }, () => {
  for (const [name, fault] of Object.entries(PASSING)) {
    test(name, async (t) => {
      const { requests } = await assertFault(t, fault)
      for (const [i, { at }] of requests.slice(1).entries()) {
        const gap = at - Number(requests[i]?.at)
        // The machine may be late, the package must not be early.
        assert.ok(gap >= 245 * 2 ** i && gap < 375 * 2 ** i + 1500, `${gap} ms before request ${i + 2}`)
      }
    })
  }
})

describe('said at once:', { concurrency: 4 }, () => {
  for (const [name, fault] of Object.entries(FINAL)) test(name, async (t) => { await assertFault(t, fault) })
})

describe('a redirect is not followed:', { concurrency: 4 }, () => {
  for (const status of [301, 302, 303, 307, 308]) {
    for (const where of ['elsewhere', 'to another path']) {
      test(`${status} ${where}`, async (t) => {
        const target = await startLlmServer(t, GOOD)
        const answer = /** @type {Answer} */ ((response, received) => refusal(status, { location: `${where === 'elsewhere' ? target.url : ''}/long/other?key=${encodeURIComponent(echoOf(received))}` })(response, received))
        await assertFault(t, { answer, ends: once(status) })
        assert.deepEqual([target.requests.length, target.connections], [0, 0])
      })
    }
  }
})

describe('Retry-After', { concurrency: 4 }, () => {
  /** @param {number} inMs */
  const date = (inMs) => new Date(Date.now() + inMs).toUTCString()
  const AT_ONCE = { withinMs: 5000 }

  for (const status of [429, 503]) {
    test(`of ${status} in seconds is waited for`, async (t) => {
      const { requests: [first, second] } = await assertFault(t, { answer: inTurn(refusal(status, { 'retry-after': '1' }), GOOD), ends: { requests: 2 }, endsSoon: { code, status, requests: 1 } })
      const gap = Number(second?.at) - Number(first?.at)
      assert.ok(gap >= 995 && gap < 3000, `${gap} ms`)
    })

    for (const [headers, ms] of /** @type {[Record<string, string>, number][]} */ ([
      [{ 'retry-after': '1.5' }, 1500],
      [{ 'retry-after-ms': '750', 'retry-after': '30' }, 750],
      [{ 'retry-after': 'soon', 'llm_provider-retry-after': '1.25' }, 1250],
    ])) {
      test(`of ${status} in parts of a second is waited for: ${JSON.stringify(headers)}`, async (t) => {
        const { requests: [first, second] } = await assertFault(t, { answer: inTurn(refusal(status, headers), GOOD), ends: { requests: 2 }, endsSoon: { code, status, requests: 1 } })
        const gap = Number(second?.at) - Number(first?.at)
        assert.ok(gap >= ms - 5 && gap < ms + 2500, `${gap} ms`)
      })
    }

    test(`of ${status} as a date is waited for`, async (t) => {
      let due = 0
      const { requests: [, second] } = await assertFault(t, {
        answer: inTurn((response, received) => {
          const text = date(2500)
          due = received.path.startsWith('/long') ? Date.parse(text) : due
          refusal(status, { 'retry-after': text })(response, received)
        }, GOOD),
        ends: { requests: 2 },
        endsSoon: { code, status, requests: 1 },
      })
      const late = performance.timeOrigin + Number(second?.at) - due
      assert.ok(late >= -5 && late < 2000, `${late} ms after it`)
    })
  }

  /** @type {[name: string, header: () => string][]} */
  const beyond = [['an hour', () => '3600'], ['a date', () => date(3_600_000)], ['a year of four digits', () => 'Fri, 31 Dec 9999 23:59:59 GMT'], ['2^32', () => String(2 ** 32)], ['2^63', () => String(2n ** 63n)], ['2^64 - 1', () => String(2n ** 64n - 1n)], ['2^64', () => String(2n ** 64n)], ['forty digits', () => '9'.repeat(40)], ['an hour and a half', () => '5400.5']]
  for (const [name, header] of beyond) {
    test(`past the deadline ends the call at once: ${name}`, async (t) => {
      await assertFault(t, { answer: (response, received) => refusal(429, { 'retry-after': header() })(response, received), ends: once(429, { retryable: true, ...AT_ONCE }) })
    })
  }

  /** @type {[name: string, header: () => string][]} */
  const meaningless = [['0', () => '0'], ['a word', () => 'soon'], ['nothing', () => ''], ['a negative number', () => '-5'], ['a negative decimal', () => '-0.5'], ['an exponent', () => '1e3'], ['infinity', () => 'inf'], ['a unit', () => '30s'], ['a date in the past', () => date(-60_000)], ['bytes', () => 'caf\xe9']]
  for (const [name, header] of meaningless) {
    test(`that says nothing changes nothing: ${name}`, async (t) => {
      await assertFault(t, { answer: (response, received) => refusal(429, { 'retry-after': header() })(response, received), ends: thrice(429, { withinMs: 10_000 }) })
    })
  }
})

test('when a limit is whole again is not waited for: a request may get through before', async (t) => {
  const headers = { 'x-ratelimit-reset-requests': '1h0m0s', 'x-ratelimit-reset-tokens': '59.5s', 'x-ratelimit-reset': '1796112000', 'x-ratelimit-remaining-requests': '0' }
  await assertFault(t, { answer: inTurn(refusal(429, headers), GOOD), ends: { requests: 2, withinMs: 5000 } })
})

describe('what an error says of the body', () => {
  /** @param {import('node:test').TestContext} t @param {string | Buffer} body @param {string} [masterKey] */
  async function messageOn(t, body, masterKey = KEY) {
    const { bandits } = await startLlm(t, (response) => { response.writeHead(401).end(body) }, { masterKey })
    const error = await bandits.generate({ userId: 'u' }).then(() => assert.fail('it succeeded'), (thrown) => thrown)
    assert.equal(error.code, code)
    assertNoKey(`${everythingOf(error)}${JSON.stringify(bandits.health())}`, masterKey)
    return String(error.message)
  }

  test('is its first 200 characters', async (t) => {
    for (const letter of ['x', 'é', '😀']) {
      const message = await messageOn(t, letter.repeat(1000))
      assert.ok(message.includes(letter.repeat(200)), message)
      assert.ok(!message.includes(letter.repeat(201)), message)
    }
  })

  test('holds no part of a key, wherever it stands', async (t) => {
    for (let before = 200 - KEY.length - 2; before <= 200; before += 3) {
      const message = await messageOn(t, `${'x'.repeat(before)}${KEY}${'y'.repeat(50)}`)
      assert.ok(!message.includes(KEY.slice(0, 6)), message)
    }
  })

  test('holds no part of a key where reading stops', async (t) => {
    const { bandits } = await startLlm(t, (response) => {
      const room = ' '.repeat(1 << 16)
      // As much as is read ends in the midst of the key; what follows comes when that has been seen.
      response.writeHead(401, { 'content-length': String(room.length + KEY.length) }).write(`${room}${KEY.slice(0, 12)}`)
      response.on('close', () => response.end(KEY.slice(12)))
    })
    const error = await bandits.generate({ userId: 'u' }).then(() => assert.fail('it succeeded'), (thrown) => thrown)
    assert.equal(error.status, 401)
    assert.ok(!everythingOf(error).includes(KEY.slice(0, 6)), error.message)
  })

  test('holds no key that JSON writes in another way', async (t) => {
    const key = 'sk-"quoted"\\and-more/42'
    assert.match(await messageOn(t, JSON.stringify({ error: { message: `no such key: ${key}.` } }), key), /no such key: \*\*\*\./)
    assert.match(await messageOn(t, `no such key: ${key}.`, key), /no such key: \*\*\*\./)
  })

  test('is text, whatever it is', async (t) => {
    const message = await messageOn(t, Buffer.concat([Buffer.from([0xff, 0xfe, 0, 0x1b, 0x0a]), Buffer.from(`${KEY} and more`)]))
    assert.ok(message.isWellFormed())
    assert.match(message, /\*\*\* and more/)
  })
})

test('an error status whose body does not come is not waited for', async (t) => {
  await assertFault(t, { answer: (response) => { response.writeHead(401).write('half of ') }, ends: { ...once(401), message: /401: /, withinMs: 5000 } })
})

test('an error status without an end is not read to its end', async (t) => {
  let taken = 0
  const chunk = Buffer.alloc(1 << 16, 'x')
  const { long } = await assertFault(t, {
    answer: (response) => {
      response.writeHead(401)
      const more = () => {
        while (!response.destroyed && response.write(chunk)) taken += chunk.length
        taken += chunk.length
      }
      response.on('drain', more)
      more()
    },
    ends: once(401),
  })
  assert.ok(taken < 20 << 20, `${taken} bytes were sent in two calls`)
  assert.ok(long.grown < 20 << 20, `the process grew by ${long.grown}`)
})
