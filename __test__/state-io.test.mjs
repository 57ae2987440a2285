// @ts-check
// A state directory that stops working, or that somebody else writes to, while an engine has it.

import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'

import { Bandits } from '@oo/bandits'
import { missing } from '../scripts/obtained.mjs'
import { run } from './support/child.mjs'
import { linesIn } from './support/log-lines.mjs'
import { assertRefusal, assertRefuses } from './support/refusal.mjs'
import { POLICIES, rewardOnce } from './support/standing.mjs'
import { contentsOf, emptyDirectory, namesIn, openEngine, stateIn, stateText } from './support/state-dir.mjs'
import { until } from './support/until.mjs'
import { hasProgram, isRoot } from './torture/skip.mjs'

const IO = { code: 'ERR_STATE_IO', retryable: true, name: 'BanditError' }
/** A process of another user is started by setpriv, which is Linux's. */
const CANNOT_BE_ANOTHER = isRoot() && hasProgram('setpriv') ? false : missing('state-io: a directory without rights is not tested, only root can become another user', { needsRoot: true })
const NO_MOUNT = 'state-io: a small file system is not tested, it cannot be mounted here (only root can)'

describe('the directory is removed', () => {
  test('calls go on, health() says so, checkpoint() and flush() reject', async (t) => {
    const stateDir = join(emptyDirectory(t), 'state')
    const bandits = openEngine(t, { stateDir })
    rewardOnce(bandits, 'u')
    await bandits.checkpoint()
    rmSync(stateDir, { recursive: true })
    rewardOnce(bandits, 'u')
    bandits.score({ userId: 'new', candidates: [{ id: 'a' }] })
    await assert.rejects(bandits.checkpoint(), IO)
    // The segment that the log goes on with is in no directory any more.
    await assert.rejects(bandits.flush(), IO)
    const { ok, warnings, writer } = bandits.health()
    assert.equal(ok, false)
    assert.ok(warnings.some((warning) => warning.includes(stateDir)), warnings.join())
    assert.deepEqual([writer.failing, writer.dirtyUsers, writer.errors > 0, writer.lastError?.includes(stateDir)], [true, 2, true, true])
    assert.deepEqual([bandits.stats('u').rewardCount, bandits.stats('new').pulls], [2, 1])
    await assert.rejects(bandits.close(), IO)
    await assert.rejects(bandits.close(), IO)
    assert.equal(bandits.closed, true)
    // A new engine makes the directory anew.
    assert.equal(openEngine(t, { stateDir }).stats('u').rewardCount, 0)
    assert.ok(existsSync(stateDir))
  })

  test('erase() rejects or has removed', async (t) => {
    const stateDir = join(emptyDirectory(t), 'state')
    const bandits = openEngine(t, { stateDir })
    rewardOnce(bandits, 'u')
    await bandits.checkpoint()
    rmSync(stateDir, { recursive: true })
    await bandits.erase('u').catch((error) => assert.equal(error.code, 'ERR_STATE_IO'))
    assert.equal(existsSync(stateDir), false)
  })
})

test('a directory that is moved goes with its engine', async (t) => {
  const parent = emptyDirectory(t)
  const bandits = openEngine(t, { stateDir: join(parent, 'state') })
  rewardOnce(bandits, 'u')
  renameSync(join(parent, 'state'), join(parent, 'moved'))
  await bandits.checkpoint()
  assert.equal(stateIn(join(parent, 'moved'), 'u_egreedy.json').meta['reward_count'], 1)
})

