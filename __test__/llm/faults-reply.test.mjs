// @ts-check
// Replies with status 200 that cannot be used: the model is told so and asked again, twice; where it was no model that spoke, the proxy is
// asked again later. The server counts, and keeps what it was told.

import assert from 'node:assert/strict'
import { describe, test } from 'node:test'

import { assertFault, echoOf } from '../support/llm-faults.mjs'
import { assertNoKey, KEY, startLlm } from '../support/llm-engine.mjs'
import { completion, failure, inTurn, json, tips } from '../support/llm-server.mjs'

/** @typedef {import('../support/llm-server.mjs').Answer} Answer */
/** @typedef {import('../support/llm-server.mjs').Received} Received */
/** @typedef {import('../support/llm-faults.mjs').Fault} Fault */

const ITEMS = [{ id: 'a', content: 'Water the plants' }]
const GOOD = tips(ITEMS)
/** @type {import('@oo/bandits').BanditErrorCode} */
const code = 'ERR_LLM_INVALID_REPLY'
const THRICE = { code, requests: 3 }
const MIB = 1 << 20

/** Any bytes with status 200. @param {(echo: string) => string | Buffer} bytes @param {string} [type] @returns {Answer} */
const body = (bytes, type = 'application/json') => (response, received) => {
  response.writeHead(200, { 'content-type': type, 'x-echo': echoOf(received) }).end(bytes(echoOf(received)))
}
/** What the model says, with all that it was told. @param {(echo: string) => unknown} content @returns {Answer} */
const says = (content) => (response, received) => json(completion(content(echoOf(received)), { model: echoOf(received) }))(response, received)
/** A completion, changed. @param {(whole: any, echo: string) => unknown} change @returns {Answer} */
const changed = (change) => (response, received) => json(change(completion('[]'), echoOf(received)))(response, received)

/** The proxy is at fault: nothing is fed back, and it is given time. @type {Record<string, Answer>} */
const ENVELOPES = {
  'no body': body(() => ''),
  'plain text': body((echo) => `no ${echo}`, 'text/plain'),
  'a page of HTML': body((echo) => `<html>${echo}</html>`, 'text/html'),
  'JSON that is cut': body((echo) => JSON.stringify({ ...completion('[]'), echo }).slice(0, -20)),
  'JSON and something after it': body((echo) => `${JSON.stringify(completion('[]'))} ${echo}`),
  'a trailing comma': body((echo) => `${JSON.stringify({ ...completion('[]'), echo }).slice(0, -1)},}`),
  null: body(() => 'null'),
  'a string': body((echo) => JSON.stringify(echo)),
  'an array': body((echo) => JSON.stringify([completion('[]'), echo])),
  'an array of what belongs into an object': body((echo) => JSON.stringify([completion(JSON.stringify(ITEMS)).choices, echo, {}])),
  'status 204': (response) => { response.writeHead(204).end() },
  'invalid UTF-8 in the text': body(() => Buffer.from(JSON.stringify(completion('[{"content":"caf\xe9"}]')), 'latin1')),
  'invalid UTF-8 elsewhere': body((echo) => Buffer.concat([Buffer.from(`{"echo":"${echo}`), Buffer.from([0xff, 0xc3, 0x28]), Buffer.from(JSON.stringify(completion('[]')).replace('{', '",'))])),
  'half a surrogate pair as if in UTF-8': body(() => Buffer.concat([Buffer.from('{"x":"'), Buffer.from([0xed, 0xa0, 0x80]), Buffer.from(JSON.stringify(completion('[]')).replace('{', '",'))])),
  'no end to its brackets': body(() => '['.repeat(100_000)),
  'a stream of events': body((echo) => `data: ${JSON.stringify({ ...completion('[]'), echo })}\n\ndata: [DONE]\n\n`, 'text/event-stream'),
  'no choices': changed(({ choices: _choices, ...rest }, echo) => ({ ...rest, echo })),
  'choices that are null': changed((whole, echo) => ({ ...whole, choices: null, echo })),
  'choices that are no array': changed((whole, echo) => ({ ...whole, choices: { 0: whole.choices[0] }, echo })),
  'an error in place of an answer': changed((_whole, echo) => ({ error: { message: echo, type: 'x', param: null, code: 'x' } })),
  'an error that is a text': changed((_whole, echo) => ({ error: echo })),
  'an error beside a list': changed((whole, echo) => ({ ...whole, choices: completion(JSON.stringify(ITEMS)).choices, error: { message: echo } })),
  'an error in a choice': changed((_whole, echo) => ({ choices: [{ ...completion(JSON.stringify(ITEMS)).choices[0], error: { message: echo, code: 'x' } }] })),
  'an error as the reason to finish': (response, received) => json(completion(JSON.stringify(ITEMS), { finishReason: 'error', model: echoOf(received) }))(response, received),
}

