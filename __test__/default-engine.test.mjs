// @ts-check
// The functions on the default engine, which the first call opens from the environment. In child processes, each with its own.

import assert from 'node:assert/strict'
import { existsSync, realpathSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'

import { missing } from '../scripts/obtained.mjs'
import { run } from './support/child.mjs'
import { emptyDirectory, namesIn } from './support/state-dir.mjs'

/** @param {import('node:test').TestContext} t @param {string} script @param {Record<string, string>} [env] */
function inChild(t, script, env) {
  const stateDir = emptyDirectory(t)
  return { stateDir, ...run(script, { stateDir, env: { STATE_DIR: stateDir, ...env } }) }
}

test('every function works on one engine, from the environment', (t) => {
  const { stateDir, code, stdout, stderr } = inChild(t, `
    const set = bandits.prepare([{ id: 'a' }, { id: 'b' }])
    bandits.score({ userId: 'u', candidates: set })
    bandits.scoreMany([{ userId: 'u', candidates: set }])
    bandits.reward({ userId: 'u', tipId: 'a', reward: 1, features: {} })
    await bandits.start(); await bandits.flush(); await bandits.checkpoint()
    const { policy, pulls, rewardCount } = bandits.stats('u')
    const { stateDir: dir, activePolicy } = bandits.health()
    console.log(JSON.stringify([policy, pulls, rewardCount, bandits.features('u').history.length, bandits.events(), dir, activePolicy]))
    bandits.reset('u'); await bandits.erase('u')
    console.log(bandits.prompts().length)
    await bandits.generate({ userId: 'u', promptVersion: 'v0' }).catch((e) => console.log(e.code))
    await bandits.close()
    await bandits.close()
    // The next call opens another.
    console.log(bandits.stats('u').pulls)`, { ACTIVE_POLICY: 'linucb-v1' })
  assert.equal(code, 0, stderr)
  assert.equal(stdout, `${JSON.stringify(['linucb-v1', 2, 1, 2, [], { path: stateDir, source: 'environment' }, { name: 'linucb-v1', source: 'environment' }])}\n3\nERR_UNKNOWN_PROMPT_VERSION\n0\n`)
  assert.equal(stderr, '')
})

test('importing and preparing open nothing', (t) => {
  const { stateDir, stdout, stderr } = inChild(t, "bandits.prepare([{ id: 'a' }]); await bandits.close(); console.log('done')")
  assert.deepEqual([stdout, stderr, namesIn(stateDir)], ['done\n', '', []])
})

test('a wrong ACTIVE_POLICY is named at the first call, which throws or rejects in its own way', (t) => {
  const { code, stdout, stderr } = inChild(t, `
    for (const call of [() => bandits.health(), () => bandits.score({ userId: 'u', candidates: [] })]) {
      try { call() } catch (e) { console.log(e instanceof BanditError, e.code, e.message) }
    }
    await bandits.flush().catch((e) => console.log(e.code))`, { ACTIVE_POLICY: 'thompson' })
  assert.equal(code, 0, stderr)
  const line = 'true ERR_UNKNOWN_POLICY ACTIVE_POLICY: no policy "thompson"; known: linucb-v1, egreedy-v1, egreedy-v2\n'
  assert.equal(stdout, `${line}${line}ERR_UNKNOWN_POLICY\n`)
})

test('empty variables are as good as none, options outrank variables', (t) => {
  const { stateDir, code, stdout, stderr } = inChild(t, `
    const engine = Bandits.open({ stateDir: stateDir + '/other', activePolicy: 'egreedy-v2' })
    const { stateDir: dir, activePolicy } = engine.health()
    console.log(dir.path === stateDir + '/other', dir.source, activePolicy.name, activePolicy.source)
    console.log(bandits.health().activePolicy.source)`, { ACTIVE_POLICY: '' })
  assert.equal(code, 0, stderr)
  assert.equal(stdout, 'true option egreedy-v2 option\ndefault\n')
  assert.ok(namesIn(stateDir).includes('other'))
})

test('an engine of one’s own on the same directory is the same', (t) => {
  const { code, stdout, stderr } = inChild(t, `
    bandits.score({ userId: 'u', candidates: [{ id: 'a' }] })
    const own = Bandits.open()
    console.log(own.stats('u').pulls)
    await bandits.close()
    console.log(own.closed, own.stats('u').pulls)`)
  assert.deepEqual([code, stdout, stderr], [0, '1\nfalse 1\n', ''])
})

test('without STATE_DIR: the old default, with a warning', (t) => {
  const path = join(realpathSync('/tmp'), 'oo-bandit-state')
  if (existsSync(path)) {
    t.skip(missing(`default-engine: the default directory is not tested, ${path} is in use on this machine`))
    return
  }
  t.after(() => rmSync(path, { recursive: true, force: true }))
  const { code, stdout, stderr } = run("const { stateDir: dir, warnings, ok } = bandits.health(); console.log(dir.path, dir.source, ok, warnings.length)", { stateDir: '', env: { STATE_DIR: '' } })
  assert.deepEqual([code, stdout], [0, `${path} default true 1\n`], stderr)
  assert.match(stderr, /OO_BANDITS_DEFAULT_STATE_DIR.*set STATE_DIR/)
})
