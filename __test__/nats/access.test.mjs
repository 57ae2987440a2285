// @ts-check
// Who we are and whom we trust: passwords, tokens, credentials, certificates. What is secret is in no error, no line and no health().

import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { inspect } from 'node:util'

import { credsAuthenticator } from '@nats-io/transport-node'
import { consumes, eventOf, openOnBus, PREFIX, SYNCED, THEN } from '../support/bus.mjs'
import { writeCertificates } from '../support/certificates.mjs'
import { run } from '../support/child.mjs'
import { signedAccounts } from '../support/nats-accounts.mjs'
import { NO_SERVER, startServer } from '../support/nats.mjs'
import { assertRejects } from '../support/refusal.mjs'
import { emptyDirectory } from '../support/state-dir.mjs'
import { until } from '../support/until.mjs'

/** @typedef {import('../support/nats.mjs').Server} Server */
/** @typedef {import('../support/state-dir.mjs').TestContext} TestContext */
/** @typedef {import('@oo/bandits').NatsOptions} NatsOptions */

const PASSWORD = 'p@ss:w/rd%20?#é &'
const TOKEN = 's3cr3t-t0ken'

/** A message comes through, and comes back by publish(). @param {TestContext} t @param {Server} server @param {NatsOptions & { url: string }} nats */
async function assertWorks(t, server, nats) {
  const admin = await server.admin()
  await admin.addStreams()
  const bandits = openOnBus(t, nats.url, { nats })
  await bandits.start()
  await consumes(bandits)
  const { streamSeq } = await bandits.publish(SYNCED, { user_id: 'u', ts: THEN + 1 })
  assert.equal((await eventOf(bandits, streamSeq)).outcome, 'handled')
  return bandits
}

/** Nobody lets us in: health() says why, and close() ends it. @param {TestContext} t @param {NatsOptions & { url: string }} nats @param {RegExp} why */
async function assertKeptOut(t, nats, why) {
  const bandits = openOnBus(t, nats.url, { nats })
  await bandits.start()
  /** @type {string | null} */
  let said = null
  const problem = await until(() => {
    said = bandits.health().nats.problem
    return said !== null && why.test(said) && said
  }, `health() says ${why}`, 3000).catch((error) => assert.fail(`${error.message}; it says ${said}`))
  assert.equal(bandits.health().nats.server, null)
  assert.notEqual(bandits.health().nats.state, 'connected')
  return { bandits, problem }
}

/** @param {unknown} said @param {string[]} secrets */
function assertSecret(said, ...secrets) {
  const text = typeof said === 'string' ? said : `${JSON.stringify(said)} ${inspect(said, { depth: 9 })}`
  for (const secret of secrets) {
    for (const form of [secret, encodeURIComponent(secret), JSON.stringify(secret).slice(1, -1)]) assert.ok(!text.includes(form), `a secret stands in ${text}`)
  }
}

