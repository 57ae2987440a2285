// @ts-check
// setPolicy() and policies(): who decides for whom, for how long, and who outranks whom.

import assert from 'node:assert/strict'
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'

import { Bandits } from '@oo/bandits'
import { run } from '../support/child.mjs'
import { linesIn } from '../support/log-lines.mjs'
import { assertRefuses } from '../support/refusal.mjs'
import { POLICIES } from '../support/standing.mjs'
import { contentsOf, emptyDirectory, openEngine } from '../support/state-dir.mjs'
import { startWorker } from '../support/worker.mjs'

/** @typedef {import('@oo/bandits').PolicyName} PolicyName */
/** @typedef {import('@oo/bandits').PolicyChange} PolicyChange */

const FILE = '.policies.json'
const CANDIDATES = [{ id: 'a' }, { id: 'b', features: { priority: 4 } }]
/** @param {Bandits} bandits */
const modes = (bandits) => Object.fromEntries(bandits.policies().map(({ name, mode, source }) => [name, `${mode} ${source}`]))
/** @param {Bandits} bandits @param {string} userId */
const decide = (bandits, userId = 'u') => bandits.recommend({ userId, candidates: CANDIDATES })
const users = (/** @type {number} */ n) => Array.from({ length: n }, (_user, i) => `user-${i}`)
/** Who decides for each. @param {Bandits} bandits @param {string[]} of */
const decidersOf = (bandits, of) => of.map((userId) => decide(bandits, userId).policy)

test('at first egreedy-v1 is active and the others are shadows', (t) => {
  const bandits = openEngine(t)
  assert.deepEqual(bandits.policies(), POLICIES.map((name) => ({ name, mode: name === 'egreedy-v1' ? 'active' : 'shadow', source: 'default', share: null, salt: null, users: [] })))
  const { policy, assigned, shadows } = decide(bandits)
  assert.deepEqual([policy, assigned, shadows.map((shadow) => shadow.policy)], ['egreedy-v1', 'default', ['linucb-v1', 'egreedy-v2']])
})

test('another one is made active at the next decision, and the former one is a shadow', (t) => {
  const stateDir = emptyDirectory(t)
  const bandits = openEngine(t, { stateDir })
  bandits.setPolicy('linucb-v1', { mode: 'active' })
  assert.deepEqual(modes(bandits), { 'linucb-v1': 'active registry', 'egreedy-v1': 'shadow default', 'egreedy-v2': 'shadow default' })
  assert.deepEqual(bandits.health().activePolicy, { name: 'linucb-v1', source: 'registry' })
  const { policy, assigned, shadows, decisionId } = decide(bandits)
  assert.deepEqual([policy, assigned, shadows.map((shadow) => shadow.policy)], ['linucb-v1', 'registry', ['egreedy-v1', 'egreedy-v2']])
  assert.deepEqual(bandits.feedback({ decisionId, action: 'done' }).policies, ['linucb-v1', 'egreedy-v1', 'egreedy-v2'])
  // What names no policy means the active one.
  assert.equal(bandits.score({ userId: 'v', candidates: CANDIDATES }).policy, 'linucb-v1')
  assert.equal(bandits.scoreMany([{ userId: 'v', candidates: CANDIDATES }])[0]?.policy, 'linucb-v1')
  bandits.reward({ userId: 'v', tipId: 'a', reward: 1, features: {} })
  const { policy: meant, pulls, rewardCount } = bandits.stats('v')
  assert.deepEqual([meant, pulls, rewardCount], ['linucb-v1', 2, 1])
  const line = linesIn(stateDir).find(({ kind }) => kind === 'policy')
  assert.deepEqual([line?.['policy'], line?.['mode']], ['linucb-v1', 'active'])
})