/** Tips as the arguments of a tool. @param {unknown} given */
const call = (given) => ({ id: 'x', type: 'function', function: { name: 'tips', arguments: given } })
/** A message of these entries. @param {(echo: string) => object} entries @param {string} [finish] @returns {Answer} */
const message = (entries, finish = 'stop') => changed((whole, echo) => ({ ...whole, choices: [{ finish_reason: finish, index: 0, message: { role: 'assistant', ...entries(echo) } }] }))

/** There is no text to feed back. @type {Record<string, Answer>} */
const SILENT = {
  'one byte over a MiB': body(() => sized(MIB + 1)),
  'empty choices': changed((whole, echo) => ({ ...whole, choices: [], echo })),
  'a choice that is null': changed((whole) => ({ ...whole, choices: [null] })),
  'a choice without a message': changed((whole, echo) => ({ ...whole, choices: [{ index: 0, text: echo }] })),
  'a message without content': changed((whole, echo) => ({ ...whole, choices: [{ message: { role: 'assistant', refusal: echo } }] })),
  'content that is null': says(() => null),
  'content that is a number': says(() => 5),
  'content that is an array of parts': says((echo) => [{ type: 'text', text: `[] ${echo}` }]),
  'content that is an object': says((echo) => ({ tips: [], echo })),
  'empty content': says(() => ''),
  'blank content': says(() => ' \n\t '),
  'content in parts of thoughts': says((echo) => [{ type: 'thinking', thinking: `${JSON.stringify(ITEMS)} ${echo}` }, { type: 'text', text: JSON.stringify(ITEMS), thought: true }]),
  'thoughts without content': message((echo) => ({ content: null, reasoning_content: `${JSON.stringify(ITEMS)} ${echo}`, thinking_blocks: [{ type: 'thinking', thinking: 'x' }] })),
  'a refusal beside a list': message((echo) => ({ content: JSON.stringify(ITEMS), refusal: `no, ${echo}` })),
  'a refusal as a part': says((echo) => [{ type: 'refusal', refusal: `no, ${echo}` }]),
  'a list and the call of a tool': message((echo) => ({ content: JSON.stringify(ITEMS), tool_calls: [call(`{"query":"${echo}"}`)] }), 'tool_calls'),
  'the calls of two tools': message(() => ({ content: null, tool_calls: [call(JSON.stringify(ITEMS)), call(JSON.stringify(ITEMS))] }), 'tool_calls'),
  'the call of a tool without arguments': message(() => ({ content: null, tool_calls: [call(null)] }), 'tool_calls'),
  'a list that a filter has stopped': message(() => ({ content: JSON.stringify(ITEMS) }), 'content_filter'),
}

