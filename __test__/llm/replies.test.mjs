// @ts-check
// What models make of being asked for JSON: what is taken from a reply, what is dropped and said to be, and that score() takes the
// candidates as they are.

import assert from 'node:assert/strict'
import { describe, test } from 'node:test'

import { KEY, startLlm } from '../support/llm-engine.mjs'
import { completion, inTurn, json, tips } from '../support/llm-server.mjs'
import { linesIn } from '../support/log-lines.mjs'
import { emptyDirectory, openEngine } from '../support/state-dir.mjs'

/** @typedef {import('node:test').TestContext} TestContext */
/** @typedef {import('@oo/bandits').GenerateResult} GenerateResult */

/** @param {number} n */
const items = (n) => Array.from({ length: n }, (_item, i) => ({ id: `t${i + 1}`, content: `Tip ${i + 1}`, rationale: `Reason ${i + 1}` }))
const THREE = items(3)
const LIST = JSON.stringify(THREE)
const PRETTY = JSON.stringify(THREE, undefined, 2)

/** What a call makes of one reply. @param {TestContext} t @param {unknown} content @param {Partial<import('@oo/bandits').GenerateRequest>} [request] */
async function made(t, content, request = {}) {
  const { server, bandits } = await startLlm(t, json(completion(content)))
  const result = await bandits.generate({ userId: 'u', ...request })
  assert.deepEqual([server.requests.length, result.attempts], [1, 1])
  for (const { source, promptVersion } of result.candidates) assert.deepEqual([source, promptVersion], ['llm', result.promptVersion])
  return result
}

/** @param {GenerateResult} result */
const plain = ({ candidates }) => candidates.map(({ id, content, rationale }) => ({ id, content, rationale }))
/** @param {GenerateResult} result */
const droppedOf = ({ dropped }) => dropped.map(({ index, what }) => [index, what])
/** @param {number} index of the item in the reply */
const madeId = (index) => new RegExp(`^tip-${index}-[0-9a-f]{16}$`)

