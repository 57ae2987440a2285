// @ts-check
// The options of Bandits.open() and openAsync(): what is refused, under which path, and that nothing is opened then.

import assert from 'node:assert/strict'
import { mkdirSync, readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'

import { Bandits } from '@oo/bandits'
import { run } from './support/child.mjs'
import { assertRefuses, assertRejects } from './support/refusal.mjs'
import { emptyDirectory, openEngine } from './support/state-dir.mjs'

const INVALID = 'ERR_INVALID_ARGUMENT'
const circular = {}
Object.assign(circular, { circular })

/** @type {[string, unknown[], string][]} */
const WRONG = [
  ['stateDir', ['', 'a\0b', 'x'.repeat(4097), 'a\ud800b', 5, NaN, true, {}, [], 5n, Symbol('s'), () => 'x', circular, new Date(0)], INVALID],
  ['activePolicy', [5, NaN, true, {}, [], 5n, Symbol('s'), () => 'linucb-v1'], INVALID],
  ['activePolicy', ['', 'linucb', 'LINUCB-V1', '__proto__'], 'ERR_UNKNOWN_POLICY'],
  ['seed', [-1, 0.5, NaN, Infinity, 2 ** 53, '7', true, {}, [], 5n, Symbol('s'), () => 7], INVALID],
  ['historySize', [-1, 0.5, NaN, Infinity, 1001, '7', true, {}, [], 5n, Symbol('s'), () => 7], INVALID],
  ['maxHotUsers', [0, -1, 0.5, NaN, Infinity, 100_000_001, '7', true, {}, [], 5n, Symbol('s'), () => 7], INVALID],
  ['log', ['', 'yes', 'ON', 'off ', 1, 0, NaN, true, false, {}, [], 5n, Symbol('s'), () => 'on'], INVALID],
  ['logRetentionDays', [-1, 0.5, NaN, Infinity, 36_501, '7', true, {}, [], 5n, Symbol('s'), () => 7], INVALID],
  ['logRetentionBytes', [-1, 0.5, NaN, Infinity, 2 ** 53, '7', true, {}, [], 5n, Symbol('s'), () => 7], INVALID],
]

for (const [option, values, code] of WRONG) {
  describe(`${option}: ${code}`, () => {
    for (const value of values) {
      const given = typeof value === 'object' ? `an object (${Object.prototype.toString.call(value)})` : `${typeof value} ${JSON.stringify(String(value).slice(0, 20))}`
      test(given, async (t) => {
        // Where relative paths would end up.
        const directory = emptyDirectory(t)
        const home = process.cwd()
        process.chdir(directory)
        t.after(() => process.chdir(home))
        const options = /** @type {any} */ ({ stateDir: join(directory, 'state'), [option]: value })
        try {
          assertRefuses(() => Bandits.open(options), code, `options.${option}`, given)
          await assertRejects(() => Bandits.openAsync(options), code, `options.${option}`, given)
          assert.deepEqual(readdirSync(directory), [], 'something was made')
        } finally {
          process.chdir(home)
        }
      })
    }
  })
}

test('the options themselves', async (t) => {
  // What is accepted by mistake must not be the default directory.
  const before = process.env['STATE_DIR']
  t.after(() => { if (before === undefined) delete process.env['STATE_DIR']; else process.env['STATE_DIR'] = before })
  process.env['STATE_DIR'] = emptyDirectory(t)
  for (const value of /** @type {any[]} */ ([null, 5, 'text', true, [], () => 1, Symbol('s'), 5n])) {
    assertRefuses(() => Bandits.open(value), INVALID, 'options', typeof value)
    await assertRejects(() => Bandits.openAsync(value), INVALID, 'options', typeof value)
  }
})

test('an option that there is not', async (t) => {
  const stateDir = emptyDirectory(t)
  for (const wrong of [{ statedir: '/x' }, { state_dir: '/x' }, JSON.parse('{"__proto__":{"seed":1}}'), { constructor: 1 }, { lockTimeoutMs: 5 }]) {
    assertRefuses(() => Bandits.open(/** @type {any} */ ({ stateDir, ...wrong })), INVALID, 'options')
  }
  await assertRejects(() => Bandits.openAsync(/** @type {any} */ ({ stateDir, timeout: 5 })), INVALID, 'options')
})

test('lockTimeoutMs and signal', async (t) => {
  const stateDir = emptyDirectory(t)
  for (const lockTimeoutMs of /** @type {any[]} */ ([-1, NaN, '5', null, {}, 5n, Symbol('s')])) await assertRejects(() => Bandits.openAsync({ stateDir, lockTimeoutMs }), INVALID, 'options.lockTimeoutMs', String(lockTimeoutMs))
  for (const signal of /** @type {any[]} */ ([null, {}, 5, 'abort', { aborted: false }])) await assertRejects(() => Bandits.openAsync({ stateDir, signal }), INVALID, 'options.signal', String(signal))
})

test('a getter that throws reaches the caller unchanged', async () => {
  const error = new Error('from the getter')
  const options = { get stateDir() { throw error } }
  assert.throws(() => Bandits.open(/** @type {any} */ (options)), (thrown) => thrown === error)
  await assert.rejects(Bandits.openAsync(/** @type {any} */ (options)), (thrown) => thrown === error)
})

test('a directory that cannot be one', async (t) => {
  const directory = emptyDirectory(t)
  const { code, stdout, stderr } = run(`
    import { writeFileSync, symlinkSync } from 'node:fs'
    writeFileSync(stateDir + '/file', '')
    symlinkSync(stateDir + '/loop', stateDir + '/loop')
    for (const name of ['file', 'file/below', 'loop', 'x'.repeat(300)]) {
      for (const open of [Bandits.open, Bandits.openAsync]) {
        try { await open({ stateDir: stateDir + '/' + name }); console.log('opened ' + name) }
        catch (e) { if (!(e instanceof BanditError) || e.code !== 'ERR_STATE_IO' || !e.message.includes(stateDir + '/' + name)) throw e }
      }
    }`, { stateDir: directory })
  assert.deepEqual([code, stdout], [0, ''], stderr)
})

test('the directory is made with its parents, for this user only; a second time it is found', async (t) => {
  const directory = join(emptyDirectory(t), 'a', 'Zoë ✓', 'c')
  const bandits = openEngine(t, { stateDir: directory })
  bandits.score({ userId: 'u', candidates: [{ id: 'a' }] })
  await bandits.close()
  assert.equal(statSync(directory).mode & 0o777, 0o700)
  for (const name of /** @type {string[]} */ (readdirSync(directory, { recursive: true }))) {
    assert.equal(statSync(join(directory, name)).mode & 0o777, name === 'log' ? 0o700 : 0o600, name)
  }
  assert.equal(openEngine(t, { stateDir: `${directory}/` }).stats('u').pulls, 1)
})

test('an existing directory keeps its mode', (t) => {
  const directory = join(emptyDirectory(t), 'state')
  mkdirSync(directory, { mode: 0o755 })
  openEngine(t, { stateDir: directory })
  assert.equal(statSync(directory).mode & 0o777, 0o755)
})

test('health() says where settings come from', (t) => {
  const stateDir = emptyDirectory(t)
  const health = openEngine(t, { stateDir }).health()
  assert.deepEqual([health.ok, health.warnings, health.users], [true, [], 0])
  assert.deepEqual([health.stateDir, health.activePolicy], [{ path: stateDir, source: 'option' }, { name: 'egreedy-v1', source: 'default' }])
  assert.deepEqual(health.evictedUsers, 0)
  assert.deepEqual(health.nats, { enabled: false, state: 'stopped', servers: [], server: null, problem: null, reconnects: 0, consumers: {}, dead: 0, deadLetters: [] })
  assert.deepEqual([health.writer], [{ dirtyUsers: 0, filesWritten: 0, errors: 0, lastError: null, failing: false, foreignWrites: 0 }])
})

test('the largest and the smallest of each number', async (t) => {
  for (const options of [
    { seed: 0, historySize: 0, maxHotUsers: 1, logRetentionDays: 0, logRetentionBytes: 0 },
    { seed: 2 ** 53 - 1, historySize: 1000, maxHotUsers: 100_000_000, logRetentionDays: 36_500, logRetentionBytes: 2 ** 53 - 1 },
  ]) {
    const bandits = openEngine(t, { ...options, log: 'on' })
    bandits.score({ userId: 'u', candidates: [{ id: 'a' }] })
    assert.deepEqual([bandits.stats('u').pulls, bandits.health().ok], [1, true])
  }
})
