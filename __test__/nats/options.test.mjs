// @ts-check
// Wrong options of the bus: refused when the engine is opened, by the path of what is wrong, and without repeating a secret.

import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import { describe, test } from 'node:test'

import { Bandits } from '@oo/bandits'
import { assertRefuses } from '../support/refusal.mjs'
import { emptyDirectory, openEngine } from '../support/state-dir.mjs'

const URL_OF_ONE = 'nats://127.0.0.1:4222'

describe('refused', () => {
  /** @type {[string, unknown[]][]} */
  const cases = [
    ['url', [5, {}, [], true, ['nats://a'], ',', 'nats://', 'nats://a,', ',nats://a', 'nats://a,,nats://b', 'http://a', 'https://a', 'ws://a', 'nats://a:99999', 'nats://a:port', 'nats://a b', '://a', 'nats://a\ud800']],
    ['durablePrefix', ['', 'a.b', 'a b', 'a*', 'a>', 'a/b', 'ü', 'x'.repeat(65), '\n', 5, {}, []]],
    ['maxDeliver', [0, -1, 1001, 1.5, NaN, Infinity, '5', {}, true]],
    ['credentialsFile', [5, {}, '\ud800']],
    ['caFile', [5, {}, '\ud800']],
  ]
  for (const [name, values] of cases) {
    test(name, (t) => {
      const stateDir = emptyDirectory(t)
      for (const value of values) {
        const nats = /** @type {any} */ ({ url: URL_OF_ONE, [name]: value })
        assertRefuses(() => Bandits.open({ stateDir, nats }), 'ERR_INVALID_ARGUMENT', `options.nats.${name}`, `${name}: ${typeof value} ${String(value)}`)
      }
      assert.deepEqual(readdirSync(stateDir), [], 'something was made')
    })
  }

  test('names that are no options', (t) => {
    const stateDir = emptyDirectory(t)
    for (const name of ['URL', 'urls', 'user', 'password', 'prefix', '__proto', '']) {
      assertRefuses(() => Bandits.open({ stateDir, nats: /** @type {any} */ ({ url: URL_OF_ONE, [name]: 'x' }) }), 'ERR_INVALID_ARGUMENT', undefined, name)
      assertRefuses(() => Bandits.open({ stateDir, nats: /** @type {any} */ ({ [name]: 5 }) }), 'ERR_INVALID_ARGUMENT', undefined, name)
    }
    assert.throws(() => Bandits.open({ stateDir, nats: /** @type {any} */ ({ urls: 'x' }) }), /"nats\.urls"/)
    // Nor is an option of the bus one of the engine, in whatever way it is written.
    for (const name of ['url', 'nats.url', 'durablePrefix']) assertRefuses(() => Bandits.open(/** @type {any} */ ({ stateDir, [name]: URL_OF_ONE })), 'ERR_INVALID_ARGUMENT', undefined, name)
  })

  test('nats that is no object', (t) => {
    const stateDir = emptyDirectory(t)
    for (const nats of [URL_OF_ONE, 5, true, [], [URL_OF_ONE], () => 1]) assertRefuses(() => Bandits.open({ stateDir, nats: /** @type {any} */ (nats) }), 'ERR_INVALID_ARGUMENT', 'options.nats', String(nats))
  })

  test('without a secret in what is said', (t) => {
    const stateDir = emptyDirectory(t)
    for (const url of ['http://me:s3cr3t@a', 'nats://me:s3cr3t@', 'nats://s3cr3t@a:99999', 'nats://ok,me:s3cr3t@a b', 's3cr3t@', 'nats://me:s3cr3t@a:x']) {
      assert.throws(() => Bandits.open({ stateDir, nats: { url } }), (error) => !String(/** @type {Error} */ (error).stack).includes('s3cr3t'))
    }
  })
})

test('accepted', async (t) => {
  /** @type {[import('@oo/bandits').NatsOptions, string[]][]} */
  const cases = [
    [{ url: URL_OF_ONE }, [URL_OF_ONE]],
    [{ url: 'nats://a' }, ['nats://a:4222']],
    [{ url: 'a' }, ['nats://a:4222']],
    [{ url: 'a:5' }, ['nats://a:5']],
    [{ url: 'tls://a:5' }, ['tls://a:5']],
    [{ url: ' nats://a , tls://b:1,nats://user:word@c ' }, ['nats://a:4222', 'tls://b:1', 'nats://c:4222']],
    [{ url: 'nats://[::1]:4222' }, ['nats://[::1]:4222']],
    [{ url: URL_OF_ONE, durablePrefix: 'A-z_0', maxDeliver: 1 }, [URL_OF_ONE]],
    [{ url: URL_OF_ONE, durablePrefix: 'x'.repeat(64), maxDeliver: 1000 }, [URL_OF_ONE]],
    [{ url: URL_OF_ONE, durablePrefix: undefined, maxDeliver: undefined, credentialsFile: undefined, caFile: undefined }, [URL_OF_ONE]],
    [{ url: '' }, []],
    [{ url: undefined }, []],
    [{ maxDeliver: 3 }, []],
    [{}, []],
  ]
  for (const [nats, servers] of cases) {
    const bandits = openEngine(t, { nats })
    const { enabled, servers: found, state } = bandits.health().nats
    assert.deepEqual([enabled, found, state], [servers.length > 0, servers, 'stopped'], JSON.stringify(nats))
    await bandits.close()
  }
})