describe('three tips are found', { concurrency: 8 }, () => {
  /** @type {Record<string, string>} */
  const forms = {
    'as they are': LIST,
    'with room around them': `\n\n  ${PRETTY}\n `,
    'with a byte order mark': `\ufeff${LIST}`,
    'in a fence': `\`\`\`\n${PRETTY}\n\`\`\``,
    'in a fence of JSON': `\`\`\`json\n${PRETTY}\n\`\`\``,
    'in a fence of JSON in capitals': `\`\`\`JSON\n${PRETTY}\n\`\`\``,
    'in a fence of JavaScript': `\`\`\`javascript\n${PRETTY}\n\`\`\``,
    'in a fence with a title': `\`\`\`json title="tips.json"\n${PRETTY}\n\`\`\``,
    'in a fence with line ends of Windows': `\`\`\`json\r\n${PRETTY.replaceAll('\n', '\r\n')}\r\n\`\`\`\r\n`,
    'in a fence, with words after it': `\`\`\`json\n${PRETTY}\n\`\`\`\n\nLet me know if you want more!`,
    'in a fence, with words before it': `Here are your tips:\n\n\`\`\`json\n${PRETTY}\n\`\`\``,
    'in a fence, with words on both sides': `Sure! [Three] of {them}:\n\`\`\`json\n${PRETTY}\n\`\`\`\nEnjoy.`,
    'in prose': `Here are your tips: ${LIST}`,
    'in prose on both sides': `Here you are:\n${PRETTY}\nLet me know!`,
    'in prose with brackets': `Here are 3 tips [as asked for]: ${LIST} (all {short}).`,
    'after thoughts': `<think>The user wants [{"content":"wrong"}] … or not?</think>\n${LIST}`,
    'in a fence after thoughts': `<think>\nHm.\n</think>\n\n\`\`\`json\n${PRETTY}\n\`\`\``,
    'after thoughts whose beginning stood in the prompt': `First [{"content":"wrong"}], but no.\n</think>\n${LIST}`,
    'after two blocks of thoughts and a word': `Sure!\n<think>a [{"content":"wrong"}]</think> <think>b</think>\n${LIST}`,
    'after thoughts in capitals': `<THINKING>Hm: [{"content":"wrong"}]</THINKING>\n${LIST}`,
    'after thoughts in another tag': `<reasoning effort="high">[{"content":"wrong"}]</reasoning>${LIST}`,
    'after thoughts of Mistral': `[THINK]Hm: [{"content":"wrong"}][/THINK]${LIST}`,
    'after thoughts of Gemma': `<|channel>thought\nHm: [{"content":"wrong"}]<channel|>${LIST}`,
    'after thoughts of gpt-oss': `<|channel|>analysis<|message|>[{"content":"wrong"}]<|end|><|start|>assistant<|channel|>final<|message|>${LIST}<|return|>`,
    'after thoughts of gpt-oss, without its tokens': `analysisMaybe [{"content":"wrong"}].assistantfinal${LIST}`,
    'after thoughts of Granite': `Here is my thought process: [{"content":"wrong"}] Here is my response: ${LIST}`,
    'in a tag': `Maybe [{"content":"wrong"}].\n<answer>\n${LIST}\n</answer>`,
    'in a fence of tildes': `~~~json\n${PRETTY}\n~~~`,
    'in a fence in a fence': `\`\`\`\`markdown\n\`\`\`json\n${PRETTY}\n\`\`\`\n\`\`\`\``,
    'in a fence without an end': `\`\`\`json\n${PRETTY}`,
    'twice the same': `${PRETTY}\n\nAs JSON:\n\`\`\`json\n${LIST}\n\`\`\``,
    'with the token that ends a message': `${LIST}<|im_end|>\n`,
    'in an object': JSON.stringify({ tips: THREE }),
    'in an object in an object': JSON.stringify({ response: { tips: THREE } }),
    'in an object beside thoughts and drafts': JSON.stringify({ reasoning: [{ step: 1 }], drafts: [{ content: 'wrong' }], tips: THREE }),
    'in an object, by another name': JSON.stringify({ candidates: THREE }),
    'in an object with more in it': JSON.stringify({ note: 'as asked for', tips: THREE, count: 3, tags: [] , words: ['a', 'b'] }),
    'in an object in a fence': `\`\`\`json\n${JSON.stringify({ tips: THREE }, undefined, 2)}\n\`\`\``,
    'with more in each': JSON.stringify(THREE.map((item) => ({ ...item, priority: 4, tags: ['x'], source: 'todoist', promptVersion: 'v9', features: { priority: 4 } }))),
    'written with escapes': LIST.replaceAll('T', '\\u0054'),
  }
  for (const [name, content] of Object.entries(forms)) {
    test(name, async (t) => {
      const result = await made(t, content)
      assert.deepEqual(plain(result), THREE)
      assert.deepEqual(result.dropped, [])
    })
  }
})

test('texts with fences, tags and brackets in them are found, too', async (t) => {
  const odd = ['Wrap it in ``` fences', '</think>', '<think>', '~~~', '[{"content":"x"}]', '<|channel|>analysis', 'assistantfinal', '}]'].map((content) => ({ content }))
  for (const text of [`\`\`\`json\n${JSON.stringify(odd)}\n\`\`\``, `Here: ${JSON.stringify(odd)}`, `<think>Hm</think>\`\`\`\n${JSON.stringify(odd, undefined, 2)}`]) {
    const { candidates, dropped } = await made(t, text, { n: odd.length })
    assert.deepEqual([candidates.map(({ content }) => ({ content })), dropped], [odd, []])
  }
})

