// @ts-check
// Calls of generate() that are ended from this side, by close() or by the end of a thread or of the process; and what health() counts.
// What the server sees of it.

import assert from 'node:assert/strict'
import { describe, test } from 'node:test'

import { runBeside } from '../support/child.mjs'
import { KEY, marked, markOf, settled, startLlm } from '../support/llm-engine.mjs'
import { completion, failure, inTurn, json, startLlmServer, tips } from '../support/llm-server.mjs'
import { emptyDirectory, openEngine } from '../support/state-dir.mjs'
import { until } from '../support/until.mjs'
import { startWorker } from '../support/worker.mjs'

/** @typedef {import('../support/llm-server.mjs').Answer} Answer */

const GOOD = tips([{ id: 'a', content: 'Water the plants' }])
/** @type {Answer} */
const NEVER = () => undefined

describe('close()', () => {
  test('ends calls that are under way, that wait for a turn, and that wait for a repeat', async (t) => {
    const { server, bandits } = await startLlm(t, (response, received) => (markOf(received) === 'repeated' ? failure(429, 'no', { 'retry-after': '10' }) : NEVER)(response, received), { maxConcurrent: 2 })
    const repeated = settled(bandits.generate(marked('repeated')))
    await until(() => bandits.health().litellm.attempts === 1 && bandits.health().litellm.inFlight === 0, 'one waits for its repeat')
    const others = Array.from({ length: 5 }, () => settled(bandits.generate({ userId: 'u' })))
    await until(() => server.requests.length === 3 && bandits.health().litellm.waiting === 3, 'two are under way, three wait')
    const from = performance.now()
    const closing = bandits.close()
    const late = settled(bandits.generate({ userId: 'u' }))
    for (const { error } of await Promise.all([repeated, ...others, late])) assert.deepEqual([error?.code, error?.name], ['ERR_CLOSED', 'BanditError'])
    await closing
    assert.ok(performance.now() - from < 1000)
    await until(() => server.open === 0, 'no connection is left')
    assert.equal(server.requests.length, 3)
  })

  test('closes connections that nobody uses', async (t) => {
    const { server, bandits } = await startLlm(t, GOOD)
    await Promise.all([bandits.generate({ userId: 'u' }), bandits.generate({ userId: 'u' })])
    assert.ok(server.open > 0)
    await bandits.close()
    await until(() => server.open === 0, 'no connection is left')
  })

  test('and a signal: whichever comes first', async (t) => {
    const { server, bandits } = await startLlm(t, NEVER)
    const controllers = [new AbortController(), new AbortController()]
    const [first, second] = controllers.map(({ signal }) => settled(bandits.generate({ userId: 'u' }, { signal })))
    await until(() => server.requests.length === 2, 'both are there')
    controllers[0]?.abort('now')
    assert.equal((await first)?.error, 'now')
    await bandits.close()
    controllers[1]?.abort('late')
    assert.equal((await second)?.error.code, 'ERR_CLOSED')
  })

  test('of an engine that another one shares ends no call of it', async (t) => {
    /** @type {(() => unknown)[]} */
    const held = []
    const server = await startLlmServer(t, (response, received) => held.push(() => GOOD(response, received)))
    const stateDir = emptyDirectory(t)
    const litellm = { url: server.url, masterKey: KEY }
    const [one, other] = [openEngine(t, { stateDir, litellm }), openEngine(t, { stateDir, litellm })]
    const call = settled(other.generate({ userId: 'u' }))
    await until(() => held.length === 1, 'the request is there')
    await one.close()
    held[0]?.()
    assert.equal((await call).error, undefined)
  })
})

