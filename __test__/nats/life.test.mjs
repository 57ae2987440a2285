// @ts-check
// Beginnings and ends: start(), close(), processes that just end, threads that share, and where the settings come from.

import assert from 'node:assert/strict'
import { describe, test } from 'node:test'

import { consumes, eventsOf, FEEDBACK, openOnBus, PREFIX, SIGNALS, startBus, SYNCED, THEN } from '../support/bus.mjs'
import { run } from '../support/child.mjs'
import { NO_SERVER, startServer } from '../support/nats.mjs'
import { freePort } from '../support/ports.mjs'
import { assertRefuses, assertRejects } from '../support/refusal.mjs'
import { emptyDirectory, openEngine } from '../support/state-dir.mjs'
import { until } from '../support/until.mjs'
import { startWorker } from '../support/worker.mjs'

/** @typedef {import('../support/nats.mjs').Server} Server */

/** Before close() gives up what is being handled, which is after 3 s. */
const SOON_MS = 2900

/** How many clients are connected that call themselves by the package's name. @param {Server} server */
async function connectionsOf(server) {
  const { connections = [] } = await server.asked('connz')
  return connections.filter((/** @type {{ name?: string }} */ { name }) => name === '@oo/bandits').length
}

/** @param {() => Promise<unknown>} work */
async function msOf(work) {
  const from = performance.now()
  await work()
  return performance.now() - from
}

describe('start()', () => {
  test('does nothing without a URL', async (t) => {
    for (const nats of [undefined, {}, { url: '' }, { durablePrefix: 'x', maxDeliver: 3 }]) {
      const bandits = openEngine(t, nats && { nats })
      await bandits.start()
      await bandits.start()
      assert.deepEqual([bandits.health().nats.enabled, bandits.health().nats.state], [false, 'stopped'])
      await bandits.close()
      await assertRejects(() => bandits.start(), 'ERR_CLOSED')
    }
  })

  test('twice, at once and later, starts one set of consumers', { skip: NO_SERVER }, async (t) => {
    const server = await startServer(t)
    const admin = await server.admin()
    await admin.addStreams()
    const bandits = openOnBus(t, server.url)
    await Promise.all([bandits.start(), bandits.start()])
    await consumes(bandits)
    await bandits.start()
    await admin.publishAll('signals.x', ['a', 'b', 'c'])
    const { delivered } = await admin.settled('SIGNALS', SIGNALS)
    assert.deepEqual([delivered.consumer_seq, await connectionsOf(server)], [3, 1])
    assert.equal((await eventsOf(bandits, 3)).length, 3)
  })

  test('is refused after close(), which may come at any moment of it', { skip: NO_SERVER }, async (t) => {
    const server = await startServer(t)
    await (await server.admin()).addStreams()
    for (let i = 0; i < 5; i++) {
      const bandits = openOnBus(t, server.url)
      const starting = bandits.start().catch((error) => error.code)
      await bandits.close()
      assert.ok([undefined, 'ERR_CLOSED'].includes(await starting))
      await assertRejects(() => bandits.start(), 'ERR_CLOSED')
    }
    await until(async () => await connectionsOf(server) === 0, 'no connection is left')
  })

  test('was not called: nothing is consumed', { skip: NO_SERVER }, async (t) => {
    const server = await startServer(t)
    const admin = await server.admin()
    await admin.addStreams()
    const bandits = openOnBus(t, server.url)
    bandits.score({ userId: 'u', candidates: [{ id: 'a' }] })
    await bandits.close()
    assert.equal(await admin.consumer('SIGNALS', SIGNALS), undefined)
  })
})

describe('what a closed engine does', () => {
  test('refuses what is asked of the bus', async (t) => {
    const bandits = openEngine(t)
    await bandits.close()
    assertRefuses(() => bandits.events(), 'ERR_CLOSED')
    assertRefuses(() => bandits.syncState('u'), 'ERR_CLOSED')
    assertRefuses(() => bandits.onEvent(() => {}), 'ERR_CLOSED')
    await assertRejects(() => bandits.publish('a.b', 'x'), 'ERR_CLOSED')
    await assertRejects(() => bandits.start(), 'ERR_CLOSED')
  })
})