describe('tips are found in a message', () => {
  /** What a call makes of one choice. @param {TestContext} t @param {object} choice */
  async function madeOf(t, choice) {
    const { server, bandits } = await startLlm(t, json({ ...completion(''), choices: [choice] }))
    const result = await bandits.generate({ userId: 'u' })
    assert.deepEqual([server.requests.length, plain(result), result.dropped], [1, THREE, []])
  }
  const draft = '[{"content":"wrong"}]'

  test('with its text in parts', async (t) => {
    for (const content of [
      [{ type: 'text', text: LIST }],
      [{ type: 'text', text: LIST.slice(0, 40) }, { type: 'text', text: LIST.slice(40) }],
      [{ type: 'thinking', thinking: [{ type: 'text', text: draft }] }, { type: 'text', text: LIST, annotations: [] }],
      [{ type: 'text', text: draft, thought: true }, { type: 'reasoning', text: draft }, null, { type: 'text', text: LIST }],
    ]) await madeOf(t, { message: { role: 'assistant', content } })
  })

  test('with thoughts beside it', async (t) => {
    await madeOf(t, { message: { content: LIST, refusal: null, reasoning_content: draft, reasoning: draft, reasoning_details: [{ text: draft }], thinking_blocks: [{ thinking: draft }] } })
  })

  test('that calls a tool', async (t) => {
    for (const given of [LIST, JSON.stringify({ tips: THREE }), { tips: THREE }]) {
      const tool = { name: 'tips', arguments: given }
      await madeOf(t, { message: { content: null, tool_calls: [{ id: 'x', type: 'function', function: tool }] }, finish_reason: 'tool_calls' })
      await madeOf(t, { message: { content: '', tool_calls: [], function_call: tool }, finish_reason: 'function_call' })
    }
  })
})

describe('a reply that the token limit has cut', () => {
  /** @param {TestContext} t @param {string} text @param {string} [finishReason] */
  async function madeOfCut(t, text, finishReason = 'length') {
    const { server, bandits } = await startLlm(t, inTurn(json(completion(text, { finishReason })), tips([{ content: 'asked again' }])))
    return { ...await bandits.generate({ userId: 'u' }), requests: server.requests.length }
  }
  const cut = LIST.slice(0, LIST.indexOf('Reason 3'))

  test('gives the items before the cut, which is said', async (t) => {
    for (const [text, reason] of [[cut], [`\`\`\`json\n${cut}`], [`{"tips":${cut}`], [`<think>${LIST}</think>${cut}`], [cut, 'max_tokens']]) {
      const result = await madeOfCut(t, String(text), reason)
      assert.deepEqual([result.requests, plain(result)], [1, THREE.slice(0, 2)], text)
      assert.deepEqual(droppedOf(result), [[2, 'item'], [null, 'count']])
      assert.match(String(result.dropped[0]?.reason), /cut at the token limit \(finish_reason: length\)/)
    }
  })

  test('is asked for again where nothing of it is whole, where it may be thoughts, and where it was not the limit', async (t) => {
    for (const [text, reason] of [[LIST.slice(0, 30)], [`Maybe ${cut}`], [`Maybe ${LIST} or`], [`<think>${cut}`], [`{"drafts":${cut}`], [cut, 'stop'], [cut, 'content_filter']]) {
      const result = await madeOfCut(t, String(text), reason)
      assert.deepEqual([result.requests, result.candidates.map(({ content }) => content)], [2, ['asked again']], text)
    }
  })
})

describe('one object', () => {
  test('is one tip', async (t) => {
    for (const content of [JSON.stringify(THREE[0]), `\`\`\`json\n${JSON.stringify(THREE[0])}\n\`\`\``, `Here: ${JSON.stringify(THREE[0])}`]) {
      const result = await made(t, content, { n: 1 })
      assert.deepEqual([plain(result), result.dropped], [THREE.slice(0, 1), []])
    }
  })

  test('with content and a list of other things is one tip; beside a list of objects it may be an introduction, and is asked for again', async (t) => {
    assert.deepEqual(plain(await made(t, JSON.stringify({ ...THREE[0], steps: ['a', 'b'] }), { n: 1 })), THREE.slice(0, 1))
    await assert.rejects(made(t, JSON.stringify({ content: 'Here are your tips', tips: THREE }), { n: 3 }), { code: 'ERR_LLM_INVALID_REPLY' })
  })
})

