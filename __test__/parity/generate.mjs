// @ts-check
// Plays scripts of an LLM proxy's replies (fixtures/llm_scripts.py, llm_draws.py) to generate() and compares what it makes of them with what
// the existing service made.

import { camelCase } from './replay.mjs'

/** @typedef {import('@oo/bandits').Bandits} Bandits */
/** @typedef {import('@oo/bandits').GenerateResult} GenerateResult */
/** @typedef {{ status?: number, body: string }} Reply */
/** @typedef {{ id: string, content: string, source: string, rationale: string | null }} Candidate */
/** @typedef {{ candidates: Candidate[], model: string, prompt_version: string, prompt_tokens: number, completion_tokens: number }} Response */
/**
 * @typedef {object} Script
 * @property {string} name
 * @property {any} request as the service takes it
 * @property {Reply[]} replies
 * @property {string} [aside] why the two differ; "lenient: …" where the package reads a reply that the service can't read
 */
/**
 * @typedef {object} Answer of the service
 * @property {number} consumed replies
 * @property {Response} [response]
 * @property {number[]} [made] the candidates whose ids it made
 * @property {{ status: number, detail: string }} [error]
 */
/** @typedef {{ result?: GenerateResult, error?: any, consumed: number }} Outcome of the package */

/** What a server answers while a script is played: one reply after the other, the last one again and again. */
export class Upstream {
  /** @type {Reply[]} */
  #replies = []
  consumed = 0

  /** @param {Reply[]} replies */
  play(replies) {
    this.#replies = replies
    this.consumed = 0
  }

  /** @type {import('../support/llm-server.mjs').Answer} */
  answer = (response) => {
    const reply = this.#replies[Math.min(this.consumed, this.#replies.length - 1)]
    this.consumed++
    return response.writeHead(reply?.status ?? 200, { 'content-type': 'application/json' }).end(reply?.body)
  }
}

/**
 * Has the package ask for what the script's request asks for.
 * @param {Bandits} bandits
 * @param {Upstream} upstream which its proxy plays
 * @param {Script} script
 * @returns {Promise<Outcome>}
 */
export async function generateBy(bandits, upstream, { request, replies }) {
  upstream.play(replies)
  try {
    const result = await bandits.generate(camelCase(request))
    return { result, consumed: upstream.consumed }
  } catch (error) {
    return { error, consumed: upstream.consumed }
  }
}

/** A text that may be shown: the package drops others. @param {Candidate} candidate */
const isUsable = ({ content, rationale }) =>
  content.length <= 1000 && /\S/.test(content) && !/[^\P{Cc}\n\t]/u.test(content) && (rationale === null || rationale.length <= 2000)

/** Whether the package is to answer as the service did. @param {Script & Answer} record */
export const isComparable = ({ response, aside }) => response !== undefined && aside === undefined && response.candidates.every(isUsable)

/**
 * What the package made of a script, where that isn't what it should be; empty where it is.
 * @param {Script & Answer} record
 * @param {Outcome} outcome
 * @returns {string[]}
 */
export function differences(record, outcome) {
  const problems = record.response === undefined ? failureDifferences(record, outcome) : resultDifferences(record, record.response, outcome)
  return problems.map((problem) => `${record.name}: ${problem}`)
}

/**
 * @param {Script & Answer} record
 * @param {Response} response
 * @param {Outcome} outcome
 */
function resultDifferences(record, response, { result, error, consumed }) {
  if (result === undefined) return [`rejected with ${error?.code}: ${error?.message}, after ${consumed} replies`]
  const expected = [response.model, response.prompt_version, response.prompt_tokens, response.completion_tokens, record.consumed, record.consumed]
  const actual = [result.model, result.promptVersion, result.promptTokens, result.completionTokens, result.attempts, consumed]
  const problems = unequal('model, version, tokens, attempts, replies', actual, expected)
  /** @param {readonly Candidate[]} candidates */
  const texts = (candidates) => candidates.map(({ content, source, rationale }) => [content, source, rationale])
  problems.push(...unequal('candidates', texts(result.candidates), texts(response.candidates)))
  if (problems.length > 0) return problems
  const versions = new Set(result.candidates.map(({ promptVersion }) => promptVersion))
  if ([...versions].some((version) => version !== result.promptVersion)) problems.push(`candidates of the versions ${[...versions]}`)
  return [...problems, ...idDifferences(record, response, result)]
}

/**
 * The model's ids, but for those that are there already; the package's own are `tip-<index>-<16 hex>`, the service's `tip-<index>`.
 * @param {Script & Answer} record
 * @param {Response} response
 * @param {GenerateResult} result
 */
function idDifferences({ request, made = [] }, response, { candidates }) {
  const taken = new Set(request.context.tasks.map((/** @type {any} */ { id }) => id))
  const problems = []
  for (const [i, { id }] of response.candidates.entries()) {
    const actual = String(candidates[i]?.id)
    const isNew = !made.includes(i) && !taken.has(id)
    const isRight = isNew ? actual === id : new RegExp(`^tip-${i}-[0-9a-f]{16}$`).test(actual)
    if (!isRight) problems.push(`id ${i} is ${JSON.stringify(actual)}, the service's ${JSON.stringify(id)}${isNew ? '' : ', which is not to be taken'}`)
    taken.add(actual)
  }
  if (new Set(candidates.map(({ id }) => id)).size < candidates.length) problems.push('an id twice')
  return problems
}

/**
 * Where the service failed on purpose the package fails likewise; where it crashed (500), either will do that the package promises.
 * @param {Script & Answer} record
 * @param {Outcome} outcome
 */
function failureDifferences({ replies, error: expected, consumed: expectedConsumed }, { result, error, consumed }) {
  if (expected?.status === 500) {
    return result !== undefined || error?.code === 'ERR_LLM_INVALID_REPLY' ? [] : [`rejected with ${error?.code}: ${error?.message}`]
  }
  if (result !== undefined) return [`resolved; the service: ${expected?.status} ${expected?.detail}`]
  if (expected?.status === 422) return unequal('code, replies', [error.code, consumed], ['ERR_UNKNOWN_PROMPT_VERSION', 0])
  if (!expected?.detail.startsWith('LiteLLM error')) return unequal('code, replies', [error.code, consumed], ['ERR_LLM_INVALID_REPLY', 3])
  const status = replies[expectedConsumed - 1]?.status
  return unequal('code, status', [error.code, error.status], ['ERR_LLM_STATUS', status])
}

/**
 * @param {string} what
 * @param {unknown} actual
 * @param {unknown} expected
 */
function unequal(what, actual, expected) {
  const [a, b] = [JSON.stringify(actual), JSON.stringify(expected)]
  return a === b ? [] : [`${what}: ${a}, the service's ${b}`]
}
