// @ts-check
// Worker threads that open one directory share one engine, and may end in any way.

import assert from 'node:assert/strict'
import { describe, test } from 'node:test'

import { run } from './support/child.mjs'
import { POLICIES, rewardOnce } from './support/standing.mjs'
import { emptyDirectory, namesIn, openEngine, stateIn } from './support/state-dir.mjs'
import { until } from './support/until.mjs'
import { startWorker } from './support/worker.mjs'

const FILES = ['u.json', 'u_egreedy.json', 'u_egreedy_v2.json']
// At hour 0 on day 0 and with these features every entry of x is a small sum of powers of two, so that sums do not depend on order.
const EXACT = `(i) => ({ reward: [1, 0.5, 0, -0.5, -1][i % 5], features: { hourOfDay: 0, isOverdue: i % 2 === 0, taskAgeDays: [0, 15, 30][i % 3], priority: i % 7 === 0 ? 4 : 1 },
  profileFeatures: { completionRate30d: (i % 4) / 4, dismissRate30d: 0.5, meanDwellMs30d: 300000, tipVolume30d: 0, preferredHour: 0 } })`

test('rewards and pulls of four workers add up as if one had made them', async (t) => {
  const [stateDir, alone] = [emptyDirectory(t), emptyDirectory(t)]
  const each = 2000
  const script = `
    const engine = Bandits.open({ stateDir })
    const exact = ${EXACT}
    say('ready')
    await heard('go')
    for (let i = workerData.from; i < workerData.to; i++) for (const policy of workerData.policies) {
      reward(engine, 'u', { ...exact(i), policy })
      engine.score({ userId: 'u', candidates: [{ id: 'w' + i }], policy })
      if (i % 100 === 0) engine.scoreMany([{ userId: 'u', candidates: [{ id: 'x' }], policy }, { userId: 'v', candidates: [{ id: 'y' }], policy }])
    }
    if (workerData.close) await engine.close()
    process.exit()`
  const workers = [0, 1, 2, 3].map((n) => startWorker(script, { stateDir, from: n * each, to: (n + 1) * each, policies: POLICIES, close: n % 2 === 0 }, t))
  await Promise.all(workers.map(({ said }) => said()))
  const own = openEngine(t, { stateDir, seed: undefined })
  workers.forEach(({ say }) => say('go'))
  assert.deepEqual(await Promise.all(workers.map(({ ended }) => ended)), [0, 0, 0, 0])

  const single = openEngine(t, { stateDir: alone })
  const exact = /** @type {(i: number) => any} */ (new Function(`return ${EXACT}`)())
  for (let i = 0; i < 4 * each; i++) for (const policy of POLICIES) rewardOnce(single, 'u', { ...exact(i), policy })
  for (const policy of POLICIES) {
    const { pulls, rewardCount, cumulativeReward } = own.stats('u', policy)
    assert.deepEqual([pulls, rewardCount, cumulativeReward], [4 * each + 4 * each / 100, 4 * each, single.stats('u', policy).cumulativeReward])
    assert.equal(own.stats('v', policy).pulls, 4 * each / 100)
  }
  assert.equal(own.features('u').history.length, 100)
  await Promise.all([own.close(), single.close()])
  for (const name of FILES) {
    const [{ A, b }, expected] = [stateIn(stateDir, name), stateIn(alone, name)]
    assert.deepEqual({ A, b }, { A: expected.A, b: expected.b })
  }
  const [reopened, expected] = [openEngine(t, { stateDir }), openEngine(t, { stateDir: alone })]
  for (const policy of POLICIES) assert.deepEqual(reopened.stats('u', policy).theta, expected.stats('u', policy).theta)
})

