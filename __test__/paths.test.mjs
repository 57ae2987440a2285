// @ts-check
// Options and arguments that are paths: `file:` URLs are paths, other URLs are not.

import assert from 'node:assert/strict'
import { existsSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { pathToFileURL } from 'node:url'
import vm from 'node:vm'

import { Bandits, replay } from '@oo/bandits'
import { run } from './support/child.mjs'
import { assertRefuses, assertRejects } from './support/refusal.mjs'
import { rewardOnce } from './support/standing.mjs'
import { emptyDirectory, openEngine } from './support/state-dir.mjs'

/** Every form of the URL of a path. @param {string} path @returns {(URL | string)[]} */
function urls(path) {
  const url = pathToFileURL(path)
  const foreign = /** @type {URL} */ ({ href: url.href, protocol: url.protocol })
  return [url, url.href, url.href.replace('file:///', 'FILE:/'), foreign]
}

test('stateDir', async (t) => {
  const path = join(emptyDirectory(t), 'a b ✓ %')
  for (const stateDir of urls(path)) {
    const bandits = Bandits.open({ stateDir })
    assert.deepEqual(bandits.health().stateDir, { path, source: 'option' })
    await bandits.close()
    await (await Bandits.openAsync({ stateDir })).close()
  }
})

test('STATE_DIR', (t) => {
  const path = emptyDirectory(t)
  const { stdout, stderr } = run("console.log(bandits.health().stateDir.path); await bandits.close()", { stateDir: path, env: { STATE_DIR: String(pathToFileURL(path)) } })
  assert.equal(stdout, `${path}\n`, stderr)
})

test('caFile, credentialsFile, promptsDir', (t) => {
  const directory = emptyDirectory(t)
  const missing = join(directory, 'missing')
  const prompts = join(directory, 'prompts.txt')
  writeFileSync(prompts, '')
  for (const [i, url] of urls(missing).entries()) {
    const stateDir = join(directory, `state-${i}`)
    for (const litellm of [{ caFile: url }, { promptsDir: url }]) {
      assert.throws(() => Bandits.open({ stateDir, litellm }), { code: 'ERR_INVALID_ARGUMENT', message: new RegExp(`${missing}:`) })
    }
  }
})

test('nats: what is read at start()', async (t) => {
  const missing = join(emptyDirectory(t), 'missing')
  for (const url of urls(missing)) {
    for (const nats of [{ caFile: url }, { credentialsFile: url }]) {
      await assert.rejects(openEngine(t, { nats: { url: 'nats://127.0.0.1:1', ...nats } }).start(), { code: 'ERR_INVALID_ARGUMENT', message: new RegExp(missing) })
    }
  }
})

test('replay() and simulate()', async (t) => {
  const directory = emptyDirectory(t)
  const bandits = openEngine(t, { stateDir: join(directory, 'state') })
  rewardOnce(bandits, 'u')
  bandits.recommend({ userId: 'u', candidates: [{ id: 'a' }] })
  for (const [i, log] of urls(join(directory, 'state', 'log')).entries()) {
    const to = join(directory, `replayed-${i}`)
    assert.equal((await replay(log, urls(to)[i] ?? to)).users, 1)
    assert.ok(existsSync(join(to, 'u_egreedy.json')))
    await assertRejects(() => bandits.simulate({ policy: 'linucb-v1', log }), 'ERR_INSUFFICIENT_DATA')
  }
})

describe('what is no path', () => {
  const WRONG = [new URL('https://host/state'), new URL('file://host/state'), 'https://host/state', 's3://bucket/state', 'file:state', 'file://host/state', 'file:///a%2Fb', 'file:///a%00b']

  test('makes nothing, whatever it is given for', async (t) => {
    const directory = emptyDirectory(t)
    const home = process.cwd()
    process.chdir(directory)
    t.after(() => process.chdir(home))
    try {
      const stateDir = join(directory, 'state')
      for (const wrong of WRONG) {
        const given = String(wrong)
        assertRefuses(() => Bandits.open({ stateDir: wrong }), 'ERR_INVALID_ARGUMENT', 'options.stateDir', given)
        for (const name of /** @type {const} */ (['caFile', 'promptsDir'])) {
          assertRefuses(() => Bandits.open({ stateDir, litellm: { [name]: wrong } }), 'ERR_INVALID_ARGUMENT', `options.litellm.${name}`, given)
        }
        for (const name of /** @type {const} */ (['caFile', 'credentialsFile'])) {
          assertRefuses(() => Bandits.open({ stateDir, nats: { url: 'nats://x', [name]: wrong } }), 'ERR_INVALID_ARGUMENT', `options.nats.${name}`, given)
        }
        await assertRejects(() => replay(wrong, stateDir), 'ERR_INVALID_ARGUMENT', 'logDir', given)
        await assertRejects(() => replay(directory, wrong), 'ERR_INVALID_ARGUMENT', 'stateDir', given)
      }
      assert.throws(() => Bandits.open({ stateDir: 's3://\u001b\u009b' }), { message: 'options.stateDir: must be a path of 1 to 4096 bytes or a file: URL, got "s3://\\u{1b}\\u{9b}"' })
      assert.deepEqual(readdirSync(directory), [])
    } finally {
      process.chdir(home)
    }
  })

  test('an object that is no URL', () => {
    for (const wrong of /** @type {any[]} */ ([{}, [], vm.runInNewContext('new Date()'), { href: 'file:///x' }, { protocol: 'file:' }])) {
      assertRefuses(() => Bandits.open({ stateDir: wrong }), 'ERR_INVALID_ARGUMENT', 'options.stateDir')
    }
  })
})
