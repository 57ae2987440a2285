// @ts-check
// services/api as small as it can be: an engine in the process, routes that are thin functions over it, one table of statuses. Who may
// call what is not its subject.

import { createServer } from 'node:http'

import { BanditError } from '@oo/bandits'
import { STATUSES } from './statuses.mjs'

/**
 * @typedef {object} Call what a route is called with
 * @property {Record<string, string>} params of the path
 * @property {Record<string, string>} query
 * @property {any} body JSON, unchecked: the engine checks it and names what is wrong
 * @property {AbortSignal} signal aborted when the caller is gone
 */
/** @typedef {(bandits: import('@oo/bandits').Bandits, call: Call) => unknown} Route what it returns is the body; `undefined` is 204, a Response as it is */

const LARGEST_BODY = 1 << 20

/** A request that does not come as far as the engine. */
class HttpError extends Error {
  /** @param {number} status @param {string} message */
  constructor(status, message) {
    super(message)
    this.status = status
  }
}

/**
 * A server, not listening yet.
 * @param {import('@oo/bandits').Bandits} bandits
 * @param {Record<string, Route>} routes by `METHOD /path/:param`
 */
export function serve(bandits, routes) {
  const table = Object.entries(routes).map(([key, route]) => ({ parts: key.split(/[ /]+/), route }))
  return createServer(async (request, response) => {
    const gone = new AbortController()
    response.on('close', () => gone.abort())
    const result = await answer(bandits, table, request, gone.signal).catch(ofError)
    response.writeHead(result.status, Object.fromEntries(result.headers))
    response.end(await result.text())
  })
}

/**
 * @param {import('@oo/bandits').Bandits} bandits @param {{ parts: string[], route: Route }[]} table
 * @param {import('node:http').IncomingMessage} request @param {AbortSignal} signal
 */
async function answer(bandits, table, request, signal) {
  const { pathname, searchParams } = new URL(String(request.url), 'http://localhost')
  const given = [String(request.method), ...pathname.split('/').filter(Boolean).map(decoded)]
  const found = table.find(({ parts }) => parts.length === given.length && parts.every((part, i) => part.startsWith(':') || part === given[i]))
  if (found === undefined) throw new HttpError(404, `no ${request.method} ${pathname}`)
  const params = Object.fromEntries(found.parts.flatMap((part, i) => (part.startsWith(':') ? [[part.slice(1), String(given[i])]] : [])))
  const result = await found.route(bandits, { params, query: Object.fromEntries(searchParams), body: await bodyOf(request), signal })
  if (result === undefined) return new Response(null, { status: 204 })
  return result instanceof Response ? result : Response.json(result)
}

/** @param {string} part */
function decoded(part) {
  try {
    return decodeURIComponent(part)
  } catch {
    throw new HttpError(400, `the path is not UTF-8: ${part}`)
  }
}

/** @param {import('node:http').IncomingMessage} request @returns {Promise<unknown>} */
async function bodyOf(request) {
  let text = ''
  for await (const chunk of request.setEncoding('utf8')) if ((text += chunk).length > LARGEST_BODY) throw new HttpError(413, `a body of more than ${LARGEST_BODY} characters`)
  try {
    return text === '' ? undefined : JSON.parse(text)
  } catch {
    throw new HttpError(400, 'the body is not JSON')
  }
}

/** @param {unknown} error */
function ofError(error) {
  if (error instanceof BanditError) {
    const { code, message, retryable, reason } = error
    return Response.json({ code, message, retryable, reason }, { status: STATUSES[code], headers: retryable ? { 'retry-after': '1' } : {} })
  }
  if (error instanceof HttpError) return Response.json({ message: error.message }, { status: error.status })
  // A defect of this server: its text is not the caller's.
  return Response.json({ message: 'internal error' }, { status: 500 })
}