describe('health()', () => {
  test('counts calls, attempts, repeats and tokens', async (t) => {
    const usage = { prompt_tokens: 100, completion_tokens: 7, total_tokens: 107 }
    const bad = json(completion('no', { usage }))
    const good = json(completion('[{"id":"a","content":"b"}]', { usage }))
    const { server, bandits } = await startLlm(t, inTurn(good, bad, good, failure(503), good, failure(401), NEVER))
    for (let i = 0; i < 3; i++) await bandits.generate({ userId: 'u' })
    await assert.rejects(bandits.generate({ userId: 'u' }), { code: 'ERR_LLM_STATUS' })
    const controller = new AbortController()
    const aborted = settled(bandits.generate({ userId: 'u' }, { signal: controller.signal }))
    await until(() => server.requests.length === 7, 'the last is there')
    controller.abort()
    await aborted
    await until(() => bandits.health().litellm.inFlight === 0, 'nothing is under way')
    await assert.rejects(bandits.generate({ userId: 'u', n: 0 }), { code: 'ERR_INVALID_ARGUMENT' })
    const { lastError, ...figures } = bandits.health().litellm
    assert.deepEqual(figures, {
      url: server.url, promptVersions: ['v1'], calls: 5, succeeded: 3, failed: 1, aborted: 1, attempts: 7, retriedReplies: 1, retriedFailures: 1, inFlight: 0, waiting: 0,
      promptTokens: 400, completionTokens: 28, breaker: 'closed', retryAt: null,
    })
    assert.equal(lastError?.code, 'ERR_LLM_STATUS')
  })
})

describe('the end of the process', { concurrency: 4 }, () => {
  /** @param {import('node:test').TestContext} t @param {string} script @param {Answer} [answer] */
  async function inChild(t, script, answer = GOOD) {
    const server = await startLlmServer(t, answer)
    const stateDir = emptyDirectory(t)
    const from = performance.now()
    const ended = await runBeside(script, { stateDir, env: { STATE_DIR: stateDir, LITELLM_URL: server.url, LITELLM_MASTER_KEY: KEY } })
    await until(() => server.open === 0, 'no connection is left')
    return { ...ended, server, ms: performance.now() - from }
  }

  test('comes when the script is at its end, with connections that wait for more calls', async (t) => {
    const { code, stdout, stderr, ms } = await inChild(t, `
      const engine = Bandits.open({ stateDir })
      console.log((await Promise.all([engine.generate({ userId: 'u' }), engine.generate({ userId: 'u' })])).length)`)
    assert.deepEqual([code, stdout, stderr], [0, '2\n', ''])
    assert.ok(ms < 5000, `${ms} ms`)
  })

  test('does not come before what is awaited', async (t) => {
    const { code, stdout, stderr } = await inChild(t, `
      const engine = Bandits.open({ stateDir })
      console.log((await engine.generate({ userId: 'u' })).candidates.length)
      await engine.close()`, (response, received) => { setTimeout(() => GOOD(response, received), 300) })
    assert.deepEqual([code, stdout, stderr], [0, '1\n', ''])
  })

  test('does not come before a repeat that is awaited', async (t) => {
    const { code, stdout } = await inChild(t, 'console.log((await bandits.generate({ userId: "u" })).attempts)', inTurn(failure(503), GOOD))
    assert.deepEqual([code, stdout], [0, '2\n'])
  })

  for (const [name, end, expected] of /** @type {[string, string, number][]} */ ([['process.exit()', 'process.exit(4)', 4], ['an uncaught error', "setTimeout(() => { throw new Error('uncaught') })", 1]])) {
    test(`by ${name} does not wait for calls`, async (t) => {
      const { code, ms, stderr } = await inChild(t, `
        const engine = Bandits.open({ stateDir })
        engine.generate({ userId: 'u' }).catch(() => {})
        while (engine.health().litellm.inFlight === 0) await new Promise((resolve) => setTimeout(resolve, 5))
        ${end}`, NEVER)
      assert.equal(code, expected, stderr)
      assert.ok(ms < 5000, `${ms} ms`)
      assert.ok(!stderr.includes(KEY))
    })
  }

  test('by an error of a call that nobody catches shows no key', async (t) => {
    const { code, stderr } = await inChild(t, "bandits.generate({ userId: 'u' })", failure(401, `got ${KEY}`))
    assert.equal(code, 1)
    assert.match(stderr, /BanditError.*401/)
    assert.ok(!stderr.includes(KEY), stderr)
  })

  test('the default engine asks whom the environment names', async (t) => {
    const { code, stdout, stderr, server } = await inChild(t, `
      const { candidates, model, promptVersion } = await bandits.generate({ userId: 'u' })
      const { url } = bandits.health().litellm
      console.log(JSON.stringify([candidates, model, promptVersion, url === process.env.LITELLM_URL]))
      await bandits.close()`)
    assert.deepEqual([code, stderr], [0, ''])
    assert.deepEqual(JSON.parse(stdout), [[{ id: 'a', content: 'Water the plants', source: 'llm', rationale: null, promptVersion: 'v1' }], 'tip-generator', 'v1', true])
    assert.deepEqual(server.requests.map(({ path, headers }) => [path, headers.authorization]), [['/chat/completions', `Bearer ${KEY}`]])
  })
})

