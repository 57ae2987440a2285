// @ts-check
// One process per directory: a second one is refused, or waits.

import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'

import { Bandits } from '@oo/bandits'
import { run, start } from './support/child.mjs'
import { assertRefusal } from './support/refusal.mjs'
import { rewardOnce } from './support/standing.mjs'
import { emptyDirectory, openEngine } from './support/state-dir.mjs'

const HOLD = `
  const engine = Bandits.open({ stateDir })
  reward(engine)
  await engine.flush()
  console.log(process.pid)
  process.stdin.on('data', async (data) => {
    if (String(data).includes('close')) await engine.close()
    else process.exit()
  })`

/** @param {unknown} error @param {number | string} pid */
function assertLocked(error, pid) {
  assertRefusal(error, 'ERR_STATE_LOCKED')
  assert.equal(/** @type {any} */ (error).retryable, true)
  assert.match(/** @type {Error} */ (error).message, new RegExp(`process ${pid}\\b`))
  return true
}

test('a directory that another process holds', async (t) => {
  const stateDir = emptyDirectory(t)
  const { child, line } = await start(t, HOLD, { stateDir })
  assert.equal(line, String(child.pid))
  assert.throws(() => Bandits.open({ stateDir }), (error) => assertLocked(error, line))
  await assert.rejects(Bandits.openAsync({ stateDir }), (error) => assertLocked(error, line))
  await assert.rejects(Bandits.openAsync({ stateDir, lockTimeoutMs: 120 }), (error) => assertLocked(error, line))
})

test('a child of this process is another process', async (t) => {
  const stateDir = emptyDirectory(t)
  const bandits = openEngine(t, { stateDir })
  const script = `
    try { Bandits.open({ stateDir }); console.log('opened') }
    catch (e) { console.log(e.code, e.retryable, e.message.includes('process ${process.pid};')) }`
  assert.equal(run(script, { stateDir }).stdout, 'ERR_STATE_LOCKED true true\n')
  await bandits.close()
  assert.equal(run(script, { stateDir }).stdout, 'opened\n')
})

describe('openAsync() with lockTimeoutMs gets the directory', () => {
  for (const [how, act] of /** @type {const} */ ([['closes', 'close'], ['exits', 'exit']])) {
    test(`when the holder ${how}`, async (t) => {
      const stateDir = emptyDirectory(t)
      const { child } = await start(t, HOLD, { stateDir })
      const opening = Bandits.openAsync({ stateDir, lockTimeoutMs: 20_000 })
      child.stdin.write(act)
      const bandits = await opening
      assert.equal(bandits.stats('u').rewardCount, 1)
      await bandits.close()
    })
  }
  for (const signal of /** @type {const} */ (['SIGKILL', 'SIGTERM'])) {
    test(`when the holder dies of ${signal}`, async (t) => {
      const stateDir = emptyDirectory(t)
      const { end } = await start(t, HOLD, { stateDir })
      const opening = Bandits.openAsync({ stateDir, lockTimeoutMs: 20_000 })
      assert.equal((await end(signal)).signal, signal)
      const bandits = await opening
      // What was flushed is there.
      assert.equal(bandits.stats('u').rewardCount, 1)
      await bandits.close()
    })
  }
  test('while it waits, the thread is free', async (t) => {
    const stateDir = emptyDirectory(t)
    await start(t, HOLD, { stateDir })
    const other = openEngine(t)
    let ticks = 0
    const ticking = setInterval(() => { rewardOnce(other, 'u'); ticks++ }, 5)
    await assert.rejects(Bandits.openAsync({ stateDir, lockTimeoutMs: 300 }), { code: 'ERR_STATE_LOCKED' }).finally(() => clearInterval(ticking))
    assert.ok(ticks >= 5, `${ticks} ticks`)
  })
})

describe('openAsync() with a signal', () => {
  const reasons = [new Error('own reason'), 'text', null]
  test('aborted before: nothing is opened', async (t) => {
    const stateDir = emptyDirectory(t)
    for (const reason of reasons) await assert.rejects(Bandits.openAsync({ stateDir, signal: AbortSignal.abort(reason) }), (error) => error === reason)
    await assert.rejects(Bandits.openAsync({ stateDir, signal: AbortSignal.abort() }), { name: 'AbortError' })
    assert.equal(run("Bandits.open({ stateDir }); console.log('free')", { stateDir }).stdout, 'free\n')
  })
  test('aborted while opening: the directory is let go', async (t) => {
    const stateDir = emptyDirectory(t)
    for (const reason of reasons) {
      const controller = new AbortController()
      const opening = Bandits.openAsync({ stateDir, signal: controller.signal })
      controller.abort(reason)
      await assert.rejects(opening, (error) => error === reason)
    }
    assert.equal(run("Bandits.open({ stateDir }); console.log('free')", { stateDir }).stdout, 'free\n')
  })
  test('aborted while waiting', async (t) => {
    const stateDir = emptyDirectory(t)
    await start(t, HOLD, { stateDir })
    for (const reason of reasons) {
      const controller = new AbortController()
      const opening = Bandits.openAsync({ stateDir, signal: controller.signal, lockTimeoutMs: 60_000 })
      // It may be in any of its steps; all have to end with the reason.
      sleep(70).then(() => controller.abort(reason))
      await assert.rejects(opening, (error) => error === reason)
    }
  })
  test('aborted afterwards: nothing happens', async (t) => {
    const controller = new AbortController()
    const bandits = await Bandits.openAsync({ stateDir: emptyDirectory(t), signal: controller.signal })
    controller.abort()
    rewardOnce(bandits, 'u')
    assert.equal(bandits.stats('u').rewardCount, 1)
    await bandits.close()
  })
})
