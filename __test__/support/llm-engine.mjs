// @ts-check
// Engines that ask a server in the place of the LLM proxy, and what may be said of their key: nothing.

import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { inspect } from 'node:util'

import { startLlmServer } from './llm-server.mjs'
import { openEngine } from './state-dir.mjs'

/** @typedef {import('./state-dir.mjs').TestContext} TestContext */
/** @typedef {import('./llm-server.mjs').Answer} Answer */
/** @typedef {import('@oo/bandits').LiteLlmOptions} LiteLlmOptions */

/** Looks like nothing else that could stand in a text. */
export const KEY = 'sk-very-secret-42'

/** As a server may repeat it. @param {string} key */
export const formsOf = (key) => [key, JSON.stringify(key).slice(1, -1), createHash('sha256').update(key).digest('hex')]

/** @param {string} text @param {string} [key] */
export function assertNoKey(text, key = KEY) {
  for (const form of formsOf(key)) assert.ok(!text.includes(form), `the key stands in ${text.slice(0, 2000)}`)
}

/** All that can be seen of an error. @param {unknown} error @returns {string} */
export function everythingOf(error) {
  const seen = [inspect(error, { showHidden: true, depth: Infinity, getters: true }), String(error), JSON.stringify(error)]
  if (error instanceof Error) {
    seen.push(error.message, String(error.stack))
    for (const name of Object.getOwnPropertyNames(error)) seen.push(inspect(Reflect.get(error, name), { showHidden: true, depth: Infinity }))
    if (error.cause !== undefined) seen.push(everythingOf(error.cause))
  }
  return seen.join('\n')
}

/** @param {TestContext} t @param {string} url @param {LiteLlmOptions} [litellm] */
export const openOnLlm = (t, url, litellm = {}) => openEngine(t, { litellm: { url, masterKey: KEY, ...litellm } })

/**
 * A server, and an engine that asks it.
 * @param {TestContext} t
 * @param {Answer} answer
 * @param {LiteLlmOptions} [litellm]
 */
export async function startLlm(t, answer, litellm) {
  const server = await startLlmServer(t, answer)
  return { server, bandits: openOnLlm(t, server.url, litellm) }
}

/** A request that can be told from others at the server, by `markOf`. @param {string} mark */
export const marked = (mark) => ({ userId: 'u', context: { tasks: [{ content: `@@${mark}@@` }] } })

/** @param {import('./llm-server.mjs').Received} received */
export const markOf = ({ body }) => /@@(.*?)@@/.exec(JSON.stringify(body.messages))?.[1]

/** What a call came to, for calls of which several are under way. @template T @param {Promise<T>} call */
export const settled = (call) => call.then((result) => ({ result, error: undefined }), (/** @type {any} */ error) => ({ result: undefined, error }))
