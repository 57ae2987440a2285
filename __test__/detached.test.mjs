// @ts-check
// Methods without their object: `const { recommend, feedback } = bandits`, as the package's own functions are used.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { inspect } from 'node:util'

import { Bandits } from '@oo/bandits'
import { emptyDirectory, openEngine } from './support/state-dir.mjs'

const candidates = [{ id: 'a' }, { id: 'b' }]

test('methods work without the object that they are of', async (t) => {
  const { open, openAsync } = Bandits
  const { score, scoreMany, prepare, recommend, feedback, reward, stats, features, reset, policies, setPolicy, health, flush, checkpoint, close } = open({ stateDir: emptyDirectory(t), seed: 1 })
  assert.equal(score({ userId: 'u', candidates }).policy, 'egreedy-v1')
  assert.equal(scoreMany([{ userId: 'u', candidates: prepare(candidates) }]).length, 1)
  assert.equal(feedback({ decisionId: recommend({ userId: 'u', candidates }).decisionId, action: 'done' }).applied, true)
  reward({ userId: 'u', tipId: 'a', reward: 1, features: {} })
  assert.equal(stats('u').rewardCount, 2)
  assert.equal(features('u').history.length > 0, true)
  reset('u')
  setPolicy('linucb-v1', { mode: 'active' })
  assert.equal(policies().length, 3)
  await flush()
  await checkpoint()
  const { stateDir } = health()
  await close()
  assert.throws(() => health(), { code: 'ERR_CLOSED' })
  assert.equal(await (await openAsync({ stateDir: stateDir.path })).close(), undefined)
})

test('every method does, and each is of its own engine', async (t) => {
  const [one, other] = [openEngine(t), openEngine(t)]
  const names = Object.getOwnPropertyNames(Bandits.prototype).filter((name) => name !== 'constructor' && typeof Object.getOwnPropertyDescriptor(Bandits.prototype, name)?.value === 'function')
  assert.ok(names.length > 25, names.join())
  const { score } = one
  score({ userId: 'u', candidates })
  assert.deepEqual([one.stats('u').pulls, other.stats('u').pulls], [1, 0])
  await one.close()
  for (const name of names) {
    const method = /** @type {any} */ (one)[name]
    // What is closed says so, whatever it is given: that it is asked at all is the point.
    const outcome = await Promise.resolve().then(() => method()).catch((error) => error)
    assert.ok(name === 'close' ? outcome === undefined : outcome.code === 'ERR_CLOSED', `${name}: ${inspect(outcome)}`)
  }
  assert.equal(await one[Symbol.asyncDispose].call(undefined), undefined)
})

test('they are not in the way of people and of test doubles', (t) => {
  const bandits = openEngine(t)
  assert.deepEqual(Object.keys(bandits), [])
  assert.equal(inspect(bandits), 'Bandits {}')
  const double = t.mock.method(bandits, 'score', () => 'double')
  assert.equal(bandits.score({ userId: 'u', candidates }), 'double')
  double.mock.restore()
  assert.equal(bandits.score({ userId: 'u', candidates }).index >= 0, true)
})