test('what one thread learns, all see at once', async (t) => {
  const stateDir = emptyDirectory(t)
  const own = openEngine(t, { stateDir, seed: undefined })
  const { say, said, ended } = startWorker(`
    const engine = Bandits.open({ stateDir })
    reward(engine); engine.score({ userId: 'u', candidates: [{ id: '✓ from the worker' }] })
    say('done')
    await heard('look')
    say(JSON.stringify([engine.stats('u').rewardCount, engine.features('u').history.map(({ tipId }) => tipId)]))
    process.exit()`, { stateDir })
  await said()
  assert.deepEqual([own.stats('u').rewardCount, own.features('u').history.map(({ tipId }) => tipId)], [1, ['✓ from the worker']])
  rewardOnce(own, 'u')
  own.score({ userId: 'u', candidates: [{ id: 'é' }] })
  say('look')
  assert.deepEqual(JSON.parse(await said()), [2, ['✓ from the worker', 'é']])
  assert.equal(await ended, 0)
})

describe('a worker that ends without close()', () => {
  /** @type {[string, string][]} */
  const ends = [['by itself', 'parentPort.unref?.(); parentPort.close()'], ['by process.exit()', 'process.exit()'], ['by an error', "throw new Error('uncaught')"]]
  for (const [name, end] of ends) {
    test(name, async (t) => {
      const stateDir = emptyDirectory(t)
      const { ended } = startWorker(`const engine = Bandits.open({ stateDir, activePolicy: 'linucb-v1' }); reward(engine); ${end}`, { stateDir })
      await ended.catch(() => undefined)
      assert.equal(stateIn(stateDir, 'u.json').meta['reward_count'], 1)
      // The directory is free, for other settings, too.
      assert.equal(openEngine(t, { stateDir, activePolicy: 'egreedy-v2' }).stats('u', 'linucb-v1').rewardCount, 1)
    })
  }
})

describe('terminate()', () => {
  test('of the only one that has the engine: it is closed and the directory free', async (t) => {
    const stateDir = emptyDirectory(t)
    const { worker, said } = startWorker("const engine = Bandits.open({ stateDir, activePolicy: 'linucb-v1' }); reward(engine); say('rewarded'); await heard('never')", { stateDir })
    await said()
    await worker.terminate()
    // The last write goes on for a moment; open() waits for it once the worker's end has been noticed.
    const own = await until(() => {
      try {
        return openEngine(t, { stateDir })
      } catch (error) {
        assert.equal(/** @type {any} */ (error).code, 'ERR_INVALID_ARGUMENT')
        return false
      }
    }, 'the directory is free')
    assert.equal(own.stats('u', 'linucb-v1').rewardCount, 1)
  })

  test('in the midst of calls, again and again: the others go on', async (t) => {
    const stateDir = emptyDirectory(t)
    const own = openEngine(t, { stateDir, seed: undefined })
    const script = `
      const engine = Bandits.open({ stateDir })
      say('ready')
      for (let i = 0; ; i++) {
        engine.score({ userId: 'u', candidates: [{ id: i % 2 ? 'short' : '✓'.repeat(200) }] })
        engine.scoreMany(Array.from({ length: 20 }, (_, k) => ({ userId: 'v' + k, candidates: [{ id: 'b' }] })))
        if (workerData.mode === 'promises') { engine.flush().catch(() => {}); engine.erase('w').catch(() => {}); if (i % 50 === 0) await null }
        if (workerData.mode === 'sets') engine.score({ userId: 'u', candidates: engine.prepare([{ id: 'p' }]) })
        if (workerData.mode === 'opens') { Bandits.openAsync({ stateDir }).catch(() => {}); if (i % 5 === 0) await new Promise(setImmediate) }
        if (workerData.mode === 'nested') engine.score({ userId: 'u', get candidates() { engine.scoreMany([{ userId: 'u', candidates: [{ id: 'n' }] }]); return [{ id: 'o' }] } })
      }`
    for (const mode of ['plain', 'promises', 'sets', 'opens', 'nested', 'promises', 'opens', 'plain']) {
      const { worker, said } = startWorker(script, { stateDir, mode })
      await said()
      const from = own.stats('u').pulls
      await until(() => own.stats('u').pulls > from, 'the worker scores')
      await worker.terminate()
      const { pulls } = own.stats('u')
      assert.equal(own.score({ userId: 'u', candidates: [{ id: 'own' }] }).tipId, 'own')
      assert.deepEqual([own.stats('u').pulls, own.features('u').history.at(-1)?.tipId], [pulls + 1, 'own'])
      await own.flush()
    }
    const { pulls } = own.stats('u')
    await own.close()
    assert.equal(stateIn(stateDir, 'u_egreedy.json').meta['pulls'], pulls)
  })
})