// What is published to nobody is given up after five seconds: together these tests take no longer than one.
describe('user and password', { skip: NO_SERVER, concurrency: true }, () => {
  /** @param {TestContext} t */
  const withPassword = (t) => startServer(t, { config: `authorization { user: ${JSON.stringify('me@home')}, password: ${JSON.stringify(PASSWORD)} }`, admin: { user: 'me@home', pass: PASSWORD } })
  /** @param {Server} server @param {string} user @param {string} password */
  const urlOf = (server, user, password) => `nats://${encodeURIComponent(user)}:${encodeURIComponent(password)}@127.0.0.1:${server.port}`

  test('stand in the URL, percent-encoded', async (t) => {
    const server = await withPassword(t)
    const bandits = await assertWorks(t, server, { url: urlOf(server, 'me@home', PASSWORD) })
    assert.deepEqual(bandits.health().nats.servers, [server.url])
    assertSecret(bandits.health(), PASSWORD, 'me@home')
    await server.kill()
    await until(() => bandits.health().nats.state === 'reconnecting', 'the loss is noticed')
    assertSecret(bandits.health(), PASSWORD)
    await bandits.publish('signals.x', 'x').then(() => assert.fail('published to nobody'), (error) => assertSecret(error, PASSWORD, 'me@home'))
    assertSecret(inspect(bandits, { depth: 9, showHidden: true }), PASSWORD)
  })

  test('stand in one of several URLs for all of them', async (t) => {
    const server = await withPassword(t)
    await assertWorks(t, server, { url: `nats://127.0.0.1:1,${urlOf(server, 'me@home', PASSWORD)}` })
  })

  test('that are wrong are said to be, without what was tried', async (t) => {
    const server = await withPassword(t)
    const urls = [urlOf(server, 'me@home', 'wr0ng-guess'), urlOf(server, 'you', PASSWORD), `nats://wr0ng-guess@127.0.0.1:${server.port}`, server.url]
    await Promise.all(urls.map(async (url) => {
      const { bandits, problem } = await assertKeptOut(t, { url }, /auth/i)
      assertSecret(problem, 'wr0ng-guess', PASSWORD)
      assertSecret(bandits.health(), 'wr0ng-guess', PASSWORD)
      await bandits.publish('signals.x', 'x').then(() => assert.fail('let in'), (error) => assertSecret(error, 'wr0ng-guess', PASSWORD))
    }))
  })

  test('that are wrong are tried on, and let in when they are right', async (t) => {
    const server = await withPassword(t)
    await (await server.admin()).addStreams()
    const { bandits } = await assertKeptOut(t, { url: urlOf(server, 'late', 'comer') }, /auth/i)
    await server.stop()
    writeFileSync(server.config, `listen: "127.0.0.1:${server.port}"\nhttp: "${server.monitor.slice(7)}"\njetstream { store_dir: ${JSON.stringify(join(server.config, '../store'))} }\nauthorization { user: late, password: comer }`)
    await server.restart()
    await consumes(bandits)
    assert.equal(bandits.health().nats.problem, null)
  })

  test('reach no line that is written', async (t) => {
    const server = await withPassword(t)
    const env = { NATS_URL: urlOf(server, 'me@home', 'wr0ng-guess'), NATS_DURABLE_PREFIX: PREFIX }
    const { code, stdout, stderr } = run(`
      const engine = Bandits.open({ stateDir })
      await engine.start()
      while (!/auth/i.test(engine.health().nats.problem ?? '')) await new Promise((resolve) => setTimeout(resolve, 5))
      console.log(JSON.stringify(engine.health()))
      await engine.close()`, { stateDir: emptyDirectory(t), env })
    assert.deepEqual([code, stderr], [0, ''])
    assertSecret(stdout, 'wr0ng-guess', 'me@home')
  })
})

describe('a token', { skip: NO_SERVER }, () => {
  test('stands in the URL', async (t) => {
    const server = await startServer(t, { config: `authorization { token: ${JSON.stringify(TOKEN)} }`, admin: { token: TOKEN } })
    const bandits = await assertWorks(t, server, { url: `nats://${TOKEN}@127.0.0.1:${server.port}` })
    assertSecret(bandits.health(), TOKEN)
    assert.deepEqual(bandits.health().nats.servers, [server.url])
  })

  test('that is wrong is said to be', async (t) => {
    const server = await startServer(t, { config: `authorization { token: ${JSON.stringify(TOKEN)} }`, admin: { token: TOKEN } })
    const { bandits } = await assertKeptOut(t, { url: `nats://wr0ng-guess@127.0.0.1:${server.port}` }, /auth/i)
    assertSecret(bandits.health(), 'wr0ng-guess')
  })
})

describe('credentials', { skip: NO_SERVER }, () => {
  test('stand in a file', async (t) => {
    const directory = emptyDirectory(t)
    const { config, credentials, strangersCredentials, seed } = await signedAccounts()
    const [credentialsFile, strangersFile] = [join(directory, 'u.creds'), join(directory, 'stranger.creds')]
    writeFileSync(credentialsFile, credentials)
    writeFileSync(strangersFile, strangersCredentials)
    const server = await startServer(t, { config, admin: { authenticator: credsAuthenticator(credentials) } })
    const bandits = await assertWorks(t, server, { url: server.url, credentialsFile })
    assertSecret(bandits.health(), seed)

    const kept = await assertKeptOut(t, { url: server.url, credentialsFile: strangersFile }, /auth/i)
    await kept.bandits.close()

    const { code, stdout, stderr } = run(`
      const engine = Bandits.open({ stateDir })
      await engine.start()
      while (engine.health().nats.state !== 'connected') await new Promise((resolve) => setTimeout(resolve, 5))
      console.log(JSON.stringify(engine.health()))
      await engine.close()`, { stateDir: emptyDirectory(t), env: { NATS_URL: server.url, NATS_CREDS: credentialsFile } })
    assert.deepEqual([code, stderr], [0, ''])
    assertSecret(stdout, seed)
  })

  test('that cannot be read reject start(), which may be called again', async (t) => {
    const directory = emptyDirectory(t)
    const garbage = join(directory, 'garbage.creds')
    writeFileSync(garbage, 'SUSECRETSEED no credentials')
    for (const credentialsFile of [join(directory, 'missing.creds'), directory, garbage]) {
      const bandits = openOnBus(t, 'nats://127.0.0.1:1', { nats: { credentialsFile } })
      for (let tries = 0; tries < 2; tries++) {
        await assertRejects(() => bandits.start(), 'ERR_INVALID_ARGUMENT', 'options.nats.credentialsFile', credentialsFile)
        assert.equal(bandits.health().nats.state, 'stopped')
      }
      await bandits.start().catch((error) => assertSecret(error, 'SUSECRETSEED'))
    }
  })
})