/** There is text, and no list of items in it. @type {Record<string, (echo: string) => string>} */
const TEXTS = {
  'prose': (echo) => `I am sorry, ${echo}, but I cannot do that.`,
  'a list that is cut': (echo) => `[{"id":"a","content":"${echo}`,
  'a trailing comma in a list': (echo) => `[{"id":"a","content":"${echo}"},]`,
  'a trailing comma in an item': (echo) => `[{"id":"a","content":"${echo}",}]`,
  'a trailing comma within a fence': (echo) => `\`\`\`json\n[{"id":"a","content":"${echo}"},]\n\`\`\``,
  'a fence without an end': (echo) => `\`\`\`json\n[{"id":"a","content":"${echo}"},`,
  'single quotes': (echo) => `[{'id':'a','content':'${echo}'}]`,
  'a comment': (echo) => `[{"id":"a","content":"${echo}"} // the first\n]`,
  'NaN': () => '[{"id":"a","content":NaN}]',
  'a number': () => '5',
  'a string': (echo) => JSON.stringify(echo),
  'null': () => 'null',
  'true': () => 'true',
  'an empty object': () => '{}',
  'an object without a list': (echo) => JSON.stringify({ answer: echo }),
  'an object with two lists': (echo) => JSON.stringify({ tips: [{ content: echo }], others: [{ content: echo }] }),
  'two lists': (echo) => `[{"content":"${echo}"}] or [{"content":"b"}]`,
  'only thoughts': (echo) => `<think>${echo}</think>`,
  'thoughts without an end': (echo) => `<think>${echo} [{"content":"a"}]`,
  'thoughts whose beginning stood in the prompt': (echo) => `Maybe [{"content":"${echo}"}]. Hm, unkind.\n</think>\nSorry, not today.`,
  'thoughts in two blocks': (echo) => `<think>a</think><think>b [{"content":"${echo}"}]</think>\nNothing today.`,
  'thoughts after a word': (echo) => `Sure!\n<think>Maybe [{"content":"${echo}"}]</think>\nNo tips.`,
  'thoughts after a list': (echo) => `[{"content":"${echo}"}]\n<Thinking>Unkind, no.</Thinking>`,
  'thoughts in a channel': (echo) => `<|channel|>analysis<|message|>Maybe [{"content":"${echo}"}]<|end|><|start|>assistant<|channel|>final<|message|>Nothing today.`,
  'thoughts in a channel whose tokens are gone': (echo) => `analysisMaybe [{"content":"${echo}"}]assistantfinalNothing today.`,
  'thoughts in capitals': (echo) => `[THINK]Maybe [{"content":"${echo}"}][/THINK]Nothing today.`,
  'thoughts in an object': (echo) => JSON.stringify({ reasoning: [{ content: echo }], rejected: [{ content: 'b' }] }),
  'a token that is not known': (echo) => `<|plan|>[{"content":"${echo}"}]<|done|>`,
  'an item a line': (echo) => `{"content":"${echo}"}\n{"content":"b"}`,
  'typographic quotes': (echo) => `[{“content”: “${echo}”}]`,
  'JSON in JSON': (echo) => JSON.stringify(JSON.stringify([{ content: echo }])),
  'a list of numbers': () => '[1, 2, 3]',
  'a list of strings': (echo) => JSON.stringify([echo, 'b']),
  'a list of lists': (echo) => JSON.stringify([[{ content: echo }]]),
  'items without content': (echo) => JSON.stringify([{ id: echo }, { id: 'b', text: echo }]),
  'items with blank content': () => JSON.stringify([{ content: '' }, { content: ' \n\t' }, { content: '\u00a0\u2003' }]),
  'items with content that is no text': (echo) => JSON.stringify([{ content: 5 }, { content: null }, { content: [echo] }, { content: { echo } }]),
  'items with long content': (echo) => JSON.stringify([{ content: echo.repeat(100) }]),
  'items with control characters': (echo) => JSON.stringify(['\0', '\r', '\u001b', '\u007f', '\u0085'].map((control) => ({ content: `${echo}${control}` }))),
  'items with half a surrogate pair': (echo) => `[{"content":"${echo}\\ud800"}]`,
  'no end to its brackets': () => '['.repeat(100_000),
}

/** An envelope of a completion with so many bytes. @param {number} bytes */
function sized(bytes) {
  const text = JSON.stringify(completion(JSON.stringify(ITEMS)))
  return `${text.slice(0, -1)}${' '.repeat(bytes - text.length)}}`
}

/** @param {Received[]} requests */
const conversations = (requests) => requests.map(({ body: { messages } }) => messages)