test('what is off neither decides nor learns', (t) => {
  const stateDir = emptyDirectory(t)
  const bandits = openEngine(t, { stateDir })
  bandits.setPolicy('egreedy-v2', { mode: 'off' })
  assert.deepEqual(modes(bandits), { 'linucb-v1': 'shadow default', 'egreedy-v1': 'active default', 'egreedy-v2': 'off registry' })
  const { shadows, decisionId } = decide(bandits)
  assert.deepEqual(shadows.map(({ policy }) => policy), ['linucb-v1'])
  bandits.feedback({ decisionId, action: 'done' })
  assert.deepEqual(POLICIES.map((policy) => bandits.stats('u', policy).lastUpdated === null), [false, false, true])
  assert.deepEqual(linesIn(stateDir).find(({ kind }) => kind === 'decision')?.['choices'].map((/** @type {any} */ choice) => choice.policy), ['egreedy-v1', 'linucb-v1'])
  bandits.setPolicy('egreedy-v2', { mode: 'shadow' })
  assert.deepEqual(modes(bandits)['egreedy-v2'], 'shadow default')
  decide(bandits)
  assert.equal(bandits.stats('u', 'egreedy-v2').pulls, 1)
  bandits.setPolicy('egreedy-v2', { mode: 'off' })
  bandits.setPolicy('egreedy-v2', { mode: 'default' })
  assert.equal(modes(bandits)['egreedy-v2'], 'shadow default')
  bandits.setPolicy('egreedy-v2', { mode: 'off' })
  bandits.setPolicy('egreedy-v2', { mode: 'active' })
  assert.equal(decide(bandits).policy, 'egreedy-v2')
})

describe('after a restart', () => {
  test('all of it stands', async (t) => {
    const stateDir = emptyDirectory(t)
    const bandits = openEngine(t, { stateDir })
    bandits.setPolicy('linucb-v1', { mode: 'active' })
    bandits.setPolicy('egreedy-v2', { mode: 'active', share: 0.3, salt: 'trial "1"' })
    bandits.setPolicy('egreedy-v1', { mode: 'active', userId: 'é/..\u{1F600}' })
    const [stood, deciders] = [bandits.policies(), decidersOf(bandits, users(60))]
    assert.equal(statSync(join(stateDir, FILE)).mode & 0o077, 0)
    await bandits.close()
    const again = openEngine(t, { stateDir })
    assert.deepEqual([again.policies(), decidersOf(again, users(60))], [stood, deciders])
    assert.deepEqual([again.stats('u').policy, again.score({ userId: 'w', candidates: CANDIDATES }).policy], ['linucb-v1', 'linucb-v1'])
  })
  test('also when the process was killed, and without a log', (t) => {
    for (const log of /** @type {const} */ (['on', 'off'])) {
      const stateDir = emptyDirectory(t)
      const { signal } = run(`Bandits.open({ stateDir, log: '${log}' }).setPolicy('egreedy-v2', { mode: 'active' }); process.kill(process.pid, 'SIGKILL')`, { stateDir })
      assert.equal(signal, 'SIGKILL')
      assert.deepEqual(openEngine(t, { stateDir }).health().activePolicy, { name: 'egreedy-v2', source: 'registry' })
    }
  })
  test('it outranks option and environment, until it is taken back', (t) => {
    const stateDir = emptyDirectory(t)
    const script = `
      const engine = Bandits.open({ stateDir, ...JSON.parse(process.env.OPTIONS) })
      if (process.env.CHANGE) engine.setPolicy(...JSON.parse(process.env.CHANGE))
      const { policy, assigned } = engine.recommend({ userId: 'u', candidates: [{ id: 'a' }] })
      console.log(JSON.stringify([engine.health().activePolicy, policy, assigned, engine.stats('u').policy, engine.policies().find(({ mode }) => mode === 'active').source]))
      await engine.close()`
    const seen = (/** @type {object} */ options, /** @type {Record<string, string>} */ env = {}, /** @type {unknown[] | undefined} */ change = undefined) => {
      const { stdout, stderr, code } = run(script, { stateDir, env: { OPTIONS: JSON.stringify(options), ...env, ...(change && { CHANGE: JSON.stringify(change) }) } })
      assert.equal(code, 0, stderr)
      return JSON.parse(stdout)
    }
    const is = (/** @type {PolicyName} */ name, /** @type {string} */ source) => [{ name, source }, name, source === 'registry' ? 'registry' : 'default', name, source]
    const [option, environment] = [{ activePolicy: 'egreedy-v2' }, { ACTIVE_POLICY: 'linucb-v1' }]
    assert.deepEqual(seen({}), is('egreedy-v1', 'default'))
    assert.deepEqual(seen({}, environment), is('linucb-v1', 'environment'))
    assert.deepEqual(seen(option, environment), is('egreedy-v2', 'option'))
    assert.deepEqual(seen(option, environment, ['egreedy-v1', { mode: 'active' }]), is('egreedy-v1', 'registry'))
    assert.deepEqual(seen(option, environment), is('egreedy-v1', 'registry'))
    assert.deepEqual(seen({}, environment), is('egreedy-v1', 'registry'))
    // Taken back of another one changes nothing.
    assert.deepEqual(seen(option, {}, ['linucb-v1', { mode: 'default' }]), is('egreedy-v1', 'registry'))
    assert.deepEqual(seen(option, {}, ['egreedy-v1', { mode: 'default' }]), is('egreedy-v2', 'option'))
    assert.deepEqual(seen({}, environment), is('linucb-v1', 'environment'))
    assert.deepEqual(seen({}), is('egreedy-v1', 'default'))
  })
  test('a policy that was off and is now the one of the options decides', async (t) => {
    const stateDir = emptyDirectory(t)
    const bandits = openEngine(t, { stateDir })
    bandits.setPolicy('linucb-v1', { mode: 'off' })
    await bandits.close()
    const again = openEngine(t, { stateDir, activePolicy: 'linucb-v1' })
    assert.equal(modes(again)['linucb-v1'], 'active option')
    assert.equal(decide(again).policy, 'linucb-v1')
  })
  for (const [name, damage] of /** @type {[string, (bytes: Buffer) => Buffer | string][]} */ ([
    ['empty', () => ''], ['cut', (bytes) => bytes.subarray(0, -3)], ['no JSON', () => 'linucb-v1'], ['another shape', () => '[]'], ['an unknown policy', (bytes) => bytes.toString().replaceAll('linucb-v1', 'linucb-v9')],
    ['a later version', (bytes) => bytes.toString().replace('"v":1', '"v":2')], ['a share above 1', (bytes) => bytes.toString().replace('0.25', '25')], ['trailing bytes', (bytes) => `${bytes}x`],
  ])) {
    test(`a file of policies that is damaged (${name}) refuses open() and is left alone`, async (t) => {
      const stateDir = emptyDirectory(t)
      const bandits = openEngine(t, { stateDir })
      bandits.setPolicy('linucb-v1', { mode: 'active' })
      bandits.setPolicy('egreedy-v2', { mode: 'active', share: 0.25 })
      await bandits.close()
      const path = join(stateDir, FILE)
      const damaged = Buffer.from(damage(readFileSync(path)))
      writeFileSync(path, damaged)
      const before = contentsOf(stateDir)
      for (let i = 0; i < 2; i++) {
        assertRefuses(() => Bandits.open({ stateDir }), 'ERR_STATE_CORRUPT', `${stateDir}/${FILE}`)
        await assert.rejects(Bandits.openAsync({ stateDir }), { code: 'ERR_STATE_CORRUPT' })
      }
      // Not so much as another epoch in the log.
      assert.deepEqual(contentsOf(stateDir), before)
      // The directory was let go of.
      writeFileSync(path, JSON.stringify({ v: 1, registry: {} }))
      assert.equal(openEngine(t, { stateDir }).health().activePolicy.source, 'default')
    })
  }
})