describe('worker threads', () => {
  const SCRIPT = `
    const engine = Bandits.open({ stateDir, litellm: workerData.litellm })
    say('open')
    await heard('go')
    const calls = Array.from({ length: workerData.calls }, () => engine.generate({ userId: 'u' }))
    const results = await Promise.allSettled(calls)
    say(results.map(({ value, reason }) => value?.candidates[0].id ?? reason.code).join())
    await engine.close()
    process.exit()`

  test('share turns, breaker and counts with the thread that has the same engine', async (t) => {
    const server = await startLlmServer(t, (response, received) => { setImmediate(() => GOOD(response, received)) })
    const stateDir = emptyDirectory(t)
    const litellm = { url: server.url, masterKey: KEY, maxConcurrent: 2 }
    const own = openEngine(t, { stateDir, seed: undefined, litellm })
    const workers = [1, 2].map(() => startWorker(SCRIPT, { stateDir, litellm, calls: 10 }, t))
    await Promise.all(workers.map(({ said }) => said()))
    const words = workers.map(({ said }) => said())
    workers.forEach(({ say }) => say('go'))
    await Promise.all(Array.from({ length: 10 }, () => own.generate({ userId: 'u' })))
    assert.deepEqual(await Promise.all(words), Array.from({ length: 2 }, () => Array.from({ length: 10 }, () => 'a').join()))
    assert.deepEqual(await Promise.all(workers.map(({ ended }) => ended)), [0, 0])
    assert.ok(server.most <= 2, `${server.most} at once`)
    assert.deepEqual([server.requests.length, own.health().litellm.calls], [30, 30])
  })

  test('that are terminated in the midst of calls leave no connection, and no turn taken', async (t) => {
    /** @type {Answer} */
    let answer = NEVER
    const server = await startLlmServer(t, (response, received) => answer(response, received))
    const stateDir = emptyDirectory(t)
    const litellm = { url: server.url, masterKey: KEY, maxConcurrent: 2 }
    const alone = startWorker(SCRIPT, { stateDir: emptyDirectory(t), litellm, calls: 5 }, t)
    await alone.said()
    alone.say('go')
    await until(() => server.requests.length === 2, 'two are there')
    await alone.worker.terminate()
    await until(() => server.open === 0, 'no connection is left')

    const own = openEngine(t, { stateDir, seed: undefined, litellm })
    const beside = startWorker(SCRIPT, { stateDir, litellm, calls: 5 }, t)
    await beside.said()
    beside.say('go')
    await until(() => server.requests.length === 4, 'two more are there')
    await beside.worker.terminate()
    answer = GOOD
    // The dead thread's calls hold their turns no longer than they would have alone.
    const call = settled(own.generate({ userId: 'u' }))
    server.disconnect()
    assert.equal((await call).error, undefined)
    await own.close()
    await until(() => server.open === 0, 'no connection is left')
  })
})
