// @ts-check
// A fault of the LLM proxy, and what has to hold of a call of generate() that meets it, whatever the fault: it ends as documented, after
// as many requests as documented, in time, says nothing of the key, and leaves no socket.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'

import { assertNoKey, KEY } from './llm-engine.mjs'
import { startLlmServer } from './llm-server.mjs'
import { endWithUs } from './reaper.mjs'
import { emptyDirectory } from './state-dir.mjs'
import { until } from './until.mjs'

/** @typedef {import('./llm-server.mjs').Answer} Answer */
/** @typedef {import('./llm-server.mjs').Received} Received */
/** @typedef {import('./llm-scenario.mjs').Report} Report */
/** @typedef {import('@oo/bandits').LiteLlmOptions} LiteLlmOptions */

/**
 * How a call ends; without a code it succeeds.
 * @typedef {object} End
 * @property {import('@oo/bandits').BanditErrorCode} [code]
 * @property {number} [status]
 * @property {boolean} [retryable] else true
 * @property {number} requests counted at the server
 * @property {number} [attempts] counted by the package, where requests do not reach the server
 * @property {RegExp} [message]
 * @property {number} [withinMs]
 */
/**
 * @typedef {object} Fault
 * @property {Answer} [answer] numbers count the requests of one call
 * @property {string} [url] in place of the server's
 * @property {LiteLlmOptions} [litellm]
 * @property {End} ends
 * @property {Partial<End>} [endsSoon] how a call ends that has little time, where that is different; fewer requests are right as well
 */

const SCENARIO = fileURLToPath(new URL('llm-scenario.mjs', import.meta.url))
const SOON_MS = 600
/** What a call may take beyond its deadline on a busy machine. */
const SLACK_MS = 1000

/** What the server got as the key. @param {Received} received */
export const echoOf = ({ headers }) => String(headers.authorization)

/**
 * @param {import('./state-dir.mjs').TestContext} t
 * @param {Fault} fault
 */
export async function assertFault(t, { answer = () => assert.fail('it was asked'), url, litellm, ends, endsSoon = {} }) {
  /** By path, of which each call has its own. @type {Record<string, Received[]>} */
  const requests = { long: [], soon: [] }
  const server = await startLlmServer(t, (response, received) => {
    const of = requests[received.path.split('/')[1] ?? ''] ?? assert.fail(received.path)
    const own = { ...received, number: of.length + 1 }
    of.push(own)
    return answer(response, own)
  })
  const base = { masterKey: KEY, deadlineMs: 20_000, ...litellm }
  const runs = [{ ...base, url: `${url ?? server.url}/long` }, { ...base, url: `${url ?? server.url}/soon`, deadlineMs: SOON_MS }]
  const child = spawn(process.execPath, [SCENARIO, JSON.stringify({ stateDir: emptyDirectory(t), runs })], { stdio: 'pipe' })
  endWithUs(child)
  t.after(() => child.kill('SIGKILL'))
  const [stderr, ended] = [text(child.stderr), once(child, 'close')]
  const line = await Promise.race([firstLine(child.stdout), ended.then(async () => assert.fail(`the child ended: ${await stderr}`))])
  /** @type {Report[]} */
  const [long, soon] = JSON.parse(line)
  assert.ok(long !== undefined && soon !== undefined)
  await until(() => server.open === 0, 'no connection is left')
  child.stdin.end()
  assert.deepEqual([await ended, await stderr], [[0, null], ''])

  assertEnd(long, requests['long'] ?? [], ends)
  const { length } = requests['soon'] ?? []
  assertEnd(soon, requests['soon'] ?? [], { ...ends, attempts: soon.health.attempts, withinMs: SOON_MS + SLACK_MS, ...endsSoon, requests: Math.min(length, endsSoon.requests ?? ends.requests) })
  return { long, soon, requests: requests['long'] ?? [] }
}

/** @param {Report} report @param {Received[]} requests @param {End} end */
function assertEnd({ result, error, said, health, ms, socketsLeft }, requests, { code, status, retryable = true, requests: expected, attempts = expected, message, withinMs = Infinity }) {
  const { url: _url, ...figures } = health
  const shown = `${JSON.stringify(error ?? result)}, ${JSON.stringify(figures)}`
  assert.deepEqual([error?.code, error?.status], [code, status], shown)
  if (error !== undefined) {
    assert.equal(error.retryable, retryable, shown)
    assert.ok(error.message.length < 500, shown)
    assert.ok(error.message.isWellFormed(), shown)
    assert.deepEqual([health.lastError?.code, health.lastError?.message], [error.code, error.message])
    if (message !== undefined) assert.match(error.message, message)
  }
  assert.equal(requests.length, expected, shown)
  assert.deepEqual([health.calls, health.succeeded, health.failed, health.attempts, health.inFlight, health.waiting], [1, code === undefined ? 1 : 0, code === undefined ? 0 : 1, attempts, 0, 0])
  if (result !== undefined) assert.equal(result.attempts, attempts)
  assert.equal(health.retriedReplies + health.retriedFailures, Math.max(0, attempts - 1))
  assert.ok(ms <= withinMs, `${ms} ms: ${shown}`)
  assertNoKey(said)
  assert.equal(socketsLeft, 0, 'sockets in the process')
}

/** @param {import('node:stream').Readable} stream */
async function firstLine(stream) {
  let line = ''
  for await (const chunk of stream.setEncoding('utf8')) {
    line += chunk
    if (line.endsWith('\n')) return line
  }
  throw new Error('the child ended without a word')
}