describe('a directory that this user may not write to', { skip: CANNOT_BE_ANOTHER }, () => {
  const prefix = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups']
  const ROUND = `
    import { chmodSync } from 'node:fs'
    const dir = stateDir + '/state'
    const engine = Bandits.open({ stateDir: dir })
    reward(engine)
    await engine.checkpoint()
    chmodSync(dir, 0o500)
    reward(engine)
    await engine.checkpoint().catch((e) => console.log(e.code, e.message.includes('Permission denied'), engine.health().ok))
    console.log(engine.score({ userId: 'u', candidates: [{ id: 'a' }] }).tipId)
    chmodSync(dir, 0o700)
    await engine.checkpoint()
    const { ok, writer } = engine.health()
    console.log(ok, writer.failing, writer.dirtyUsers, writer.lastError.includes('Permission denied'))
    await engine.close()`

  test('becomes read-only and writable again: nothing is lost', (t) => {
    const stateDir = emptyDirectory(t)
    execFileSync('chown', ['65534:65534', stateDir])
    const { code, stdout, stderr } = run(ROUND, { stateDir, prefix })
    assert.deepEqual([code, stdout], [0, 'ERR_STATE_IO true false\na\ntrue false 0 true\n'], stderr)
    assert.equal(stateIn(join(stateDir, 'state'), 'u_egreedy.json').meta['reward_count'], 2)
  })

  test('writing starts again by itself', (t) => {
    const stateDir = emptyDirectory(t)
    execFileSync('chown', ['65534:65534', stateDir])
    const { code, stdout, stderr } = run(`
      import { chmodSync } from 'node:fs'
      import { until } from './__test__/support/until.mjs'
      const engine = Bandits.open({ stateDir })
      chmodSync(stateDir, 0o500)
      reward(engine)
      await until(() => engine.health().writer.failing, 'it fails')
      chmodSync(stateDir, 0o700)
      await until(() => engine.health().writer.dirtyUsers === 0 && engine.health().ok, 'it recovers')
      console.log('recovered')`, { stateDir, prefix })
    assert.deepEqual([code, stdout], [0, 'recovered\n'], stderr)
  })

  test('cannot be opened', (t) => {
    const parent = emptyDirectory(t)
    mkdirSync(join(parent, 'state'))
    execFileSync('chmod', ['755', parent])
    const { code, stdout, stderr } = run(`
      for (const dir of [stateDir + '/state', stateDir + '/new']) {
        try { Bandits.open({ stateDir: dir }) } catch (e) { console.log(e.code, e.message.includes(dir)) }
      }`, { stateDir: parent, prefix })
    assert.deepEqual([code, stdout], [0, 'ERR_STATE_IO true\nERR_STATE_IO true\n'], stderr)
  })

  test('holds a file that cannot be read: that is not damage, and nothing is replaced', (t) => {
    const stateDir = emptyDirectory(t)
    writeFileSync(join(stateDir, 'u.json'), stateText(5, { meta: { pulls: 5 } }), { mode: 0o600 })
    execFileSync('chown', ['65534:65534', stateDir])
    const before = contentsOf(stateDir)
    const { code, stdout, stderr } = run(`
      const engine = Bandits.open({ stateDir })
      for (const call of [() => engine.stats('u', 'linucb-v1'), () => reward(engine), () => engine.reset('u')]) {
        try { call() } catch (e) { console.log(e.code, e.message.includes('u.json')) }
      }
      reward(engine, 'v')
      await engine.close()`, { stateDir, prefix })
    assert.deepEqual([code, stdout], [0, 'ERR_STATE_IO true\n'.repeat(3)], stderr)
    assert.deepEqual(contentsOf(stateDir).filter(([name]) => name === 'u.json'), before)
  })
})

