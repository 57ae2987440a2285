// @ts-check
// Faults of the connection to the LLM proxy, and proxies that take too long: tried again twice, then said to be unreachable. The server
// counts.

import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'

import { assertFault, echoOf } from '../support/llm-faults.mjs'
import { marked, markOf, startLlm } from '../support/llm-engine.mjs'
import { completion, inTurn, startLlmServer, tips } from '../support/llm-server.mjs'
import { freePort } from '../support/ports.mjs'
import { until } from '../support/until.mjs'

/** @typedef {import('../support/llm-server.mjs').Answer} Answer */
/** @typedef {import('../support/llm-server.mjs').Response} Response */
/** @typedef {import('../support/llm-faults.mjs').Fault} Fault */

const GOOD = tips([{ id: 'a', content: 'Water the plants' }])
/** @type {import('@oo/bandits').BanditErrorCode} */
const code = 'ERR_LLM_UNREACHABLE'
const THRICE = { code, requests: 3 }
/** Long enough for an answer, short enough to wait for three times. */
const QUICK = { timeoutMs: 150 }

/** @param {Response} response */
const socketOf = (response) => /** @type {import('node:net').Socket} */ (response.socket)

/** Does something every 10 ms, for as long as there is a connection. @param {Response} response @param {() => unknown} step */
function drip(response, step) {
  const timer = setInterval(step, 10)
  response.on('close', () => clearInterval(timer))
  socketOf(response).on('close', () => clearInterval(timer))
}

/** Answers in part, with a length or in chunks, and then does something else. @param {(response: Response) => unknown} next @param {Record<string, string>} [headers] @returns {Answer} */
const partly = (next, headers = {}) => (response, received) => {
  response.writeHead(200, { 'content-type': 'application/json', 'x-echo': echoOf(received), ...headers })
  response.write(`{"id":"${echoOf(received)}","choices":[`, () => next(response))
}

/** Writes to the connection past HTTP's rules. @param {(received: import('../support/llm-server.mjs').Received) => string} text @returns {Answer} */
const raw = (text) => (response, received) => socketOf(response).end(text(received))

/** @type {Record<string, Fault>} */
const FAULTS = {
  'never answers': { answer: () => undefined, litellm: QUICK, ends: { ...THRICE, withinMs: 10_000 } },
  'never answers, and the deadline comes first': { answer: () => undefined, litellm: { deadlineMs: 400 }, ends: { code, requests: 1, message: /400 ms/, withinMs: 5000 }, endsSoon: { message: /600 ms/ } },
  'sends its headers too late': { answer: (response, received) => { setTimeout(() => GOOD(response, received), 400) }, litellm: QUICK, ends: THRICE },
  'drips its headers': { answer: (response) => drip(response, () => socketOf(response).write('H')), litellm: QUICK, ends: THRICE },
  'drips good headers': {
    answer: (response) => {
      socketOf(response).write('HTTP/1.1 200 OK\r\n')
      drip(response, () => socketOf(response).write('x-more: 1\r\n'))
    },
    litellm: QUICK,
    ends: THRICE,
  },
  'drips its body': { answer: partly((response) => drip(response, () => response.write(' '))), litellm: QUICK, ends: THRICE },
  'stops in the midst of its body': { answer: partly(() => undefined), litellm: QUICK, ends: THRICE },
  'resets before its headers': { answer: (response) => socketOf(response).resetAndDestroy(), ends: THRICE },
  'closes before its headers': { answer: (response) => socketOf(response).destroy(), ends: THRICE },
  'resets in the midst of its body': { answer: partly((response) => socketOf(response).resetAndDestroy(), { 'content-length': '1000' }), ends: THRICE },
  'closes in the midst of its body': { answer: partly((response) => socketOf(response).destroy(), { 'content-length': '1000' }), ends: THRICE },
  'closes between two chunks': { answer: partly((response) => socketOf(response).destroy()), ends: THRICE },
  'closes in the midst of its headers': { answer: raw(() => 'HTTP/1.1 200 OK\r\ncontent-'), ends: THRICE },
  'speaks something else than HTTP': { answer: raw((received) => `SSH-2.0-${echoOf(received)}\r\n`), ends: THRICE },
  'sends chunks that are none': { answer: raw((received) => `HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n${echoOf(received)}\r\n`), ends: THRICE },
  'sends headers without an end': { answer: raw((received) => `HTTP/1.1 200 OK\r\n${`x-more: ${echoOf(received)}\r\n`.repeat(100_000)}`), ends: THRICE },
  'is a name that nobody has': { url: 'http://nobody.invalid:4000', ends: { code, requests: 0, attempts: 3 } },
  'does not speak TLS': { url: 'https', ends: { code, requests: 0, attempts: 3 } },
  'listens no more': { url: 'closed', ends: { code, requests: 0, attempts: 3 } },
  'resets once': { answer: inTurn((response) => socketOf(response).resetAndDestroy(), GOOD), ends: { requests: 2 } },
  'resets twice': { answer: inTurn((response) => socketOf(response).resetAndDestroy(), (response) => socketOf(response).destroy(), GOOD), ends: { requests: 3 }, endsSoon: { code, requests: 2 } },
  'says first that it goes on': {
    answer: (response, received) => {
      response.writeContinue()
      response.writeProcessing()
      GOOD(response, received)
    },
    ends: { requests: 1 },
  },
  'sends byte by byte, in time': {
    answer: (response) => {
      const bytes = JSON.stringify(completion('[{"id":"a","content":"é"}]'))
      response.writeHead(200, { 'content-type': 'application/json' })
      let at = 0
      drip(response, () => {
        if (at >= bytes.length) response.end()
        else response.write(bytes.slice(at, at += 50))
      })
    },
    ends: { requests: 1 },
  },
}