describe('close()', { skip: NO_SERVER }, () => {
  test('finishes what is being handled and gives back the rest', async (t) => {
    const server = await startServer(t)
    const admin = await server.admin()
    await admin.addStreams()
    const total = 3000
    await admin.publishAll(SYNCED, Array.from({ length: total }, (_event, i) => ({ user_id: `u${i % 50}`, ts: THEN + i })))
    const stateDir = emptyDirectory(t)
    /** @type {number[]} */
    const floors = []
    do {
      const bandits = openOnBus(t, server.url, { stateDir })
      await bandits.start()
      await until(() => Number(bandits.health().nats.consumers.signals?.processed) > 0, 'some are handled')
      const ms = await msOf(() => bandits.close())
      assert.ok(ms < SOON_MS, `close() took ${ms} ms`)
      assert.equal(bandits.closed, true)
      const info = await until(async () => {
        const found = await admin.consumer('SIGNALS', SIGNALS)
        return found?.num_ack_pending === 0 && found
      }, 'nothing is left unanswered')
      floors.push(info.ack_floor.stream_seq)
    } while (floors.at(-1) !== total)
    t.diagnostic(`acknowledged at the ends of lives: ${floors.join(', ')}`)
    assert.ok(floors.length > 1, 'one life was enough')
    assert.equal(await connectionsOf(server), 0)
    const bandits = openEngine(t, { stateDir })
    for (let user = 0; user < 50; user++) assert.equal(bandits.syncState(`u${user}`)?.streamSeq, total - 49 + user)
  })

  test('is quick where nothing is to do', async (t) => {
    const { bandits } = await startBus(t)
    const ms = await msOf(() => bandits.close())
    assert.ok(ms < SOON_MS, `close() took ${ms} ms`)
  })

  test('is quick where there was never a server', async (t) => {
    const bandits = openOnBus(t, `nats://127.0.0.1:${await freePort()}`)
    await bandits.start()
    await until(() => bandits.health().nats.problem !== null, 'it has tried')
    const ms = await msOf(() => bandits.close())
    assert.ok(ms < SOON_MS, `close() took ${ms} ms`)
  })

  test('is quick where the server has gone', async (t) => {
    const { server, bandits } = await startBus(t)
    await server.kill()
    await until(() => bandits.health().nats.state === 'reconnecting', 'the loss is noticed')
    const ms = await msOf(() => bandits.close())
    assert.ok(ms < SOON_MS, `close() took ${ms} ms`)
  })

  test('is quick where there is no stream', async (t) => {
    const server = await startServer(t)
    const bandits = openOnBus(t, server.url)
    await bandits.start()
    await until(() => bandits.health().nats.consumers.signals?.problem != null, 'it has looked')
    const ms = await msOf(() => bandits.close())
    assert.ok(ms < SOON_MS, `close() took ${ms} ms`)
  })
})

describe('a script that falls off its end', { skip: NO_SERVER, concurrency: 2 }, () => {
  /** @type {[string, (server: Server) => Promise<unknown>, string][]} */
  const cases = [
    ['with a server', async (server) => { await (await server.admin()).addStreams() }, 'await consuming()'],
    ['with a server and a listener', async (server) => { await (await server.admin()).addStreams() }, 'engine.onEvent(() => {}); await consuming()'],
    ['without waiting for the server', async (server) => { await (await server.admin()).addStreams() }, ''],
    ['with a server without streams', async () => {}, ''],
    ['without a server', (server) => server.kill(), ''],
    ['when the server does not answer any more', async (server) => { await (await server.admin()).addStreams() }, "await consuming(); process.kill(Number(process.env.SERVER_PID), 'SIGSTOP')"],
  ]
  for (const [name, prepare, script] of cases) {
    test(`ends by itself, ${name}`, async (t) => {
      const server = await startServer(t)
      await prepare(server)
      const { code, signal, stdout, stderr } = run(`
        const engine = Bandits.open({ stateDir, nats: { url: process.env.SERVER } })
        const consuming = async () => { while (engine.health().nats.consumers.signals?.durable == null) await new Promise((resolve) => setTimeout(resolve, 5)) }
        reward(engine)
        await engine.start()
        ${script}
        console.log(Date.now())`, { stateDir: emptyDirectory(t), env: { SERVER: server.url, SERVER_PID: String(server.pid) } })
      const ms = Date.now() - Number(stdout)
      assert.deepEqual([code, signal, stderr], [0, null, ''])
      assert.ok(ms < SOON_MS, `it took ${ms} ms`)
      t.diagnostic(`${ms} ms`)
    })
  }
})

test('what is learned from the bus at the very end survives process.exit()', { skip: NO_SERVER }, async (t) => {
  const server = await startServer(t)
  const admin = await server.admin()
  await admin.addStreams()
  await admin.publishAll(SYNCED, Array.from({ length: 500 }, (_event, i) => ({ user_id: `u${i}`, ts: THEN + i })))
  const stateDir = emptyDirectory(t)
  const { code, stderr } = run(`
    const engine = Bandits.open({ stateDir, nats: { url: process.env.SERVER, durablePrefix: '${PREFIX}' } })
    await engine.start()
    while (!(engine.health().nats.consumers.signals?.processed > 0)) await new Promise((resolve) => setTimeout(resolve, 1))
    process.exit(3)`, { stateDir, env: { SERVER: server.url } })
  assert.equal(code, 3, stderr)
  const info = await admin.consumer('SIGNALS', SIGNALS)
  const bandits = openEngine(t, { stateDir })
  for (let seq = 1; seq <= Number(info?.ack_floor.stream_seq); seq++) assert.equal(bandits.syncState(`u${seq - 1}`)?.streamSeq, seq)
})