test('a full disk: nothing that was written is lost, and writing goes on when there is room', async (t) => {
  const stateDir = emptyDirectory(t)
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=256k', 'tmpfs', stateDir], { stdio: 'ignore' })
  } catch {
    t.skip(missing(NO_MOUNT, { needsRoot: true }))
    return
  }
  try {
    const bandits = Bandits.open({ stateDir })
    rewardOnce(bandits, 'u')
    await bandits.checkpoint()
    const before = contentsOf(stateDir)
    writeFileSync(join(stateDir, 'filler'), '')
    execFileSync('sh', ['-c', 'head -c 1m /dev/zero > "$1" 2> /dev/null || true', 'fill', join(stateDir, 'filler')])
    // The log's last page takes a few more lines, then none.
    let learned = 1
    try {
      for (;; learned++) rewardOnce(bandits, 'u')
    } catch (error) {
      assertRefusal(error, IO.code)
    }
    for (let i = 0; i < 20; i++) {
      assertRefuses(() => rewardOnce(bandits, `r${i}`), IO.code)
      assertRefuses(() => bandits.reset('u'), IO.code)
      bandits.score({ userId: `u${i}`, candidates: [{ id: 'a' }] })
    }
    await assert.rejects(bandits.checkpoint(), IO)
    await assert.rejects(bandits.flush(), IO)
    const { ok, writer, log } = bandits.health()
    assert.deepEqual([ok, writer.failing, log.failing, log.errors > 20], [false, true, true, true])
    for (const lastError of [writer.lastError, log.lastError]) assert.match(String(lastError), /No space left/)
    // What is there is whole, and no half-written file stays.
    assert.deepEqual(contentsOf(stateDir).filter(([name]) => name === 'u_egreedy.json'), before)
    for (const name of namesIn(stateDir).filter((one) => one.endsWith('.json'))) stateIn(stateDir, name)
    assert.equal(existsSync(join(stateDir, '.state.tmp')), false)
    assert.deepEqual([bandits.stats('u').rewardCount, bandits.stats('r0').rewardCount, bandits.stats('u0').pulls], [learned, 0, 1])
    rmSync(join(stateDir, 'filler'))
    await bandits.checkpoint()
    assert.deepEqual([bandits.health().ok, bandits.health().log.failing, bandits.health().log.droppedPulls], [true, false, 0])
    rewardOnce(bandits, 'u')
    await bandits.close()
    assert.equal(stateIn(stateDir, 'u_egreedy.json').meta['reward_count'], learned + 1)
    assert.deepEqual(namesIn(stateDir), ['u_egreedy.json', ...Array.from({ length: 20 }, (_user, i) => `u${i}_egreedy.json`)].sort())
    // The log has all of it as well; the line that the disk took a part of was refused.
    const lines = linesIn(stateDir, 1)
    assert.deepEqual([lines.filter(({ kind }) => kind === 'reward').length, lines.filter(({ kind }) => kind === 'pull').length], [learned + 1, 20])
  } finally {
    // Lazily: an engine that a failed check left behind may still have it.
    execFileSync('umount', ['-l', stateDir])
  }
})

test('a closed engine does not keep its file system busy', async (t) => {
  const stateDir = emptyDirectory(t)
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', stateDir], { stdio: 'ignore' })
  } catch {
    t.skip(missing(NO_MOUNT, { needsRoot: true }))
    return
  }
  const bandits = Bandits.open({ stateDir })
  rewardOnce(bandits, 'u')
  await bandits.close()
  try {
    execFileSync('umount', [stateDir], { stdio: 'pipe' })
  } catch (error) {
    execFileSync('umount', ['-l', stateDir])
    assert.fail(String(error))
  }
})

