// @ts-check
// The LLM proxy behind TLS: whom the package trusts. The certificates are of a test's own authority.

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:https'
import { join } from 'node:path'
import { describe, test } from 'node:test'

import { Bandits } from '@oo/bandits'
import { runBeside } from '../support/child.mjs'
import { writeCertificates } from '../support/certificates.mjs'
import { openOnLlm } from '../support/llm-engine.mjs'
import { completion } from '../support/llm-server.mjs'
import { emptyDirectory } from '../support/state-dir.mjs'

/** @typedef {import('node:test').TestContext} TestContext */

/** @param {TestContext} t @param {Parameters<typeof writeCertificates>[1]} [hosts] */
async function startTls(t, hosts) {
  const files = await writeCertificates(emptyDirectory(t), hosts)
  const server = createServer({ cert: readFileSync(files.certFile), key: readFileSync(files.keyFile) }, (request, response) => {
    request.resume().on('end', () => response.end(JSON.stringify(completion('[{"content":"a"}]'))))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => { server.close(); server.closeAllConnections() })
  return { ...files, port: /** @type {import('node:net').AddressInfo} */ (server.address()).port }
}

describe('https', () => {
  test('with the authority that caFile or LITELLM_CA names, by number and by name', async (t) => {
    const { caFile, port } = await startTls(t)
    for (const host of ['127.0.0.1', 'localhost']) assert.equal((await openOnLlm(t, `https://${host}:${port}/v1`, { caFile }).generate({ userId: 'u' })).attempts, 1)
    t.after(() => delete process.env['LITELLM_CA'])
    process.env['LITELLM_CA'] = caFile
    assert.equal((await openOnLlm(t, `https://localhost:${port}`).generate({ userId: 'u' })).attempts, 1)
  })

  test('not with another one, nor under another name', async (t) => {
    const { port } = await startTls(t)
    const { caFile } = await writeCertificates(emptyDirectory(t))
    const elsewhere = await startTls(t, [{ type: 2, value: 'elsewhere.example' }])
    for (const [of, litellm] of /** @type {const} */ ([[port, {}], [port, { caFile }], [elsewhere.port, { caFile: elsewhere.caFile }]])) {
      await assert.rejects(openOnLlm(t, `https://localhost:${of}`, litellm).generate({ userId: 'u' }), { code: 'ERR_LLM_UNREACHABLE', retryable: true, message: /certificate/ })
    }
  })

  test('with the authorities that Node comes with, where the system has none', async (t) => {
    const { caFile, port } = await startTls(t)
    // What Node comes with cannot be changed, but for a process of its own.
    const script = `
      import Module from 'node:module'
      import { readFileSync } from 'node:fs'
      const load = Module._load
      const rootCertificates = [readFileSync(process.env.OURS, 'utf8')]
      Module._load = (name, ...more) => name === 'node:tls' ? { rootCertificates } : load(name, ...more)
      const engine = Bandits.open({ stateDir, litellm: { url: 'https://localhost:${port}' } })
      const { attempts } = await engine.generate({ userId: 'u' }).catch(({ code }) => ({ attempts: code }))
      console.log(attempts)
      await engine.close()`
    const none = join(emptyDirectory(t), 'none.pem')
    writeFileSync(none, '')
    for (const [env, expected] of /** @type {const} */ ([[{ SSL_CERT_FILE: none, SSL_CERT_DIR: emptyDirectory(t) }, '1'], [{}, 'ERR_LLM_UNREACHABLE']])) {
      const { stdout, stderr } = await runBeside(script, { stateDir: emptyDirectory(t), env: { ...env, OURS: caFile } })
      assert.equal(stdout, `${expected}\n`, stderr)
    }
  })

  test('a caFile that is none is refused at open', (t) => {
    const directory = emptyDirectory(t)
    const empty = join(directory, 'empty.pem')
    writeFileSync(empty, 'nothing')
    for (const caFile of [empty, directory, join(directory, 'missing.pem')]) {
      assert.throws(() => Bandits.open({ stateDir: join(directory, 'state'), litellm: { caFile } }), { code: 'ERR_INVALID_ARGUMENT', message: /^options\.litellm\.caFile: / })
    }
  })
})