// In a process of its own, which can be killed: a close() that never settles would keep this one alive.
test('300 times open and close in five threads: every close() resolves', (t) => {
  const stateDir = emptyDirectory(t)
  const { code, stdout, stderr } = run(`
    import { startWorker } from './__test__/support/worker.mjs'
    const work = "for (let i = 0; i < 300; i++) { const engine = i % 2 ? Bandits.open({ stateDir }) : await Bandits.openAsync({ stateDir }); reward(engine); await engine.close() }"
    const workers = [0, 1, 2, 3].map(() => startWorker(work + "; process.exit()", { stateDir }))
    await eval('(async () => {' + work + '})()')
    console.log(await Promise.all(workers.map(({ ended }) => ended)), Bandits.open({ stateDir }).stats('u').rewardCount)`, { stateDir })
  assert.deepEqual([code, stdout], [0, '[ 0, 0, 0, 0 ] 1500\n'], stderr)
  assert.deepEqual(namesIn(stateDir), ['u_egreedy.json'])
})

test('a prepared set does not cross to another thread, and says so', async (t) => {
  const stateDir = emptyDirectory(t)
  const own = openEngine(t, { stateDir })
  const { said } = startWorker(`
    const engine = Bandits.open({ stateDir })
    try { engine.score({ userId: 'u', candidates: workerData.set }) } catch (error) { say(error.code + ' ' + error.message.split(':')[0]) }
    process.exit()`, { stateDir, set: own.prepare([{ id: 'a' }]) })
  assert.equal(await said(), 'ERR_INVALID_ARGUMENT candidates')
})

test('a process that ends while its workers are at work keeps the state whole', (t) => {
  const stateDir = emptyDirectory(t)
  const { code, stdout, stderr } = run(`
    import { startWorker } from './__test__/support/worker.mjs'
    const engine = Bandits.open({ stateDir })
    const workers = [0, 1].map((n) => startWorker("const engine = Bandits.open({ stateDir }); say('ready'); for (;;) reward(engine, 'w')", { stateDir }))
    await Promise.all(workers.map(({ said }) => said()))
    reward(engine)
    console.log('going')
    process.exit(4)`, { stateDir })
  assert.deepEqual([code, stdout], [4, 'going\n'], stderr)
  const bandits = openEngine(t, { stateDir })
  assert.equal(bandits.stats('u').rewardCount, 1)
  assert.ok(bandits.stats('w').theta.every(Number.isFinite))
})

test('a process that ends while only a worker has the engine keeps what the worker learned', (t) => {
  const stateDir = emptyDirectory(t)
  const { code, stderr } = run(`
    import { startWorker } from './__test__/support/worker.mjs'
    const { said } = startWorker("const engine = Bandits.open({ stateDir }); for (let i = 0; i < 200; i++) reward(engine, 'u' + i); say('rewarded'); await heard('never')", { stateDir })
    await said()
    process.exit(4)`, { stateDir })
  assert.equal(code, 4, stderr)
  const bandits = openEngine(t, { stateDir })
  assert.deepEqual(Array.from({ length: 200 }, (_user, i) => i).filter((i) => bandits.stats(`u${i}`).rewardCount !== 1), [], 'users whose reward was lost')
})
