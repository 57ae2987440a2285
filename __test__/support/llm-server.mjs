// @ts-check
// A server in the place of the LLM proxy (or of the provider behind it): it answers what a test wants, and counts.

import { once } from 'node:events'
import { createServer } from 'node:http'

import { closeEngines } from './state-dir.mjs'

/** @typedef {import('./state-dir.mjs').TestContext} TestContext */
/**
 * @typedef {object} Received one request
 * @property {number} number from 1
 * @property {string} method
 * @property {string} path
 * @property {import('node:http').IncomingHttpHeaders} headers
 * @property {any} body parsed
 * @property {number} at by performance.now()
 */
/** @typedef {import('node:http').ServerResponse} Response */
/** @typedef {(response: Response, received: Received) => unknown} Answer */

/** What is in the environment is not meant. */
for (const name of Object.keys(process.env)) if (/^(LITELLM_|TIP_PROMPT_VERSION$|DEFAULT_PROMPT_VERSION$)/.test(name) && name !== 'LITELLM_TESTS') delete process.env[name]

/**
 * A completion as the proxy sends it.
 * @param {unknown} content of the assistant's message
 * @param {{ model?: string, usage?: unknown, finishReason?: string }} [rest]
 */
export function completion(content, { model = 'tip-generator', usage = { prompt_tokens: 10, completion_tokens: 5, total_tokens: 15 }, finishReason = 'stop' } = {}) {
  const choice = { finish_reason: finishReason, index: 0, message: { content, role: 'assistant' } }
  return { id: 'chatcmpl-1', created: 1_700_000_000, model, object: 'chat.completion', choices: [choice], usage }
}

/** Answers with JSON. @param {unknown} body @param {number} [status] @param {Record<string, string>} [headers] @returns {Answer} */
export const json = (body, status = 200, headers = {}) => (response) => {
  response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body))
}

/** Answers with a completion whose content is `items` as JSON. @param {unknown} items */
export const tips = (items) => json(completion(JSON.stringify(items)))

/** An error in the proxy's form. @param {number} status @param {string} [message] @param {Record<string, string>} [headers] */
export const failure = (status, message = 'no', headers = {}) => json({ error: { message, type: 'x', param: null, code: String(status) } }, status, headers)

/** The first answer to the first request, and so on; the last one to all that come later. @param {Answer[]} answers @returns {Answer} */
export const inTurn = (...answers) => (response, received) => answers[Math.min(received.number, answers.length) - 1]?.(response, received)

/**
 * @param {TestContext} t
 * @param {Answer} answer called with each request, once its body is there
 * @param {number} [port] one that is free, unless it does not matter which
 */
export async function startLlmServer(t, answer, port = 0) {
  /** @type {Received[]} */
  const requests = []
  /** @type {Set<import('node:net').Socket>} */
  const sockets = new Set()
  let connections = 0
  let underWay = 0
  let most = 0
  const server = createServer((request, response) => {
    /** @type {Buffer[]} */
    const chunks = []
    request.on('data', (chunk) => chunks.push(chunk)).on('end', () => {
      const text = Buffer.concat(chunks).toString()
      const { method = '', url = '', headers } = request
      const received = { number: requests.length + 1, method, path: url, headers, body: text === '' ? undefined : JSON.parse(text), at: performance.now() }
      requests.push(received)
      most = Math.max(most, ++underWay)
      response.on('close', () => underWay--)
      answer(response, received)
    })
  })
  server.on('connection', (socket) => {
    connections++
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket)).on('error', () => undefined)
  })
  server.listen(port, '127.0.0.1')
  await once(server, 'listening')
  const { port: taken } = /** @type {import('node:net').AddressInfo} */ (server.address())
  const close = async () => {
    for (const socket of sockets) socket.destroy()
    if (!server.listening) return
    server.close()
    await once(server, 'close')
  }
  t.after(async () => {
    await closeEngines(t)
    await close()
  })
  return {
    url: `http://127.0.0.1:${taken}`,
    port: taken,
    requests,
    /** Connections that are open now. */
    get open() { return sockets.size },
    /** Connections so far. */
    get connections() { return connections },
    /** Requests that have no whole answer yet, and whose connection stands. */
    get underWay() { return underWay },
    /** The most of these at once. */
    get most() { return most },
    /** Closes all connections from this side; it listens on. */
    disconnect() { for (const socket of sockets) socket.destroy() },
    /** Ends it; nobody listens on its port then. */
    close,
  }
}