describe('what no model has said:', { concurrency: 4 }, () => {
  for (const [name, answer] of Object.entries(ENVELOPES)) {
    test(name, async (t) => {
      const { requests, long } = await assertFault(t, { answer, ends: THRICE })
      for (const [i, { body: repeated, at }] of requests.entries()) {
        assert.deepEqual(repeated, requests[0]?.body, 'the same is asked again')
        const gap = at - Number(requests[i - 1]?.at)
        assert.ok(i === 0 || gap >= 245 * 2 ** (i - 1), `${gap} ms before request ${i + 1}`)
      }
      assert.deepEqual([long.health.retriedReplies, long.health.retriedFailures], [0, 2])
    })
  }

  /** @type {Record<string, [answer: object, end: Partial<import('../support/llm-faults.mjs').End>]>} */
  const named = {
    '429 in the error': [{ error: { message: 'Rate limit exceeded', code: 429 } }, { status: 429, requests: 3 }],
    '503 as a text': [{ error: { message: 'Overloaded', code: '503' } }, { status: 503, requests: 3 }],
    '502 in a choice': [{ choices: [{ error: { code: 502, message: 'Upstream' }, finish_reason: 'error', message: { content: JSON.stringify(ITEMS) } }] }, { status: 502, requests: 3 }],
    '400 of the error itself': [{ object: 'error', message: 'Too long', code: 400 }, { status: 400, requests: 1, retryable: false }],
    '401 in the error': [{ error: { message: 'No', status: 401 } }, { status: 401, requests: 1, retryable: false }],
    '408 in the error': [{ error: { message: 'Late', code: 408 } }, { status: 408, requests: 1 }],
  }
  for (const [name, [answer, end]] of Object.entries(named)) {
    test(`an error with the status that it names: ${name}`, async (t) => {
      const status = new RegExp(`answered 200 with an error of status ${end.status}: `)
      await assertFault(t, { answer: json(answer), ends: { code: 'ERR_LLM_STATUS', requests: 0, message: status, ...end } })
    })
  }

  test('an error that says when to come back is waited for', async (t) => {
    const busy = json({ error: { message: 'Rate limit exceeded', code: 429 } }, 200, { 'retry-after': '1.25' })
    const { requests: [first, second] } = await assertFault(t, { answer: inTurn(busy, GOOD), ends: { requests: 2 }, endsSoon: { code: 'ERR_LLM_STATUS', status: 429, requests: 1 } })
    const gap = Number(second?.at) - Number(first?.at)
    assert.ok(gap >= 1245 && gap < 4000, `${gap} ms`)
  })
})