describe('shares', () => {
  const many = users(300)
  test('have their size, are sticky, and say why', (t) => {
    const bandits = openEngine(t)
    bandits.setPolicy('linucb-v1', { mode: 'active', share: 0.2 })
    const before = decidersOf(bandits, many)
    const share = before.filter((policy) => policy === 'linucb-v1').length / many.length
    // Five standard deviations: 5·√(0.2·0.8/300).
    assert.ok(Math.abs(share - 0.2) < 0.116, String(share))
    assert.deepEqual(decidersOf(bandits, many), before)
    for (const userId of many.slice(0, 100)) {
      const { policy, assigned, shadows } = decide(bandits, userId)
      assert.equal(assigned, policy === 'linucb-v1' ? 'share' : 'default')
      assert.equal(shadows.length, 2)
    }
    const [role] = bandits.policies()
    assert.deepEqual(role, { name: 'linucb-v1', mode: 'shadow', source: 'default', share: 0.2, salt: '', users: [] })
    assert.equal(bandits.score({ userId: many[0] ?? '', candidates: CANDIDATES }).policy, 'egreedy-v1', 'score() means the active one')
  })
  test('of one keep their users when they grow', (t) => {
    const bandits = openEngine(t)
    bandits.setPolicy('linucb-v1', { mode: 'active', share: 0.2, salt: 's' })
    const before = decidersOf(bandits, many)
    bandits.setPolicy('linucb-v1', { mode: 'active', share: 0.4, salt: 's' })
    const after = decidersOf(bandits, many)
    assert.ok(before.every((policy, i) => policy !== 'linucb-v1' || after[i] === 'linucb-v1'))
    assert.ok(after.filter((policy) => policy === 'linucb-v1').length > 1.3 * before.filter((policy) => policy === 'linucb-v1').length)
  })
  test('set again as they are move nobody', (t) => {
    const bandits = openEngine(t)
    const set = (/** @type {PolicyName} */ policy) => bandits.setPolicy(policy, { mode: 'active', share: 0.3, salt: 's' })
    set('linucb-v1')
    set('egreedy-v2')
    const before = decidersOf(bandits, many)
    set('linucb-v1')
    const after = decidersOf(bandits, many)
    assert.equal(before.filter((policy, i) => policy !== after[i]).length, 0)
  })
  test('of one keep their users when they grow beside another', (t) => {
    const bandits = openEngine(t)
    bandits.setPolicy('linucb-v1', { mode: 'active', share: 0.2, salt: 's' })
    bandits.setPolicy('egreedy-v2', { mode: 'active', share: 0.3, salt: 's' })
    const before = decidersOf(bandits, many)
    bandits.setPolicy('linucb-v1', { mode: 'active', share: 0.3, salt: 's' })
    const after = decidersOf(bandits, many)
    assert.equal(before.filter((policy, i) => policy === 'linucb-v1' && after[i] !== policy).length, 0)
  })
  test('under other salts other users are dealt', (t) => {
    const bandits = openEngine(t)
    /** @type {Set<string>[]} */
    const chosen = []
    for (const salt of ['', 'a', 'b', 'x'.repeat(64)]) {
      bandits.setPolicy('linucb-v1', { mode: 'active', share: 0.3, salt })
      const deciders = decidersOf(bandits, many)
      chosen.push(new Set(many.filter((_userId, i) => deciders[i] === 'linucb-v1')))
    }
    for (const [i, one] of chosen.entries()) {
      for (const two of chosen.slice(i + 1)) {
        const both = [...one].filter((userId) => two.has(userId)).length / many.length
        assert.ok(Math.abs(both - 0.09) < 0.083, String(both))
      }
    }
  })
  test('under one salt do not overlap, and are refused past the whole', (t) => {
    const bandits = openEngine(t)
    bandits.setPolicy('linucb-v1', { mode: 'active', share: 0.6, salt: 's' })
    bandits.setPolicy('egreedy-v2', { mode: 'active', share: 0.4, salt: 's' })
    const deciders = decidersOf(bandits, many)
    assert.ok(!deciders.includes('egreedy-v1'))
    assertRefuses(() => bandits.setPolicy('egreedy-v1', { mode: 'active', share: 0.1, salt: 's' }), 'ERR_INVALID_ARGUMENT', 'share')
    assertRefuses(() => bandits.setPolicy('egreedy-v2', { mode: 'active', share: 0.5, salt: 's' }), 'ERR_INVALID_ARGUMENT', 'share')
    assert.deepEqual(decidersOf(bandits, many), deciders)
    bandits.setPolicy('egreedy-v1', { mode: 'active', share: 1, salt: 'other' })
  })
  test('that add up to the whole are taken however they are rounded', (t) => {
    const bandits = openEngine(t)
    const refused = []
    for (let a = 5; a < 100; a += 5) {
      for (let b = 5; a + b < 100; b += 5) {
        const shares = [a, b, 100 - a - b].map((percent) => percent / 100)
        try {
          for (const policy of POLICIES) bandits.setPolicy(policy, { mode: 'active', share: 0, salt: 's' })
          for (const [i, policy] of POLICIES.entries()) bandits.setPolicy(policy, { mode: 'active', share: /** @type {number} */ (shares[i]), salt: 's' })
        } catch {
          refused.push(shares.join(' + '))
        }
        if (refused.length > 5) break
      }
    }
    assert.deepEqual(refused, [])
  })
  test('end with 0, with off, with shadow and with default', (t) => {
    for (const change of /** @type {PolicyChange[]} */ ([{ mode: 'active', share: 0 }, { mode: 'off' }, { mode: 'shadow' }, { mode: 'default' }])) {
      const bandits = openEngine(t)
      bandits.setPolicy('linucb-v1', { mode: 'active', share: 1 })
      assert.equal(decide(bandits).policy, 'linucb-v1')
      bandits.setPolicy('linucb-v1', change)
      assert.equal(decide(bandits).policy, 'egreedy-v1', JSON.stringify(change))
      assert.equal(bandits.policies()[0]?.share, null)
    }
  })
  test('of a policy that was off turn it on', (t) => {
    const bandits = openEngine(t)
    bandits.setPolicy('linucb-v1', { mode: 'off' })
    bandits.setPolicy('linucb-v1', { mode: 'active', share: 0.5 })
    assert.equal(modes(bandits)['linucb-v1'], 'shadow default')
    bandits.setPolicy('egreedy-v2', { mode: 'off' })
    bandits.setPolicy('egreedy-v2', { mode: 'active', share: 0 })
    assert.equal(modes(bandits)['egreedy-v2'], 'off registry')
  })
})

