// @ts-check
// A process that ends without close(), in every way that lets code run: what was learned is on disk.

import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'

import { run, start } from './support/child.mjs'
import { emptyDirectory, stateIn } from './support/state-dir.mjs'

const OPEN = 'const engine = Bandits.open({ stateDir });\n'
/** @param {string} stateDir @param {string} [userId] */
const rewards = (stateDir, userId = 'u') => (existsSync(join(stateDir, `${userId}_egreedy.json`)) ? stateIn(stateDir, `${userId}_egreedy.json`).meta['reward_count'] : 0)

describe('the last change is on disk', () => {
  /** @type {[string, string, number][]} */
  const ends = [
    ['at the end of the script', 'reward(engine)', 0],
    ['after process.exit()', 'reward(engine); process.exit(3)', 3],
    ['after process.exit() in a promise', 'await null; reward(engine); process.exit(3)', 3],
    ['after an uncaught exception', "reward(engine); setImmediate(() => { throw new Error('uncaught') })", 1],
    ['after an unhandled rejection', "reward(engine); Promise.reject(new Error('unhandled'))", 1],
    ['after process.exit() in a getter', 'reward(engine); engine.score({ get userId() { process.exit(3) } })', 3],
    ['with a flush pending', 'reward(engine); engine.flush()', 0],
    ['with a flush pending at process.exit()', 'reward(engine); engine.flush(); process.exit(3)', 3],
    ['with a close pending', 'reward(engine); engine.close()', 0],
    ['with two engines on it', 'const second = Bandits.open({ stateDir }); reward(second); await engine.close()', 0],
    ['with two engines on it, at process.exit()', 'const second = Bandits.open({ stateDir }); reward(second); reward(engine); engine.reset("u"); reward(engine); process.exit(3)', 3],
  ]
  for (const [name, script, expected] of ends) {
    test(name, (t) => {
      const stateDir = emptyDirectory(t)
      const { code, stderr } = run(OPEN + script, { stateDir })
      assert.equal(code, expected, stderr)
      assert.equal(rewards(stateDir), 1, stderr)
    })
  }

  test('when many users wait', (t) => {
    const stateDir = emptyDirectory(t)
    const { code, stderr } = run(`${OPEN} for (let i = 0; i < 100; i++) reward(engine, 'u' + i); process.exit()`, { stateDir })
    assert.deepEqual([code, stderr], [0, ''])
    for (let i = 0; i < 100; i++) assert.equal(rewards(stateDir, `u${i}`), 1, `u${i}`)
  })

  test('when close() was called and not waited for', (t) => {
    const stateDir = emptyDirectory(t)
    const { code, stderr } = run(`${OPEN} for (let i = 0; i < 100; i++) reward(engine, 'u' + i); engine.close(); process.exit()`, { stateDir })
    assert.deepEqual([code, stderr], [0, ''])
    assert.deepEqual(Array.from({ length: 100 }, (_user, i) => i).filter((i) => rewards(stateDir, `u${i}`) !== 1), [], 'users whose reward was lost')
  })

  test('when an exit handler, whenever it was added, rewards: it is refused or kept', (t) => {
    for (const script of [`process.on('exit', last); ${OPEN}`, `${OPEN} process.on('exit', last)`]) {
      const stateDir = emptyDirectory(t)
      const { code, stdout, stderr } = run(`function last() { try { reward(engine); console.log('kept') } catch (e) { console.log(e.code) } }\n${script}`, { stateDir })
      assert.equal(code, 0, stderr)
      assert.equal(rewards(stateDir), stdout === 'kept\n' ? 1 : 0, `reward() in an exit handler said: ${stdout}`)
    }
  })
})

test('what cannot be written at the end is said on stderr', (t) => {
  const { code, stderr } = run(`${OPEN}
    import { rmSync } from 'node:fs'
    reward(engine); await engine.flush()
    rmSync(stateDir, { recursive: true })
    reward(engine)`, { stateDir: join(emptyDirectory(t), 'state') })
  assert.equal(code, 0)
  assert.match(stderr, /@oo\/bandits/)
})

test('a process that does not close ends by itself, soon', (t) => {
  const stateDir = emptyDirectory(t)
  const { code, stdout } = run(`${OPEN} reward(engine); await engine.flush(); const from = performance.now(); process.on('exit', () => console.log(Math.round(performance.now() - from)))`, { stateDir })
  assert.equal(code, 0)
  assert.ok(Number(stdout) < 1000, `${stdout} ms`)
})

for (const signal of /** @type {const} */ (['SIGTERM', 'SIGKILL'])) {
  test(`${signal}: what was flushed is on disk, and the next process opens it`, async (t) => {
    const stateDir = emptyDirectory(t)
    const { end } = await start(t, `${OPEN} for (let i = 0; i < 50; i++) reward(engine); await engine.flush(); console.log('flushed'); setInterval(() => reward(engine), 1)`, { stateDir })
    assert.equal((await end(signal)).signal, signal)
    const { stdout, stderr } = run(`${OPEN} console.log(engine.stats('u').rewardCount >= 50)`, { stateDir })
    assert.equal(stdout, 'true\n', stderr)
  })
}

test('SIGKILL in the middle of things: what reward() returned for is there, flushed or not, and no more than was asked for', async (t) => {
  const stateDir = emptyDirectory(t)
  const { child, end } = await start(t, `${OPEN} for (let i = 1; i <= 20000; i++) { reward(engine); if (i % 100 === 0) process.stdout.write(i + '\\n') }; setInterval(() => {}, 1000)`, { stateDir })
  let said = ''
  child.stdout.on('data', (text) => { said += text })
  assert.equal((await end('SIGKILL')).signal, 'SIGKILL')
  const { stdout, stderr } = run(`${OPEN} console.log(engine.stats('u').rewardCount, engine.recovery.epoch)`, { stateDir })
  const [count = 0, epoch] = stdout.split(' ').map(Number)
  const acknowledged = Number(said.trim().split('\n').at(-1) ?? 0)
  assert.ok(count >= acknowledged && count >= 100 && count <= 20_000 && epoch === 2, `${count} of ${acknowledged}; ${stderr}`)
})

test('a SIGTERM handler that closes loses nothing', async (t) => {
  const stateDir = emptyDirectory(t)
  const { end } = await start(t, `${OPEN} process.on('SIGTERM', async () => { reward(engine); await engine.close(); process.exit(5) }); reward(engine); console.log('ready'); setInterval(() => {}, 1000)`, { stateDir })
  assert.equal((await end('SIGTERM')).code, 5)
  assert.equal(rewards(stateDir), 2)
})