describe('a reply without text:', { concurrency: 4 }, () => {
  for (const [name, answer] of Object.entries(SILENT)) test(name, async (t) => { await assertFault(t, { answer, ends: THRICE }) })

  test('is fed back as empty where it is a text', async (t) => {
    const { server, bandits } = await startLlm(t, inTurn(says(() => ''), GOOD))
    await bandits.generate({ userId: 'u' })
    assertFedBack(conversations(server.requests), ['(empty)'])
  })

  test('and is asked for again where it is none', async (t) => {
    for (const content of [null, 5]) {
      const { server, bandits } = await startLlm(t, inTurn(says(() => content), GOOD))
      await bandits.generate({ userId: 'u' })
      const [first, again] = server.requests
      assert.deepEqual(again?.body, first?.body)
    }
  })

  test('a refusal is fed back, a filtered text is not', async (t) => {
    const refused = await startLlm(t, inTurn(message(() => ({ content: null, refusal: 'I cannot.' })), GOOD))
    await refused.bandits.generate({ userId: 'u' })
    assertFedBack(conversations(refused.server.requests), ['I cannot.'])
    const filtered = await startLlm(t, inTurn(message(() => ({ content: '[{"content":"a"}' }), 'content_filter'), GOOD))
    await filtered.bandits.generate({ userId: 'u' })
    const [first, again] = filtered.server.requests
    assert.deepEqual(again?.body, first?.body)
  })

  test('it is said why there is none', async (t) => {
    /** @type {[Answer, RegExp][]} */
    const cases = [
      [message(() => ({ content: null, reasoning_content: 'Hm' }), 'length'), /there were only thoughts in it, cut at the token limit \(finish_reason: length\): /],
      [message(() => ({ content: '<think>Hm' }), 'MAX_TOKENS'), /it ended within its thoughts, cut at the token limit \(finish_reason: MAX_TOKENS\): /],
      [message(() => ({ content: '[{"content":"a' }), 'length'), /no item of its list was whole, cut at the token limit \(finish_reason: length\): /],
      [message(() => ({ content: 'Maybe [{"content":"a"}] or' }), 'length'), /it may have ended within its thoughts, cut at the token limit \(finish_reason: length\): /],
      [message(() => ({ content: '[{"content":"a"' }), 'stop'), /it was not valid JSON: /],
      [message(() => ({ content: '[{"content":"a"' }), 'abort'), /it was not valid JSON \(finish_reason: abort\): /],
      [message(() => ({ content: 'x' }), 'y\n'.repeat(1000)), /it held no list of items \(finish_reason: y y .{190,210}…\): x/],
      [message(() => ({ content: null, refusal: 'Not today.' })), /the model declined: Not today\./],
      [message(() => ({ content: '[]' }), 'content_filter'), /a filter of the provider's stopped it \(finish_reason: content_filter\)/],
      [body(() => 'data: {"choices":[]}\n\n', 'text/event-stream'), /the proxy's answer is a stream, which was not asked for: data: /],
    ]
    for (const [answer, expected] of cases) {
      const { bandits } = await startLlm(t, answer)
      await assert.rejects(bandits.generate({ userId: 'u' }), { code: 'ERR_LLM_INVALID_REPLY', retryable: true, message: expected })
    }
  })

  test('what the proxy says instead is shown', async (t) => {
    const { bandits } = await startLlm(t, (response) => { response.end('{"error":{"message":"Budget exceeded"}}') })
    await assert.rejects(bandits.generate({ userId: 'u' }), { code: 'ERR_LLM_INVALID_REPLY', message: /Budget exceeded/ })
  })
})

/** The messages of each repeat end in the bad reply and a correction. @param {any[][]} said @param {string[]} replies */
function assertFedBack([first = [], ...again], replies) {
  assert.deepEqual(first.map(({ role }) => role), ['system', 'user'])
  assert.equal(again.length, replies.length)
  for (const [i, messages] of again.entries()) {
    assert.deepEqual(messages.slice(0, 2), first)
    const [assistant, user, ...rest] = messages.slice(-2)
    assert.deepEqual([assistant.role, assistant.content, user.role, rest], ['assistant', replies[i], 'user', []])
    assert.ok(user.content.length > 20, user.content)
    assert.ok(messages.slice(2).every(({ role }, k) => role === (k % 2 === 0 ? 'assistant' : 'user')), JSON.stringify(messages))
  }
}

describe('a text without usable items:', { concurrency: 4 }, () => {
  for (const [name, content] of Object.entries(TEXTS)) {
    test(name, async (t) => {
      const { requests } = await assertFault(t, { answer: says(content), ends: { ...THRICE, retryable: true } })
      const reply = content(String(requests[0] && echoOf(requests[0])))
      assert.equal(requests.length, 3)
      const said = conversations(requests)
      for (const messages of said.slice(1)) assert.equal(messages.at(-2).content.slice(0, 1900), reply.trim().slice(0, 1900))
    })
  }
})

describe('bad replies', () => {
  test('twice, then a good one: fed back, and the tokens of all three counted', async (t) => {
    const usage = (/** @type {number} */ i) => ({ prompt_tokens: 100 * i, completion_tokens: i, total_tokens: 101 * i })
    const { server, bandits } = await startLlm(t, inTurn(
      json(completion('Certainly!', { usage: usage(1), model: 'first' })),
      json(completion('[{"content":"a"},]', { usage: usage(2), model: 'second' })),
      json(completion(JSON.stringify(ITEMS), { usage: usage(3), model: 'third' })),
    ))
    const result = await bandits.generate({ userId: 'u' })
    assert.deepEqual([result.attempts, result.promptTokens, result.completionTokens, result.model], [3, 600, 6, 'third'])
    assert.deepEqual(result.candidates.map(({ id, content }) => [id, content]), [['a', 'Water the plants']])
    assertFedBack(conversations(server.requests), ['Certainly!', '[{"content":"a"},]'])
    for (const { body: { model, temperature } } of server.requests) assert.deepEqual([model, temperature], ['tip-generator', 0.7])
    const { litellm } = bandits.health()
    assert.deepEqual([litellm.retriedReplies, litellm.retriedFailures, litellm.promptTokens, litellm.completionTokens], [2, 0, 600, 6])
  })

  test('that are long are fed back in part', async (t) => {
    for (const letter of ['x', '😀']) {
      const { server, bandits } = await startLlm(t, inTurn(says(() => letter.repeat(5000)), GOOD))
      await bandits.generate({ userId: 'u' })
      assertFedBack(conversations(server.requests), [letter.repeat(2000)])
    }
  })

  test('thrice: their tokens count all the same', async (t) => {
    const { bandits } = await startLlm(t, json(completion('no')))
    await assert.rejects(bandits.generate({ userId: 'u' }), { code, retryable: true })
    const { promptTokens, completionTokens } = bandits.health().litellm
    assert.deepEqual([promptTokens, completionTokens], [30, 15])
  })

  test('and failures have budgets of their own', async (t) => {
    const bad = json(completion('no'))
    /** @type {[Answer[], number, { code?: string, status?: number }][]} */
    const cases = [
      [[bad, failure(503), bad, failure(503), GOOD], 5, {}],
      [[failure(503), bad, failure(503), bad, bad], 5, { code }],
      [[bad, failure(503), bad, failure(500), failure(503)], 5, { code: 'ERR_LLM_STATUS', status: 503 }],
      [[failure(503), failure(503), bad, bad, GOOD], 5, {}],
      [[bad, bad, failure(503), bad], 4, { code }],
      [[bad, (response) => response.socket?.destroy()], 4, { code: 'ERR_LLM_UNREACHABLE' }],
    ]
    await Promise.all(cases.map(async ([answers, requests, end]) => {
      const { server, bandits } = await startLlm(t, inTurn(...answers))
      const [result, error] = await bandits.generate({ userId: 'u' }).then((made) => [made, undefined], (thrown) => [undefined, thrown])
      assert.deepEqual([error?.code, error?.status, server.requests.length], [end.code, end.status, requests])
      if (result) assert.deepEqual([result.attempts, result.promptTokens], [5, 30])
    }))
  })

  test('that are fed back show nobody the key', async (t) => {
    const { server, bandits } = await startLlm(t, inTurn(says((echo) => `no ${echo}`), GOOD))
    const result = await bandits.generate({ userId: 'u' })
    for (const { body: told } of server.requests) assert.ok(told !== undefined)
    assertNoKey(JSON.stringify([result, bandits.health()]))
  })
})

describe('a body', () => {
  test('of a MiB is read', async (t) => {
    const { bandits, server } = await startLlm(t, body(() => sized(MIB)))
    assert.equal((await bandits.generate({ userId: 'u' })).candidates.length, 1)
    assert.equal(server.requests.length, 1)
  })

  for (const withLength of [true, false]) {
    test(`of 50 MB is not read to its end, ${withLength ? 'its length given' : 'in chunks'}`, async (t) => {
      const chunk = Buffer.alloc(1 << 16, ' ')
      const size = 50_000_000
      /** @type {number[]} */
      const taken = []
      const { long } = await assertFault(t, {
        answer: (response) => {
          const { socket } = response
          const before = Number(socket?.bytesWritten)
          let left = size
          response.writeHead(200, { 'content-type': 'application/json', ...(withLength && { 'content-length': String(size) }) })
          response.on('close', () => taken.push(Number(socket?.bytesWritten) - before - Number(socket?.writableLength)))
          const more = () => {
            while (left > 0 && !response.destroyed) {
              const part = chunk.subarray(0, Math.min(left, chunk.length))
              left -= part.length
              if (!response.write(part)) return
            }
            if (left === 0) response.end()
          }
          response.on('drain', more)
          more()
        },
        ends: THRICE,
      })
      assert.equal(taken.length, 6)
      // What the two systems hold on the way is a few MB.
      for (const bytes of taken) assert.ok(bytes < 10_000_000, `${bytes} bytes were taken`)
      assert.ok(long.grown < 15_000_000, `the process grew by ${long.grown} bytes`)
    })
  }
})

test('the key is the one that the server is shown', async (t) => {
  const { server, bandits } = await startLlm(t, GOOD)
  await bandits.generate({ userId: 'u' })
  assert.equal(server.requests[0] && echoOf(server.requests[0]), `Bearer ${KEY}`)
})