describe('a user’s own', () => {
  test('outranks shares and the active one, for that user only', (t) => {
    const bandits = openEngine(t)
    bandits.setPolicy('egreedy-v1', { mode: 'active', share: 1 })
    bandits.setPolicy('linucb-v1', { mode: 'active', userId: 'Eve' })
    const { policy, assigned, shadows } = decide(bandits, 'Eve')
    assert.deepEqual([policy, assigned, shadows.map((shadow) => shadow.policy)], ['linucb-v1', 'user', ['egreedy-v1', 'egreedy-v2']])
    assert.deepEqual([decide(bandits, 'eve').policy, decide(bandits, 'eve').assigned], ['egreedy-v1', 'share'])
    assert.deepEqual(bandits.policies().map((role) => role.users), [['Eve'], [], []])
    // One a user.
    bandits.setPolicy('egreedy-v2', { mode: 'active', userId: 'Eve' })
    assert.deepEqual(bandits.policies().map((role) => role.users), [[], [], ['Eve']])
    // Taken back of another policy changes nothing.
    bandits.setPolicy('linucb-v1', { mode: 'default', userId: 'Eve' })
    assert.equal(decide(bandits, 'Eve').policy, 'egreedy-v2')
    bandits.setPolicy('egreedy-v2', { mode: 'default', userId: 'Eve' })
    assert.equal(decide(bandits, 'Eve').policy, 'egreedy-v1')
    bandits.setPolicy('egreedy-v2', { mode: 'active', userId: 'Eve' })
    bandits.setPolicy('egreedy-v2', { mode: 'off' })
    assert.deepEqual([decide(bandits, 'Eve').policy, bandits.policies()[2]?.users], ['egreedy-v1', []])
  })
  test('survives reset() and goes with erase(), file and log included', async (t) => {
    const stateDir = emptyDirectory(t)
    const bandits = openEngine(t, { stateDir })
    for (const userId of ['Eve-who-is-erased', 'Adam']) bandits.setPolicy('linucb-v1', { mode: 'active', userId })
    decide(bandits, 'Eve-who-is-erased')
    bandits.reset('Eve-who-is-erased')
    assert.equal(decide(bandits, 'Eve-who-is-erased').assigned, 'user')
    await bandits.erase('Eve-who-is-erased')
    assert.deepEqual(bandits.policies()[0]?.users, ['Adam'])
    assert.equal(decide(bandits, 'Eve-who-is-erased').assigned, 'default')
    await bandits.erase('Eve-who-is-erased')
    await bandits.close()
    const files = readdirSync(stateDir, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile())
    const found = files.filter(({ parentPath, name }) => readFileSync(join(parentPath, name)).includes('Eve-who-is-erased')).map(({ name }) => name)
    assert.deepEqual(found, [])
  })
})