describe('somebody else writes to the directory', () => {
  /** @type {Record<string, (path: string) => void>} */
  const foreign = {
    'another good file': (path) => writeFileSync(path, stateText(5, { meta: { pulls: 77 } })),
    'a good file in our name': (path) => writeFileSync(path, stateText(5, { meta: { pulls: 77, user_id: 'u', policy: 'linucb-v1' } })),
    garbage: (path) => writeFileSync(path, 'garbage'),
    'a directory': (path) => mkdirSync(path),
    'a link': (path) => symlinkSync('/etc/hostname', path),
    'a FIFO': (path) => execFileSync('mkfifo', [path]),
  }
  for (const [kind, put] of Object.entries(foreign)) {
    test(`${kind} in the place of a file: set aside and reported, and ours is written`, async (t) => {
      const stateDir = emptyDirectory(t)
      const path = join(stateDir, 'u.json')
      const bandits = openEngine(t, { stateDir, activePolicy: 'linucb-v1' })
      rewardOnce(bandits, 'u')
      await bandits.checkpoint()
      rmSync(path)
      put(path)
      rewardOnce(bandits, 'u')
      await bandits.checkpoint()
      const { writer, warnings } = bandits.health()
      assert.equal(writer.foreignWrites, 1)
      assert.ok(warnings.some((warning) => warning.includes('set-aside')))
      assert.ok(namesIn(stateDir).includes('set-aside/u.json.1'))
      await bandits.close()
      assert.equal(stateIn(stateDir, 'u.json').meta['reward_count'], 2)
    })
  }

  test('a file that vanished is written anew', async (t) => {
    const stateDir = emptyDirectory(t)
    const bandits = openEngine(t, { stateDir })
    rewardOnce(bandits, 'u')
    await bandits.checkpoint()
    rmSync(join(stateDir, 'u_egreedy.json'))
    rewardOnce(bandits, 'u')
    await bandits.checkpoint()
    assert.equal(stateIn(stateDir, 'u_egreedy.json').meta['reward_count'], 2)
    assert.equal(bandits.health().writer.foreignWrites, 0)
  })

  test('a file of another user in the place of ours stays his, and ours gets another name', async (t) => {
    const stateDir = emptyDirectory(t)
    const bandits = openEngine(t, { stateDir, activePolicy: 'linucb-v1' })
    rewardOnce(bandits, 'a-b')
    await bandits.checkpoint()
    writeFileSync(join(stateDir, 'a_b.json'), stateText(5, { meta: { pulls: 9, user_id: 'a_b', policy: 'linucb-v1' } }))
    rewardOnce(bandits, 'a-b')
    await bandits.close()
    const again = openEngine(t, { stateDir, activePolicy: 'linucb-v1' })
    assert.deepEqual([again.stats('a_b').pulls, again.stats('a-b').rewardCount], [9, 2])
  })

  test('a temporary file that was left over is replaced', async (t) => {
    const stateDir = emptyDirectory(t)
    writeFileSync(join(stateDir, '.state.tmp'), 'left over')
    const bandits = openEngine(t, { stateDir })
    rewardOnce(bandits, 'u')
    await bandits.close()
    assert.equal(existsSync(join(stateDir, '.state.tmp')), false)
    assert.equal(stateIn(stateDir, 'u_egreedy.json').meta['reward_count'], 1)
  })
})