describe('threads and processes', { skip: NO_SERVER }, () => {
  test('worker threads share one set of consumers', async (t) => {
    const { server, admin, bandits, stateDir } = await startBus(t)
    const workers = [1, 2].map(() => startWorker(`
      const engine = Bandits.open({ stateDir, nats: { url: workerData.url, durablePrefix: '${PREFIX}' } })
      const seqs = []
      engine.onEvent(({ seq }) => seqs.push(seq))
      await engine.start()
      say('started')
      await heard('go')
      while (seqs.length < 200) await new Promise((resolve) => setTimeout(resolve, 5))
      say(JSON.stringify({ seqs, listed: engine.events().map(({ seq }) => seq), processed: engine.health().nats.consumers.signals.processed }))
      await engine.close()
      process.exit()`, { stateDir, url: server.url }, t))
    assert.deepEqual(await Promise.all(workers.map(({ said }) => said())), ['started', 'started'])
    workers.forEach(({ say }) => say('go'))
    await admin.publishAll('signals.x', Array.from({ length: 200 }, (_event, i) => `${i}`))
    const reports = (await Promise.all(workers.map(({ said }) => said()))).map((text) => JSON.parse(text))
    const { delivered } = await admin.settled('SIGNALS', SIGNALS)
    assert.equal(delivered.consumer_seq, 200)
    const all = Array.from({ length: 200 }, (_event, i) => i + 1)
    for (const report of reports) assert.deepEqual(report, { seqs: all, listed: all, processed: 200 })
    assert.deepEqual(await Promise.all(workers.map(({ ended }) => ended)), [0, 0])
    // Those that have closed theirs leave ours at work.
    assert.equal(await connectionsOf(server), 1)
    await admin.publish('signals.x', 'more')
    assert.equal((await eventsOf(bandits, 201)).length, 201)
  })

  test('a worker that ends without a word takes nothing with it', async (t) => {
    const { server, admin, bandits, stateDir } = await startBus(t)
    const { said, worker } = startWorker(`
      const engine = Bandits.open({ stateDir, nats: { url: workerData.url, durablePrefix: '${PREFIX}' } })
      engine.onEvent(() => say('heard'))
      await engine.start()
      say('started')`, { stateDir, url: server.url }, t)
    await said()
    await worker.terminate()
    await admin.publish('signals.x', 'x')
    assert.equal((await eventsOf(bandits, 1)).length, 1)
  })

  test('a worker alone consumes, and its end ends that', async (t) => {
    const server = await startServer(t)
    const admin = await server.admin()
    await admin.addStreams()
    const { said, ended } = startWorker(`
      const engine = Bandits.open({ stateDir, nats: { url: workerData.url, durablePrefix: '${PREFIX}' } })
      engine.onEvent(({ subject }) => { say(subject); process.exit() })
      await engine.start()
      setInterval(() => {}, 1000)`, { stateDir: emptyDirectory(t), url: server.url }, t)
    await admin.publish('signals.x', 'x')
    assert.equal(await said(), 'signals.x')
    assert.equal(await ended, 0)
    await until(async () => await connectionsOf(server) === 0, 'no connection is left')
  })

  test('two engines with one prefix share the messages', async (t) => {
    const server = await startServer(t)
    const admin = await server.admin()
    await admin.addStreams()
    const engines = [openOnBus(t, server.url), openOnBus(t, server.url)]
    for (const bandits of engines) await bandits.start()
    await Promise.all(engines.map(consumes))
    await admin.publishAll('signals.x', Array.from({ length: 400 }, () => 'x'))
    const { delivered } = await admin.settled('SIGNALS', SIGNALS)
    assert.equal(delivered.consumer_seq, 400)
    await until(() => engines.flatMap((bandits) => bandits.events()).length === 400, 'all are noted')
    const sequences = engines.flatMap((bandits) => bandits.events().map(({ streamSeq }) => streamSeq))
    assert.deepEqual(sequences.sort((a, b) => a - b), Array.from({ length: 400 }, (_event, i) => i + 1))
  })

  test('two engines with two prefixes each have all', async (t) => {
    const { server, admin, bandits } = await startBus(t)
    const other = openOnBus(t, server.url, { nats: { durablePrefix: 'Other_1' } })
    await other.start()
    await admin.publishAll('feedback.x', Array.from({ length: 20 }, () => ({ user_id: 'u' })))
    for (const engine of [bandits, other]) assert.equal((await eventsOf(engine, 20)).length, 20)
    assert.equal((await admin.settled('FEEDBACK', 'Other_1-feedback')).delivered.consumer_seq, 20)
    assert.equal((await admin.settled('FEEDBACK', FEEDBACK)).delivered.consumer_seq, 20)
  })
})