test('what one thread sets, all see', async (t) => {
  const stateDir = emptyDirectory(t)
  const own = openEngine(t, { stateDir, seed: undefined })
  const { say, said, ended } = startWorker(`
    const engine = Bandits.open({ stateDir })
    engine.setPolicy('egreedy-v2', { mode: 'active' })
    say('set')
    await heard('go')
    say(JSON.stringify([engine.recommend({ userId: 'u', candidates: [{ id: 'a' }] }).policy, engine.score({ userId: 'u', candidates: [{ id: 'a' }] }).policy, engine.stats('u').policy]))
    await engine.close()
    process.exit()`, { stateDir }, t)
  assert.equal(await said(), 'set')
  assert.deepEqual([decide(own).policy, own.score({ userId: 'u', candidates: CANDIDATES }).policy, own.stats('u').policy], ['egreedy-v2', 'egreedy-v2', 'egreedy-v2'])
  own.setPolicy('linucb-v1', { mode: 'active' })
  say('go')
  assert.equal(await said(), JSON.stringify(['linucb-v1', 'linucb-v1', 'linucb-v1']))
  await ended
})

describe('refused', () => {
  for (const [name, policy, change, code, path] of /** @type {[string, any, any, string, string][]} */ ([
    ['an unknown policy', 'thompson', { mode: 'active' }, 'ERR_UNKNOWN_POLICY', 'policy'],
    ['no policy', undefined, { mode: 'active' }, 'ERR_INVALID_ARGUMENT', 'policy'],
    ['a number for a policy', 1, { mode: 'active' }, 'ERR_INVALID_ARGUMENT', 'policy'],
    ['no change', 'linucb-v1', undefined, 'ERR_INVALID_ARGUMENT', 'change'],
    ['a list', 'linucb-v1', [], 'ERR_INVALID_ARGUMENT', 'change'],
    ['no mode', 'linucb-v1', {}, 'ERR_INVALID_ARGUMENT', 'mode'],
    ['an unknown mode', 'linucb-v1', { mode: 'on' }, 'ERR_INVALID_ARGUMENT', 'mode'],
    ['the active one off', 'egreedy-v1', { mode: 'off' }, 'ERR_INVALID_ARGUMENT', 'mode'],
    ['the active one a shadow', 'egreedy-v1', { mode: 'shadow' }, 'ERR_INVALID_ARGUMENT', 'mode'],
    ['a share below 0', 'linucb-v1', { mode: 'active', share: -0.1 }, 'ERR_INVALID_ARGUMENT', 'share'],
    ['a share above 1', 'linucb-v1', { mode: 'active', share: 1.1 }, 'ERR_INVALID_ARGUMENT', 'share'],
    ['a share of NaN', 'linucb-v1', { mode: 'active', share: NaN }, 'ERR_INVALID_ARGUMENT', 'share'],
    ['a share of text', 'linucb-v1', { mode: 'active', share: '0.1' }, 'ERR_INVALID_ARGUMENT', 'share'],
    ['a share of what is off', 'linucb-v1', { mode: 'off', share: 0.1 }, 'ERR_INVALID_ARGUMENT', 'share'],
    ['a share of a shadow', 'linucb-v1', { mode: 'shadow', share: 0.1 }, 'ERR_INVALID_ARGUMENT', 'share'],
    ['a share and a user', 'linucb-v1', { mode: 'active', share: 0.1, userId: 'u' }, 'ERR_INVALID_ARGUMENT', 'share'],
    ['a salt alone', 'linucb-v1', { mode: 'active', salt: 's' }, 'ERR_INVALID_ARGUMENT', 'salt'],
    ['a long salt', 'linucb-v1', { mode: 'active', share: 0.1, salt: 'x'.repeat(65) }, 'ERR_INVALID_ARGUMENT', 'salt'],
    ['a salt of half a character', 'linucb-v1', { mode: 'active', share: 0.1, salt: '\ud800' }, 'ERR_INVALID_ARGUMENT', 'salt'],
    ['a salt of a number', 'linucb-v1', { mode: 'active', share: 0.1, salt: 1 }, 'ERR_INVALID_ARGUMENT', 'salt'],
    ['an empty user', 'linucb-v1', { mode: 'active', userId: '' }, 'ERR_INVALID_ARGUMENT', 'userId'],
    ['a user of null', 'linucb-v1', { mode: 'active', userId: null }, 'ERR_INVALID_ARGUMENT', 'userId'],
    ['a user whose policy is off', 'linucb-v1', { mode: 'off', userId: 'u' }, 'ERR_INVALID_ARGUMENT', 'userId'],
    ['a user whose policy is a shadow', 'linucb-v1', { mode: 'shadow', userId: 'u' }, 'ERR_INVALID_ARGUMENT', 'userId'],
  ])) {
    test(name, (t) => {
      const stateDir = emptyDirectory(t)
      const bandits = openEngine(t, { stateDir })
      const before = bandits.policies()
      assertRefuses(() => bandits.setPolicy(policy, change), code, path, name)
      assert.deepEqual(bandits.policies(), before)
      assert.deepEqual([readdirSync(stateDir).includes(FILE), linesIn(stateDir).some(({ kind }) => kind === 'policy')], [false, false])
    })
  }
})

test('a change with a key that there is not changes nothing for anybody', (t) => {
  const bandits = openEngine(t)
  const before = bandits.policies()
  for (const change of [{ mode: 'active', userID: 'alice' }, { mode: 'active', shares: 0.05 }, { mode: 'active', share: 0.05, Salt: 'x' }]) {
    assertRefuses(() => bandits.setPolicy('linucb-v1', /** @type {any} */ (change)), 'ERR_INVALID_ARGUMENT', 'change')
  }
  assert.deepEqual(bandits.policies(), before)
})