describe('erase', () => {
  test('removes every file of a person and what was set aside, and nothing else', async (t) => {
    const stateDir = emptyDirectory(t)
    const bandits = openEngine(t, { stateDir })
    for (const userId of ['u', 'v']) {
      for (const policy of POLICIES) {
        rewardOnce(bandits, userId, { policy })
        bandits.score({ userId, candidates: [{ id: 'a' }], policy })
      }
    }
    await bandits.checkpoint()
    for (const userId of ['u', 'v']) writeFileSync(join(stateDir, `${userId}.json`), 'foreign')
    for (const userId of ['u', 'v']) rewardOnce(bandits, userId, { policy: 'linucb-v1' })
    await bandits.checkpoint()
    const kept = contentsOf(stateDir).filter(([name]) => name === 'set-aside' || /(^|\/)v[._]/.test(String(name)))
    assert.equal(kept.length, 5)
    assert.equal(await bandits.erase('u'), undefined)
    assert.deepEqual(contentsOf(stateDir), kept)
    for (const policy of POLICIES) assert.deepEqual([bandits.stats('u', policy).pulls, bandits.stats('v', policy).pulls], [0, 1])
    assert.deepEqual([bandits.features('u').history.length, bandits.features('v').history.length, bandits.health().users], [0, 3, 1])
    await bandits.close()
    assert.deepEqual(contentsOf(stateDir), kept)
  })

  test('of a person never seen, of one not loaded, and of one just seen', async (t) => {
    const stateDir = emptyDirectory(t)
    const first = openEngine(t, { stateDir })
    await first.erase('never')
    rewardOnce(first, 'u')
    await first.close()
    const second = openEngine(t, { stateDir })
    await second.erase('u')
    assert.deepEqual(namesIn(stateDir), [])
    rewardOnce(second, 'just')
    await second.erase('just')
    await second.close()
    assert.deepEqual(namesIn(stateDir), [])
  })

  test('a person who comes back starts anew, through every call', async (t) => {
    const bandits = openEngine(t)
    /** @type {((userId: string) => unknown)[]} */
    const calls = [
      (userId) => bandits.score({ userId, candidates: [{ id: 'a' }] }),
      (userId) => bandits.scoreMany([{ userId, candidates: [{ id: 'a' }] }]),
      (userId) => rewardOnce(bandits, userId),
      (userId) => bandits.reset(userId),
      (userId) => bandits.stats(userId),
    ]
    for (const call of calls) {
      for (let i = 0; i < 3; i++) bandits.score({ userId: 'u', candidates: [{ id: 'a' }] })
      rewardOnce(bandits, 'u')
      await bandits.erase('u')
      call('u')
      const { pulls, rewardCount } = bandits.stats('u')
      assert.ok(pulls + rewardCount <= 1)
      await bandits.erase('u')
    }
  })

  test('while the person is being scored', async (t) => {
    const stateDir = emptyDirectory(t)
    const bandits = openEngine(t, { stateDir })
    for (let i = 0; i < 50; i++) {
      const erasing = bandits.erase('u')
      for (let k = 0; k < 20; k++) bandits.score({ userId: 'u', candidates: [{ id: `r${i}` }] })
      await erasing
      bandits.score({ userId: 'u', candidates: [{ id: `after ${i}` }] })
      assert.equal(bandits.features('u').history.at(-1)?.tipId, `after ${i}`)
    }
    await bandits.erase('u')
    await bandits.close()
    assert.deepEqual(namesIn(stateDir), [])
  })
})

test('a reset is on disk as a start, and stays one', async (t) => {
  const stateDir = emptyDirectory(t)
  const first = openEngine(t, { stateDir })
  for (const policy of POLICIES) rewardOnce(first, 'u', { policy })
  await first.checkpoint()
  first.reset('u')
  await first.close()
  for (const [i, name] of ['u.json', 'u_egreedy.json', 'u_egreedy_v2.json'].entries()) {
    const { A, b, meta } = stateIn(stateDir, name)
    const { A: start, b: zero } = JSON.parse(stateText(/** @type {number} */ ([5, 7, 12][i])))
    assert.deepEqual([A, b, meta['pulls'], meta['reward_count'], meta['user_id']], [start, zero, 0, 0, 'u'])
  }
  const second = openEngine(t, { stateDir })
  assert.deepEqual([second.stats('u').rewardCount, second.stats('u').lastUpdated], [0, null])
  rewardOnce(second, 'u')
  assert.equal(second.stats('u').rewardCount, 1)
})

test('a reset of a user whose file can be read but not loaded yet', async (t) => {
  const stateDir = emptyDirectory(t)
  writeFileSync(join(stateDir, 'u.json'), stateText(5, { meta: { pulls: 5 } }))
  const bandits = openEngine(t, { stateDir })
  bandits.reset('u')
  assert.equal(bandits.stats('u', 'linucb-v1').pulls, 0)
  await bandits.close()
  assert.equal(stateIn(stateDir, 'u.json').meta['pulls'], 0)
})

test('writing is by itself, within moments, and once for many changes', async (t) => {
  const stateDir = emptyDirectory(t)
  const bandits = openEngine(t, { stateDir })
  for (let i = 0; i < 10_000; i++) rewardOnce(bandits, 'u')
  await until(() => bandits.health().writer.dirtyUsers === 0, 'everything is written')
  assert.equal(stateIn(stateDir, 'u_egreedy.json').meta['reward_count'], 10_000)
  assert.ok(bandits.health().writer.filesWritten <= 50, String(bandits.health().writer.filesWritten))
  assertRefuses(() => bandits.score({ userId: 'u', candidates: [] }), 'ERR_NO_CANDIDATES')
})