test('nothing to say is an answer', async (t) => {
  for (const content of ['[]', ' [ ] ', '```json\n[]\n```']) {
    const { candidates, dropped } = await made(t, content)
    assert.deepEqual([candidates, dropped.filter(({ what }) => what !== 'count')], [[], []])
  }
})

describe('ids', () => {
  test('that cannot be kept are made', async (t) => {
    /** @type {[unknown, boolean][]} whether one was given */
    const ids = [['ok', false], [undefined, false], [null, true], [7, true], ['', true], ['x'.repeat(513), true], [true, true], [['a'], true], [{}, true], ['ok', true]]
    const result = await made(t, JSON.stringify(ids.map(([id], i) => ({ id, content: `Tip ${i}` }))), { n: ids.length })
    assert.equal(result.candidates[0]?.id, 'ok')
    for (const [i, { id }] of result.candidates.entries()) if (i > 0) assert.match(id, madeId(i))
    assert.equal(new Set(result.candidates.map(({ id }) => id)).size, ids.length)
    const given = ids.flatMap(([_id, wasGiven], i) => (wasGiven ? [[i, 'id']] : []))
    // null may as well be none.
    assert.deepEqual(droppedOf(result).filter(([index]) => index !== 2), given.filter(([index]) => index !== 2))
    for (const { reason } of result.dropped) assert.ok(reason.length > 5 && reason.length < 300, reason)
  })

  test('of 512 units, of any characters, are kept', async (t) => {
    const ids = ['x'.repeat(512), '😀'.repeat(256), ' ', '__proto__', 'a/b', 'tip-0-0123456789abcdef']
    const result = await made(t, JSON.stringify(ids.map((id) => ({ id, content: 'a' }))), { n: ids.length })
    assert.deepEqual([result.candidates.map(({ id }) => id), result.dropped], [ids, []])
  })

  test('that are those of tasks are not theirs', async (t) => {
    const tasks = [{ id: 'task-1', content: 'Water the plants' }, { id: 7, content: 'Pay' }, { content: 'no id' }, { id: 'deep', sub: { id: 'inner' } }]
    const result = await made(t, JSON.stringify(['task-1', 'deep', 'inner', 'own'].map((id) => ({ id, content: 'a' }))), { n: 4, context: { tasks } })
    assert.deepEqual(droppedOf(result), [[0, 'id'], [1, 'id']])
    assert.deepEqual(result.candidates.slice(2).map(({ id }) => id), ['inner', 'own'])
    for (const i of [0, 1]) assert.match(String(result.candidates[i]?.id), madeId(i))
  })

  test('that are made differ from call to call', async (t) => {
    const { bandits } = await startLlm(t, json(completion('[{"content":"a"},{"content":"a"}]')))
    const ids = []
    for (let i = 0; i < 10; i++) ids.push(...(await bandits.generate({ userId: 'u' })).candidates.map(({ id }) => id))
    assert.equal(new Set(ids).size, 20)
  })
})

describe('content', () => {
  test('that cannot be shown costs its item, and no other', async (t) => {
    const bad = [undefined, null, 5, '', ' \n\t', 'x'.repeat(1001), '😀'.repeat(501), 'a\0b', 'a\u001b[31mb', 'a\rb', 'a\u007fb', 'a\u0085b', ['a'], { text: 'a' }, true]
    const result = await made(t, JSON.stringify([THREE[0], ...bad.map((content, i) => ({ id: `bad ${i}`, content })), 5, null, 'text', ['a'], THREE[1]]), { n: 2 })
    assert.deepEqual(plain(result), THREE.slice(0, 2))
    assert.deepEqual(droppedOf(result), Array.from({ length: bad.length + 4 }, (_item, i) => [i + 1, 'item']))
    for (const { reason } of result.dropped) assert.ok(reason.length > 5 && reason.length < 300 && reason.isWellFormed(), reason)
  })

  test('of 1,000 units, with line ends and tabs and anything else that can be seen, is kept as it is', async (t) => {
    const contents = ['x'.repeat(1000), '😀'.repeat(500), 'a\n\tb', '<b onclick="x">&amp;</b>', ' room around ', 'عربى עברית 漢字', '\u202eturned', 'e\u0301']
    const result = await made(t, JSON.stringify(contents.map((content) => ({ content }))), { n: contents.length })
    assert.deepEqual([result.candidates.map(({ content }) => content), result.dropped], [contents, []])
  })
})