describe('a proxy that', { concurrency: 4 }, () => {
  for (const [name, fault] of Object.entries(FAULTS)) {
    test(name, async (t) => {
      const url = fault.url === 'closed' ? `http://127.0.0.1:${await freePort()}` : fault.url === 'https' ? (await startLlmServer(t, GOOD)).url.replace('http', 'https') : fault.url
      const { requests, long } = await assertFault(t, { ...fault, ...(url !== undefined && { url }) })
      // Twice later, and later.
      for (const [i, { at }] of requests.slice(1).entries()) {
        const gap = at - Number(requests[i]?.at)
        assert.ok(gap >= 245 * 2 ** i, `${gap} ms before request ${i + 2}`)
      }
      if (long.health.attempts === 3) assert.ok(long.ms >= 745, `${long.ms} ms`)
    })
  }

  test('fails many calls at once is not asked again by all of them at once', async (t) => {
    const waits = []
    for (let round = 0; round < 8; round++) {
      /** @type {Map<string | undefined, number>} */
      const failedAt = new Map()
      const { server, bandits } = await startLlm(t, (response, received) => {
        if (failedAt.has(markOf(received))) return GOOD(response, received)
        failedAt.set(markOf(received), received.at)
        return socketOf(response).resetAndDestroy()
      })
      await Promise.all(Array.from({ length: 4 }, (_call, i) => bandits.generate(marked(`call ${i}`))))
      waits.push(...server.requests.slice(4).map((received) => received.at - Number(failedAt.get(markOf(received)))))
    }
    // 250 ms and up to a half more: that all 32 are within 60 ms is less than one chance in ten million.
    assert.equal(waits.length, 32)
    assert.ok(Math.max(...waits) - Math.min(...waits) > 60, waits.join())
  })

  test('has closed a connection that waited for the next call is asked on another', async (t) => {
    const { server, bandits } = await startLlm(t, (response, received) => {
      response.setHeader('keep-alive', 'timeout=100')
      GOOD(response, received)
    })
    for (let round = 1; round <= 5; round++) {
      await bandits.generate({ userId: 'u' })
      await bandits.generate({ userId: 'u' })
      server.disconnect()
      await until(() => server.open === 0, 'the server has closed its connections')
    }
    // One that is lost as it is used may cost a repeat, and reaches nobody.
    assert.equal(server.requests.length, 10)
    assert.ok(server.connections >= 5 && server.connections <= 10, `${server.connections} connections`)
    assert.deepEqual([bandits.health().litellm.succeeded, bandits.health().litellm.failed], [10, 0])
  })

  test('keeps connections is asked again on them after a while', async (t) => {
    const { server, bandits } = await startLlm(t, GOOD)
    for (let i = 0; i < 4; i++) {
      await bandits.generate({ userId: 'u' })
      await sleep(300)
    }
    assert.deepEqual([server.requests.length, server.connections], [4, 1])
  })

  test('keeps connections is asked again on them', async (t) => {
    const { server, bandits } = await startLlm(t, GOOD)
    for (let i = 0; i < 5; i++) await bandits.generate({ userId: 'u' })
    // A call may come before the last one's connection is put back.
    assert.equal(server.requests.length, 5)
    assert.ok(server.connections < 5, `${server.connections} connections`)
  })
})