describe('where the settings come from', { skip: NO_SERVER }, () => {
  const report = `
    while (!(engine.health().nats.consumers.signals?.processed > 0 || engine.health().nats.dead > 0)) await new Promise((resolve) => setTimeout(resolve, 5))
    console.log(JSON.stringify(engine.health().nats))
    await engine.close()`

  test('the environment, which options override', async (t) => {
    const server = await startServer(t)
    const admin = await server.admin()
    await admin.addStreams()
    await admin.publish(SYNCED, { user_id: 'u', ts: THEN + 1 })
    const env = { NATS_URL: server.url, NATS_DURABLE_PREFIX: 'from-env', NATS_MAX_DELIVER: '1' }
    const script = (/** @type {string} */ options) => `
      import { writeFileSync } from 'node:fs'
      const engine = Bandits.open({ stateDir, ${options} })
      // Nothing can be written: the only delivery that is allowed fails.
      writeFileSync(stateDir + '/sync', 'in the way')
      await engine.start()
      ${report}`
    const first = run(script(''), { stateDir: emptyDirectory(t), env })
    const { consumers, dead } = JSON.parse(first.stdout || first.stderr)
    assert.deepEqual([consumers.signals.durable, dead], ['from-env-signals', 1])
    const second = run(script("nats: { url: process.env.SERVER, durablePrefix: 'from-options', maxDeliver: 1 }"), { stateDir: emptyDirectory(t), env: { ...env, NATS_URL: 'nats://127.0.0.1:1', SERVER: server.url, NATS_MAX_DELIVER: '9' } })
    assert.deepEqual([JSON.parse(second.stdout || second.stderr).consumers.signals.durable, JSON.parse(second.stdout).dead], ['from-options-signals', 1])
  })

  test('the default engine has it all', async (t) => {
    const server = await startServer(t)
    const admin = await server.admin()
    await admin.addStreams()
    const stateDir = emptyDirectory(t)
    const { code, stdout, stderr } = run(`
      const { start, events, onEvent, publish, syncState, health, close } = bandits
      const heard = []
      onEvent(({ subject }) => heard.push(subject))
      await start()
      const publishing = async () => { for (;;) try { return await publish('signals.task.synced', { user_id: 'u', ts: ${THEN + 5} }) } catch (error) { if (!error.retryable) throw error } }
      await publishing()
      while (heard.length === 0) await new Promise((resolve) => setTimeout(resolve, 5))
      console.log(JSON.stringify([heard, events({ limit: 1 })[0].outcome, syncState('u').ts, health().nats.consumers.signals.durable]))
      await close()`, { stateDir, env: { STATE_DIR: stateDir, NATS_URL: server.url } })
    assert.equal(code, 0, stderr)
    assert.deepEqual(JSON.parse(stdout), [[SYNCED], 'handled', new Date(THEN + 5).toISOString(), 'oo-bandits-signals'])
  })

  test('an empty NATS_URL is none', async (t) => {
    const { code, stdout, stderr } = run("const engine = Bandits.open({ stateDir }); await engine.start(); console.log(engine.health().nats.enabled)", { stateDir: emptyDirectory(t), env: { NATS_URL: '', NATS_MAX_DELIVER: '', NATS_DURABLE_PREFIX: '', NATS_CREDS: '', NATS_CA: '' } })
    assert.deepEqual([code, stdout, stderr], [0, 'false\n', ''])
  })

  test('a variable that is wrong is named', (t) => {
    for (const [name, value] of [['NATS_URL', 'http://secret:word@x'], ['NATS_URL', 'nats://a,,nats://b'], ['NATS_DURABLE_PREFIX', 'a.b'], ['NATS_MAX_DELIVER', '0'], ['NATS_MAX_DELIVER', '1001'], ['NATS_MAX_DELIVER', 'five']]) {
      const { stdout, stderr } = run("try { Bandits.open({ stateDir }); console.log('opened') } catch (error) { console.log(error.code, error.message) }", { stateDir: emptyDirectory(t), env: { NATS_URL: 'nats://127.0.0.1:1', [String(name)]: String(value) } })
      assert.match(stdout, new RegExp(`^ERR_INVALID_ARGUMENT .*${name}`), `${name}=${value} ${stderr}`)
      assert.ok(!/secret|:word/.test(stdout), stdout)
    }
  })
})