test('a rationale that is no text is none', async (t) => {
  /** @type {[unknown, string | null, boolean][]} what becomes of it, whether that is said */
  const cases = [['x'.repeat(2000), 'x'.repeat(2000), false], [undefined, null, false], [null, null, false], ['x'.repeat(2001), null, true], [5, null, true], [['a'], null, true], [{ a: 1 }, null, true]]
  const result = await made(t, JSON.stringify(cases.map(([rationale], i) => ({ id: `t${i}`, content: 'a', rationale }))), { n: cases.length })
  assert.deepEqual(result.candidates.map(({ rationale }) => rationale), cases.map(([, expected]) => expected))
  assert.deepEqual(droppedOf(result), cases.flatMap(([, , isSaid], i) => (isSaid ? [[i, 'rationale']] : [])))
})

describe('not as many as asked for', () => {
  for (const [name, given, n] of /** @type {[string, number, number][]} */ ([['fewer', 2, 3], ['more', 5, 3], ['one too many', 2, 1], ['a hundred', 100, 20]])) {
    test(`${name}: they are kept, and it is said`, async (t) => {
      const result = await made(t, JSON.stringify(items(given)), { n })
      assert.deepEqual([plain(result), droppedOf(result)], [items(given), [[null, 'count']]])
      assert.match(String(result.dropped[0]?.reason), new RegExp(`\\b${given}\\b.*\\b${n}\\b|\\b${n}\\b.*\\b${given}\\b`))
    })
  }

  test('more than a hundred: the first hundred', async (t) => {
    const result = await made(t, JSON.stringify(items(150)), { n: 20 })
    assert.deepEqual(plain(result), items(100))
    assert.ok(result.dropped.length > 0 && result.dropped.length <= 51)
  })

  test('because some cannot be used', async (t) => {
    const result = await made(t, JSON.stringify([...items(2), { content: '' }]))
    assert.deepEqual(plain(result), items(2))
    assert.deepEqual(droppedOf(result), [[2, 'item'], [null, 'count']])
  })

  test('three where nothing is said', async (t) => {
    assert.deepEqual((await made(t, LIST)).dropped, [])
  })
})

test('when no item can be used the model is asked again, and what is dropped is of the last reply', async (t) => {
  const { server, bandits } = await startLlm(t, inTurn(tips([{ content: '' }, { content: 5 }]), tips([{ id: 'x' }]), tips([{ id: 5, content: 'a' }])))
  const result = await bandits.generate({ userId: 'u', n: 1 })
  assert.deepEqual([result.attempts, server.requests.length, droppedOf(result)], [3, 3, [[0, 'id']]])
  const bad = await startLlm(t, tips([{ content: '' }]))
  await assert.rejects(bad.bandits.generate({ userId: 'u' }), { code: 'ERR_LLM_INVALID_REPLY', retryable: true })
  assert.equal(bad.server.requests.length, 3)
})

