// @ts-check
// What engines leave behind in the process: nothing. Descriptors and threads are counted in /proc.

import assert from 'node:assert/strict'
import { describe, test } from 'node:test'

import { missing } from '../scripts/obtained.mjs'
import { run } from './support/child.mjs'
import { emptyDirectory } from './support/state-dir.mjs'

const SKIP = process.platform === 'linux' ? false : missing('leaks: descriptors and threads are not counted, there is no /proc here')

const COUNTERS = `
  import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
  const descriptors = () => readdirSync('/proc/self/fd').map((fd) => { try { return readlinkSync('/proc/self/fd/' + fd) } catch { return '' } }).filter((path) => path.startsWith(stateDir)).length
  const threads = () => readdirSync('/proc/self/task').filter((id) => { try { return readFileSync('/proc/self/task/' + id + '/comm', 'utf8').startsWith('bandits') } catch { return false } }).length
  const until = async (condition) => { for (const end = performance.now() + 10000; !condition() && performance.now() < end;) await new Promise((resolve) => setTimeout(resolve, 5)) }
`

describe('descriptors and threads', { skip: SKIP }, () => {
  test('a closed engine holds none, collected or not', (t) => {
    const { code, stdout, stderr } = run(`${COUNTERS}
      const engine = Bandits.open({ stateDir })
      reward(engine)
      await until(() => threads() === 3) // of state, log and its syncs; a thread names itself
      console.log(descriptors() > 0, threads())
      await engine.close()
      await until(() => threads() === 0)
      console.log(descriptors(), threads(), engine.closed)`, { stateDir: emptyDirectory(t) })
    assert.deepEqual([code, stdout], [0, 'true 3\n0 0 true\n'], stderr)
  })

  test('50 times open and close, with garbage collection, leave none', (t) => {
    const { code, stdout, stderr } = run(`${COUNTERS}
      const openAndClose = async (i) => {
        const engine = i % 2 ? Bandits.open({ stateDir: stateDir + '/' + i % 3 }) : await Bandits.openAsync({ stateDir: stateDir + '/' + i % 3 })
        reward(engine, 'u' + i)
        await engine.close()
      }
      for (let i = 0; i < 50; i++) await openAndClose(i)
      await until(() => { gc(); return descriptors() === 0 && threads() === 0 })
      console.log(descriptors(), threads())`, { stateDir: emptyDirectory(t), flags: ['--expose-gc'] })
    assert.deepEqual([code, stdout], [0, '0 0\n'], stderr)
  })

  test('refused opens leave none', (t) => {
    const { code, stdout, stderr } = run(`${COUNTERS}
      const engine = Bandits.open({ stateDir })
      await until(() => threads() === 3) // as above
      const before = [descriptors(), threads()]
      for (let i = 0; i < 50; i++) {
        for (const options of [{ stateDir, historySize: 1 }, { stateDir, seed: -1 }]) {
          try { Bandits.open(options) } catch {}
          await Bandits.openAsync(options).catch(() => {})
        }
      }
      console.log(JSON.stringify([descriptors(), threads()]) === JSON.stringify(before))`, { stateDir: emptyDirectory(t) })
    assert.deepEqual([code, stdout], [0, 'true\n'], stderr)
  })
})

describe('memory', () => {
  /**
   * What 100 closed engines leave in memory: 25 users each, with 100 tip ids of 512 characters, are 130 MB.
   * @param {import('./support/state-dir.mjs').TestContext} t
   * @param {string} meanwhile what is done with `engine` before it is closed; `kept` outlives it
   * @param {string} [afterwards]
   */
  const assertSmall = (t, meanwhile, afterwards = '') => {
    const { code, stdout, stderr } = run(`
      const kept = []
      const round = async () => {
        const engine = Bandits.open({ stateDir })
        ${meanwhile}
        for (let i = 0; i < 2500; i++) engine.score({ userId: 'u' + (i % 25), candidates: [{ id: String(i).padStart(512, 'x') }] })
        await engine.close()
        ${afterwards}
      }
      const rounds = async () => {
        for (let i = 0; i < 20; i++) await round()
        for (let i = 0; i < 3; i++) { gc(); await new Promise(setImmediate) }
      }
      await rounds()
      const before = process.memoryUsage().rss
      for (let i = 0; i < 5; i++) await rounds()
      const grown = (process.memoryUsage().rss - before) / 2 ** 20
      console.log(grown < 60 ? 'small' : 'grown by ' + grown + ' MB')`, { stateDir: emptyDirectory(t), flags: ['--expose-gc'] })
    assert.deepEqual([code, stdout], [0, 'small\n'], stderr)
  }

  test('120 engines, one after the other, do not pile up', (t) => assertSmall(t, ''))

  test('nor with listeners, never stopped or stopped too late', (t) => {
    assertSmall(t, 'engine.onEvent(() => {}); const stop = engine.onEvent(() => engine)', 'stop()')
  })

  test('nor while the caller still has them, with all that came from them', (t) => {
    assertSmall(t, `
      const set = engine.prepare([{ id: 'a' }])
      const { signal } = new AbortController()
      const pending = [engine.decisions({}, { signal }), engine.users({}, { signal }), engine.generate({ userId: 'u' }, { signal }), engine.flush()]
      for (const promise of pending) promise.catch(() => {})
      kept.push(engine, engine.onEvent(() => {}), set, signal, pending)`)
  })

  test('a listener is let go of when its engine is closed', (t) => {
    const { code, stdout, stderr } = run(`
      import { until } from './__test__/support/until.mjs'
      const engine = Bandits.open({ stateDir })
      const listen = () => { const listener = () => {}; engine.onEvent(listener); return new WeakRef(listener) }
      const listener = listen()
      await new Promise(setImmediate)
      gc()
      console.log(listener.deref() !== undefined)
      await engine.close()
      await until(() => { gc(); return listener.deref() === undefined }, 'it is collected')
      console.log('collected')`, { stateDir: emptyDirectory(t), flags: ['--expose-gc'] })
    assert.deepEqual([code, stdout], [0, 'true\ncollected\n'], stderr)
  })

  test('garbage collection at every turn breaks nothing', (t) => {
    const { code, stdout, stderr } = run(`
      import { setImmediate as turn } from 'node:timers/promises'
      for (let i = 0; i < 40; i++) {
        const engine = Bandits.open({ stateDir: stateDir + '/' + (i % 4), seed: i })
        const set = engine.prepare([{ id: 'a' }, { id: '✓'.repeat(100) }])
        for (let k = 0; k < 20; k++) {
          engine.score({ userId: 'u' + k, get candidates() { gc(); return set } })
          engine.scoreMany([{ userId: 'u', candidates: Array.from({ length: 500 * k + 1 }, (_, n) => ({ id: 'c' + n })) }, { userId: 'u', candidates: set }])
          reward(engine)
        }
        const closing = [engine.flush(), engine.erase('u3'), engine.close()]
        gc()
        await turn()
        gc()
        await Promise.all(closing)
      }
      const engine = Bandits.open({ stateDir: stateDir + '/0' })
      console.log(engine.stats('u').rewardCount, engine.stats('u').pulls, engine.stats('u3').pulls, engine.stats('u4').pulls)`, { stateDir: emptyDirectory(t), flags: ['--expose-gc'] })
    assert.deepEqual([code, stdout], [0, '200 400 0 10\n'], stderr)
  })
})