describe('TLS', { skip: NO_SERVER }, () => {
  /** @param {TestContext} t @param {Parameters<typeof writeCertificates>[1]} [hosts] */
  async function withTls(t, hosts) {
    const directory = emptyDirectory(t)
    const { caFile, certFile, keyFile } = await writeCertificates(directory, hosts)
    const server = await startServer(t, { config: `tls { cert_file: ${JSON.stringify(certFile)}, key_file: ${JSON.stringify(keyFile)} }`, admin: { tls: { caFile } } })
    return { server, caFile, directory, url: `tls://127.0.0.1:${server.port}` }
  }

  test('with the authority that signed', async (t) => {
    const { server, caFile, url } = await withTls(t)
    const bandits = await assertWorks(t, server, { url, caFile })
    assert.deepEqual(bandits.health().nats.servers, [url])
  })

  test('by NATS_CA', async (t) => {
    const { caFile, url } = await withTls(t)
    const { code, stderr } = run(`
      const engine = Bandits.open({ stateDir })
      await engine.start()
      while (engine.health().nats.state !== 'connected') await new Promise((resolve) => setTimeout(resolve, 5))
      await engine.close()`, { stateDir: emptyDirectory(t), env: { NATS_URL: url, NATS_CA: caFile } })
    assert.deepEqual([code, stderr], [0, ''])
  })

  test('with the system’s authorities, unless caFile names others', async (t) => {
    const { url, caFile } = await withTls(t)
    const another = await writeCertificates(emptyDirectory(t))
    const script = `
      const engine = Bandits.open({ stateDir })
      await engine.start()
      const told = () => engine.health().nats.state === 'connected' || /certificate/.test(engine.health().nats.problem ?? '')
      while (!told()) await new Promise((resolve) => setTimeout(resolve, 5))
      console.log(engine.health().nats.state)
      await engine.close()`
    // SSL_CERT_FILE says where the system has them.
    /** @type {[Record<string, string>, string][]} */
    const cases = [[{}, 'connected'], [{ NATS_CA: another.caFile }, 'connecting']]
    for (const [more, state] of cases) {
      const { stdout, stderr } = run(script, { stateDir: emptyDirectory(t), env: { NATS_URL: url, SSL_CERT_FILE: caFile, ...more } })
      assert.equal(stdout, `${state}\n`, `${Object.keys(more).join()} ${stderr}`)
    }
  })

  test('without the authority there is no connection', async (t) => {
    const { url } = await withTls(t)
    await assertKeptOut(t, { url }, /certificate|issuer|tls/i)
  })

  test('for another host there is no connection', async (t) => {
    const { url, caFile } = await withTls(t, [{ type: 2, value: 'elsewhere.example' }])
    await assertKeptOut(t, { url, caFile }, /certificate|name|tls/i)
  })

  test('that the server does not speak is not done without', async (t) => {
    const server = await startServer(t)
    await (await server.admin()).addStreams()
    await assertKeptOut(t, { url: `tls://127.0.0.1:${server.port}` }, /./)
  })

  test('with a file that cannot be read start() rejects', async (t) => {
    const directory = emptyDirectory(t)
    const garbage = join(directory, 'garbage.pem')
    writeFileSync(garbage, 'no certificates')
    for (const caFile of [join(directory, 'missing.pem'), directory, garbage]) {
      const bandits = openOnBus(t, 'tls://127.0.0.1:1', { nats: { caFile } })
      await assertRejects(() => bandits.start(), 'ERR_INVALID_ARGUMENT', 'options.nats.caFile', caFile)
      assert.equal(bandits.health().nats.state, 'stopped')
    }
  })
})

test('the rights that docs/events.md asks for are enough', { skip: NO_SERVER }, async (t) => {
  const rights = `
    authorization {
      users: [
        { user: admin, password: admin }
        { user: engine, password: engine, permissions: {
          subscribe: ["_INBOX.>"]
          publish: ["$JS.API.STREAM.NAMES", "$JS.API.CONSUMER.>", "$JS.ACK.>", "signals.>"]
        } }
      ]
    }`
  const server = await startServer(t, { config: rights, admin: { user: 'admin', pass: 'admin' } })
  const bandits = await assertWorks(t, server, { url: `nats://engine:engine@127.0.0.1:${server.port}` })
  const admin = await server.admin()
  await admin.publish(SYNCED, 'poison')
  await until(() => bandits.health().nats.dead === 1, 'it is given up')
  await admin.settled('SIGNALS', `${PREFIX}-signals`)
  assert.equal(bandits.health().nats.problem, null)
  await bandits.close()
})