describe('the envelope', () => {
  test('may hold more than is known', async (t) => {
    const whole = completion(LIST)
    const [choice] = whole.choices
    const { bandits } = await startLlm(t, json({ ...whole, service_tier: null, provider_specific_fields: { a: [1e300] }, choices: [{ ...choice, logprobs: null, message: { ...choice?.message, tool_calls: null, function_call: null, provider_specific_fields: {} } }, { index: 1, message: null }] }))
    assert.deepEqual(plain(await bandits.generate({ userId: 'u' })), THREE)
  })

  test('may say that the model was cut short: what is whole is taken', async (t) => {
    const { bandits } = await startLlm(t, json(completion(LIST, { finishReason: 'length' })))
    assert.deepEqual(plain(await bandits.generate({ userId: 'u' })), THREE)
  })

  test('may count tokens in texts, or under other names', async (t) => {
    for (const usage of [{ prompt_tokens: '12', completion_tokens: '3' }, { input_tokens: 12, output_tokens: 3.0 }]) {
      const { bandits } = await startLlm(t, json({ ...completion(LIST), usage }))
      const { promptTokens, completionTokens } = await bandits.generate({ userId: 'u' })
      assert.deepEqual([promptTokens, completionTokens], [12, 3])
    }
  })

  test('may begin with a byte order mark', async (t) => {
    const { bandits } = await startLlm(t, (response) => { response.end(`\ufeff${JSON.stringify(completion(LIST))}`) })
    assert.deepEqual(plain(await bandits.generate({ userId: 'u' })), THREE)
  })

  test('may count tokens strangely, or not at all', async (t) => {
    for (const usage of [undefined, null, {}, 5, 'many', [], { prompt_tokens: 'ten' }, { prompt_tokens: -5, completion_tokens: 1.5 }, { prompt_tokens: null }]) {
      const { bandits } = await startLlm(t, json({ ...completion(LIST), usage }))
      const { promptTokens, completionTokens } = await bandits.generate({ userId: 'u' })
      assert.deepEqual([promptTokens, completionTokens], [0, 0], JSON.stringify(usage))
    }
  })

  test('without text has cost tokens as well', async (t) => {
    const { bandits } = await startLlm(t, inTurn(json(completion(null)), json(completion('no')), tips(THREE)))
    const { attempts, promptTokens, completionTokens } = await bandits.generate({ userId: 'u' })
    assert.deepEqual([attempts, promptTokens, completionTokens], [3, 30, 15])
    assert.deepEqual([bandits.health().litellm.promptTokens, bandits.health().litellm.completionTokens], [30, 15])
  })

  test('may name a model, or not', async (t) => {
    /** @type {[unknown, string][]} */
    const models = [['gpt-4o', 'gpt-4o'], [undefined, 'tip-generator'], [null, 'tip-generator'], [5, 'tip-generator'], [`of ${KEY}`, 'of ***']]
    for (const [model, expected] of models) {
      const { bandits } = await startLlm(t, json({ ...completion(LIST), model }))
      assert.equal((await bandits.generate({ userId: 'u' })).model, expected)
    }
  })
})

describe('score() takes the candidates as they are', () => {
  test('beside others, and logs the prompt that they were written for', async (t) => {
    const { server } = await startLlm(t, tips(THREE))
    const stateDir = emptyDirectory(t)
    const bandits = openEngine(t, { stateDir, litellm: { url: server.url, masterKey: KEY } })
    const { candidates, promptVersion } = await bandits.generate({ userId: 'u' })
    const own = { id: 'own', features: { priority: 4 } }
    const seen = new Set()
    for (let i = 0; i < 100; i++) {
      const { tipId, index } = bandits.score({ userId: 'u', candidates: [...candidates, own], context: { hourOfDay: 9 } })
      assert.equal(tipId, [...candidates, own][index]?.id)
      seen.add(tipId)
    }
    assert.deepEqual([...seen].sort(), ['own', 't1', 't2', 't3'])
    bandits.scoreMany([{ userId: 'u', candidates: bandits.prepare(candidates) }])
    await bandits.close()
    const pulls = linesIn(stateDir).filter(({ kind }) => kind === 'pull')
    assert.equal(pulls.length, 101)
    for (const { tipId, promptVersion: logged } of pulls) assert.equal(logged, tipId === 'own' ? undefined : promptVersion, tipId)
  })

  test('generate() itself is no pull, and writes nothing of the user', async (t) => {
    const { server } = await startLlm(t, tips(THREE))
    const stateDir = emptyDirectory(t)
    const bandits = openEngine(t, { stateDir, litellm: { url: server.url, masterKey: KEY } })
    await bandits.generate({ userId: 'somebody', context: { tasks: [{ content: 'private' }] } })
    assert.equal(bandits.stats('somebody').pulls, 0)
    await bandits.close()
    assert.ok(!/somebody|private/.test(JSON.stringify(linesIn(stateDir))))
  })
})
