// @ts-check
// From open to close within one process: what works when, and what is on disk afterwards.

import assert from 'node:assert/strict'
import { symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'

import { Bandits } from '@oo/bandits'
import { eventsIn } from './support/log-lines.mjs'
import { assertRefuses, assertRejects } from './support/refusal.mjs'
import { POLICIES, rewardOnce, timelessStandingOf } from './support/standing.mjs'
import { emptyDirectory, namesIn, openEngine, stateIn } from './support/state-dir.mjs'

const request = { userId: 'u', candidates: [{ id: 'a' }] }
/** Bytes. A line that the engine adds for itself at any time, and that nobody waits for; those of calls are longer. */
const A_MARK = 130

describe('after close()', () => {
  /** @type {[string, (bandits: Bandits) => unknown][]} */
  const sync = [
    ['score', (b) => b.score(request)],
    ['score of nonsense', (b) => b.score(/** @type {any} */ (null))],
    ['scoreMany', (b) => b.scoreMany([request])],
    ['scoreMany of nothing', (b) => b.scoreMany([])],
    ['prepare', (b) => b.prepare(request.candidates)],
    ['reward', (b) => rewardOnce(b, 'u')],
    ['stats', (b) => b.stats('u')],
    ['features', (b) => b.features('u')],
    ['reset', (b) => b.reset('u')],
    ['events', (b) => b.events()],
    ['prompts', (b) => b.prompts()],
    ['recovery', (b) => b.recovery],
    ['health', (b) => b.health()],
  ]
  /** @type {[string, (bandits: Bandits) => Promise<unknown>][]} */
  const async = [
    ['erase', (b) => b.erase('u')],
    ['generate', (b) => b.generate({ userId: 'u' })],
    ['start', (b) => b.start()],
    ['flush', (b) => b.flush()],
    ['checkpoint', (b) => b.checkpoint()],
  ]
  for (const when of ['at once', 'later']) {
    test(`${when}, every call is refused in its own way`, async (t) => {
      const bandits = openEngine(t)
      bandits.score(request)
      assert.equal(bandits.closed, false)
      const closing = bandits.close()
      assert.equal(bandits.closed, true)
      if (when === 'later') await closing
      for (const [name, call] of sync) assertRefuses(() => call(bandits), 'ERR_CLOSED', undefined, name)
      for (const [name, call] of async) await assertRejects(() => call(bandits), 'ERR_CLOSED', undefined, name)
      await closing
    })
  }
  test('closing again is harmless', async (t) => {
    const bandits = openEngine(t)
    await Promise.all([bandits.close(), bandits.close(), bandits[Symbol.asyncDispose]()])
    await bandits.close()
  })
  test('the directory is free, also for an open() that comes before the end', async (t) => {
    const stateDir = emptyDirectory(t)
    const bandits = openEngine(t, { stateDir })
    for (let i = 0; i < 100; i++) rewardOnce(bandits, `u${i}`)
    const closing = bandits.close()
    const again = openEngine(t, { stateDir, activePolicy: 'linucb-v1', historySize: 3 })
    assert.equal(again.stats('u99', 'egreedy-v1').rewardCount, 1)
    await closing
    assert.equal(again.closed, false)
    rewardOnce(again, 'u0')
  })
})

test('asyncDispose closes', async (t) => {
  const stateDir = emptyDirectory(t)
  const bandits = openEngine(t, { stateDir })
  rewardOnce(bandits, 'u')
  await bandits[Symbol.asyncDispose]()
  assert.equal(bandits.closed, true)
  assert.equal(stateIn(stateDir, 'u_egreedy.json').meta['reward_count'], 1)
})

describe('promises', () => {
  for (const method of /** @type {const} */ (['checkpoint', 'close'])) {
    test(`what ${method}() resolves for is in the files`, async (t) => {
      const stateDir = emptyDirectory(t)
      const bandits = openEngine(t, { stateDir })
      for (const policy of POLICIES) {
        bandits.score({ ...request, policy })
        rewardOnce(bandits, 'u', { policy })
      }
      assert.equal(await bandits[method](), undefined)
      for (const [i, name] of ['u.json', 'u_egreedy.json', 'u_egreedy_v2.json'].entries()) {
        const { A, b, meta } = stateIn(stateDir, name)
        assert.deepEqual([A.length, b.length, meta['pulls'], meta['reward_count'], meta['user_id'], meta['policy']], [[5, 7, 12][i], [5, 7, 12][i], 1, 1, 'u', POLICIES[i]])
      }
      assert.deepEqual(namesIn(stateDir), ['u.json', 'u_egreedy.json', 'u_egreedy_v2.json'])
    })
  }

  test('what flush() resolves for is in the log, whether or not it is in the files', async (t) => {
    const stateDir = emptyDirectory(t)
    const bandits = openEngine(t, { stateDir })
    for (let i = 1; i <= 30; i++) {
      bandits.score(request)
      rewardOnce(bandits, 'u')
      assert.equal(await bandits.flush(), undefined)
      assert.ok(bandits.health().log.unsyncedBytes <= A_MARK)
      assert.deepEqual(eventsIn(stateDir).map(({ kind }) => kind), Array.from({ length: i }, () => ['pull', 'reward']).flat())
    }
  })

  test('checkpoint() after checkpoint() after reward() always finds the last one', async (t) => {
    const stateDir = emptyDirectory(t)
    const bandits = openEngine(t, { stateDir })
    for (let i = 1; i <= 30; i++) {
      rewardOnce(bandits, 'u')
      await bandits.checkpoint()
      assert.equal(stateIn(stateDir, 'u_egreedy.json').meta['reward_count'], i)
    }
    assert.deepEqual([bandits.health().writer.dirtyUsers, bandits.health().writer.filesWritten], [0, 30])
  })

  test('all that were pending when the engine was closed are settled before it is', async (t) => {
    const stateDir = emptyDirectory(t)
    const bandits = openEngine(t, { stateDir })
    /** @type {string[]} */
    const order = []
    for (let i = 0; i < 50; i++) rewardOnce(bandits, `u${i}`)
    const pending = [bandits.flush().then(() => order.push('flush')), bandits.erase('u7').then(() => order.push('erase')), bandits.checkpoint().then(() => order.push('checkpoint')), bandits.close().then(() => order.push('close'))]
    await Promise.all(pending)
    // An erasure takes as long as the log is large, and nobody else waits for it.
    assert.deepEqual(order, ['flush', 'checkpoint', 'erase', 'close'])
    assert.equal(namesIn(stateDir).length, 49)
  })

  test('a thousand flushes at once', async (t) => {
    const bandits = openEngine(t)
    rewardOnce(bandits, 'u')
    await Promise.all(Array.from({ length: 1000 }, () => bandits.flush()))
    assert.ok(bandits.health().log.unsyncedBytes <= A_MARK)
  })
})

describe('several engines', () => {
  test('on different directories know nothing of each other', async (t) => {
    const [one, two] = [openEngine(t), openEngine(t, { activePolicy: 'linucb-v1' })]
    rewardOnce(one, 'u')
    assert.deepEqual([one.stats('u').rewardCount, two.stats('u').rewardCount], [1, 0])
    await one.close()
    rewardOnce(two, 'u')
    assert.equal(two.stats('u').rewardCount, 1)
  })

  test('on one directory, by whatever path, are one', async (t) => {
    const stateDir = emptyDirectory(t)
    const link = join(emptyDirectory(t), 'link')
    symlinkSync(stateDir, link)
    const engines = [stateDir, `${stateDir}/.`, link, join(stateDir, '..', stateDir.slice(stateDir.lastIndexOf('/')))].map((path) => openEngine(t, { stateDir: path }))
    engines.push(await Bandits.openAsync({ stateDir: link, seed: 1 }))
    for (const [i, engine] of engines.entries()) {
      rewardOnce(engine, 'u')
      engine.score({ userId: 'u', candidates: [{ id: `t${i}` }] })
      for (const other of engines) assert.deepEqual([other.stats('u').rewardCount, other.features('u').history.at(-1)?.tipId], [i + 1, `t${i}`])
    }
    for (const engine of engines.slice(0, -1)) {
      await engine.close()
      assertRefuses(() => engine.stats('u'), 'ERR_CLOSED')
      assert.equal(engines.at(-1)?.stats('u').rewardCount, 5)
    }
    await engines.at(-1)?.close()
    assert.equal(openEngine(t, { stateDir }).stats('u').rewardCount, 5)
  })

  test('on one directory with other options are refused', async (t) => {
    const stateDir = emptyDirectory(t)
    const first = openEngine(t, { stateDir, seed: 1 })
    /** @type {[import('@oo/bandits').BanditsOptions, string][]} */
    const others = [[{ seed: 2 }, 'seed'], [{ activePolicy: 'linucb-v1' }, 'activePolicy'], [{ historySize: 5 }, 'historySize'], [{ maxHotUsers: 5 }, 'maxHotUsers'], [{ log: 'off' }, 'log'], [{ logRetentionDays: 5 }, 'logRetentionDays'], [{ logRetentionBytes: 5 }, 'logRetentionBytes']]
    for (const [options, name] of others) {
      assertRefuses(() => Bandits.open({ stateDir, ...options }), 'ERR_INVALID_ARGUMENT', `options.${name}`)
      await assertRejects(() => Bandits.openAsync({ stateDir, ...options }), 'ERR_INVALID_ARGUMENT', `options.${name}`)
    }
    const second = openEngine(t, { stateDir, seed: undefined })
    await first.close()
    rewardOnce(second, 'u')
    await second.close()
  })

  test('opened at once from everywhere', async (t) => {
    const stateDir = emptyDirectory(t)
    const engines = await Promise.all(Array.from({ length: 20 }, () => Bandits.openAsync({ stateDir })))
    engines.forEach((engine) => rewardOnce(engine, 'u'))
    assert.equal(engines[0]?.stats('u').rewardCount, 20)
    await Promise.all(engines.map((engine) => engine.close()))
    assert.equal(openEngine(t, { stateDir }).stats('u').rewardCount, 20)
  })
})

test('what was learned is there after close and open, to the last bit', async (t) => {
  const stateDir = emptyDirectory(t)
  const first = openEngine(t, { stateDir })
  const users = Array.from({ length: 20 }, (_user, i) => `u${i}`)
  for (let i = 0; i < 600; i++) {
    const userId = /** @type {string} */ (users[i % 20])
    for (const policy of POLICIES) {
      first.score({ userId, candidates: [{ id: 'a' }, { id: 'b', features: { priority: 3 } }], policy })
      rewardOnce(first, userId, { policy, reward: Math.sin(i), features: { hourOfDay: i % 24, taskAgeDays: i % 40, priority: 1 + (i % 4) }, profileFeatures: { preferredHour: i / 7 } })
    }
  }
  const before = timelessStandingOf(first, users)
  await first.close()
  const second = openEngine(t, { stateDir })
  for (const [i, { stats }] of timelessStandingOf(second, users).entries()) {
    for (const [j, { theta, ...rest }] of stats.entries()) {
      const { theta: expected, ...counted } = /** @type {any} */ (before)[i].stats[j]
      assert.deepEqual(rest, counted)
      // θ is derived afresh from sums that are the same.
      theta.forEach((value, k) => assert.ok(Math.abs(value - expected[k]) < 1e-12))
    }
  }
  await second.close()
  const third = openEngine(t, { stateDir })
  assert.deepEqual(timelessStandingOf(third, users), timelessStandingOf(openEngine(t, { stateDir }), users))
})

test('a warning about one thing does not go by the name of another', async (t) => {
  const { run } = await import('./support/child.mjs')
  const { code, stdout, stderr } = run(`
    import { writeFileSync } from 'node:fs'
    process.on('warning', (warning) => console.log(warning.code))
    const engine = Bandits.open({ stateDir })
    reward(engine); await engine.checkpoint()
    writeFileSync(stateDir + '/u_egreedy.json', 'foreign')
    reward(engine); await engine.checkpoint()
    const second = Bandits.open({ stateDir })
    await Promise.all([engine.close(), second.close()])`, { stateDir: emptyDirectory(t), flags: ['--no-warnings'] })
  assert.equal(code, 0, stderr)
  assert.doesNotMatch(stdout, /DEFAULT_STATE_DIR/)
})
