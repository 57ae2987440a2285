// @ts-check
// What errors say: once, in a form that terminals and logs can take, and whether trying again is of use.

import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { inspect } from 'node:util'

import { Bandits, replay } from '@oo/bandits'
import { run } from './support/child.mjs'
import { emptyDirectory, openEngine } from './support/state-dir.mjs'

/** What a call throws or rejects with. @param {() => unknown} call @returns {Promise<any>} */
async function failure(call) {
  try {
    await call()
  } catch (error) {
    return error
  }
  assert.fail('nothing was thrown')
}

test('an error is printed with its message once, and without the form in which it crosses', async (t) => {
  const bandits = openEngine(t)
  await bandits.close()
  const open = openEngine(t)
  for (const call of [
    () => open.feedback({ decisionId: '9.9', action: 'done' }),
    () => open.publish('signals.x', 'x'),
    () => bandits.flush(),
    () => Bandits.open({ stateDir: '/dev/null' }),
    () => replay('/dev/null', '/dev/null'),
  ]) {
    const error = await failure(call)
    const printed = inspect(error)
    assert.equal(printed.split(error.message).length - 1, 1, printed)
    assert.doesNotMatch(printed, /\|[01]\|/)
    assert.equal('cause' in error, false, printed)
  }
})

describe('what a terminal obeys', () => {
  /** Colours, a title, a bell, the eight-bit introducer, a new line, a line that is turned round, a line separator. */
  const NASTY = '\u001b[31m\u001b]0;title\u0007\u009b2J\n\u202etxt\u2028\u007f'
  const OBEYED = /[\p{Cc}\p{Zl}\p{Zp}\u200e\u200f\u202a-\u202e\u2066-\u2069]/u
  /** @param {string} text */
  const assertPlain = (text) => assert.doesNotMatch(text, OBEYED, JSON.stringify(text))

  test('is escaped in messages about paths', async (t) => {
    const directory = emptyDirectory(t)
    const file = join(directory, `file${NASTY}`)
    writeFileSync(file, '')
    /** @type {Record<string, () => unknown>} */
    const calls = {
      stateDir: () => Bandits.open({ stateDir: join(file, 'state') }),
      'the environment': () => { throw new Error(run('try { Bandits.open() } catch ({ message }) { console.log(message) }', { stateDir: directory, env: { STATE_DIR: file } }).stdout.trimEnd()) },
      promptsDir: () => Bandits.open({ stateDir: join(directory, 'a'), litellm: { promptsDir: join(file, 'prompts') } }),
      caFile: () => Bandits.open({ stateDir: join(directory, 'a'), litellm: { caFile: file } }),
      credentialsFile: () => openEngine(t, { nats: { url: 'nats://127.0.0.1:1', credentialsFile: join(file, 'x') } }).start(),
      'logDir of replay': () => replay(join(file, 'log'), join(directory, 'b')),
      'stateDir of replay': () => replay(directory, file),
      'log of simulate': () => openEngine(t).simulate({ policy: 'linucb-v1', log: join(file, 'log') }),
    }
    for (const [name, call] of Object.entries(calls)) {
      const { message } = await failure(call)
      assertPlain(message)
      assert.match(message, /\\u\{1b\}\[31m/, name)
    }
  })

  test('is escaped in messages about values', async (t) => {
    const bandits = openEngine(t)
    const asText = /** @type {any} */ (NASTY)
    for (const call of [
      () => bandits.score({ userId: 'u', candidates: [{ id: 'a' }], policy: asText }),
      () => bandits.score({ userId: 'u', candidates: asText }),
      () => bandits.feedback({ decisionId: NASTY, action: 'done' }),
      () => bandits.setPolicy('linucb-v1', { [NASTY]: 1, mode: 'active' }),
      () => bandits.decisions({ [NASTY]: 1 }),
      () => bandits.publish(NASTY, 'x'),
      () => bandits.publish('x', { toJSON() { throw new Error(NASTY) } }),
      () => bandits.events({ subject: NASTY }),
      () => bandits.generate({ userId: 'u', promptVersion: NASTY }),
      () => Bandits.open({ stateDir: '/x', [NASTY]: 1 }),
      () => Bandits.open({ stateDir: '/x', rewards: { [NASTY]: 1 } }),
      () => Bandits.open({ stateDir: '/x', activePolicy: asText }),
      () => Bandits.open({ stateDir: '/x', nats: { url: NASTY } }),
      () => Bandits.open({ stateDir: '/x', nats: { url: 'nats://x', durablePrefix: NASTY } }),
      () => Bandits.open({ stateDir: '/x', litellm: { url: `http://${NASTY}` } }),
      () => Bandits.open({ stateDir: '/x', litellm: { prompts: [{ version: NASTY, text: 'x' }] } }),
    ]) assertPlain((await failure(call)).message)
  })

  test('is escaped in warnings, and in what is written to stderr', async (t) => {
    const stateDir = join(emptyDirectory(t), `state${NASTY}`)
    const bandits = openEngine(t, { stateDir })
    bandits.score({ userId: NASTY, candidates: [{ id: 'a' }] })
    await bandits.checkpoint()
    execFileSync('rm', ['-r', stateDir])
    await failure(() => { bandits.score({ userId: NASTY, candidates: [{ id: 'a' }] }); return bandits.checkpoint() })
    const { warnings, writer } = bandits.health()
    assert.ok(warnings.length > 0)
    for (const text of [...warnings, String(writer.lastError)]) assertPlain(text)
    const script = `import { rmSync } from 'node:fs'
      const dir = stateDir + ${JSON.stringify(`/state${NASTY}`)}
      const engine = Bandits.open({ stateDir: dir, log: 'off' })
      reward(engine)
      rmSync(dir, { recursive: true })`
    const { stderr } = run(script, { stateDir: emptyDirectory(t) })
    assert.match(stderr, /state was not written/)
    assertPlain(stderr.trimEnd())
  })

  test('a message is bounded, and ends in what tells', async (t) => {
    const stateDir = join(emptyDirectory(t), ...Array.from({ length: 15 }, () => 'x'.repeat(240)), 'end\0').slice(0, -1)
    writeFileSync(join(emptyDirectory(t), 'file'), '')
    const { message } = await failure(() => Bandits.open({ stateDir: `/dev/null${stateDir}` }))
    assert.match(message, /…[x/]+\/end: Not a directory/)
    assert.ok(message.length <= 2001, `${message.length}`)
  })
})

describe('retryable', () => {
  test('is false of what opening a path meets and will meet again', async (t) => {
    const directory = emptyDirectory(t)
    writeFileSync(join(directory, 'file'), '')
    symlinkSync('loop', join(directory, 'loop'))
    mkdirSync(join(directory, 'a-file-for-a-log'))
    writeFileSync(join(directory, 'a-file-for-a-log', 'log'), '')
    mkdirSync(join(directory, 'a-directory-for-a-lock', '.lock'), { recursive: true })
    const at = (/** @type {string} */ name) => join(directory, name)
    /** @type {(() => unknown)[]} */
    const calls = ['file', 'file/below', 'loop', 'x'.repeat(300), 'a-file-for-a-log', 'a-directory-for-a-lock'].flatMap((name) => [() => Bandits.open({ stateDir: at(name) }), () => Bandits.openAsync({ stateDir: at(name) })])
    calls.push(() => replay(at('missing'), at('new')), () => replay(at('file'), at('new')), () => replay(directory, at('file')))
    const bandits = openEngine(t)
    for (const name of ['missing', 'file']) calls.push(() => bandits.simulate({ policy: 'linucb-v1', log: at(name) }))
    for (const call of calls) {
      const { code, message, retryable } = await failure(call)
      assert.deepEqual([code, retryable], ['ERR_STATE_IO', false], message)
    }
  })

  test('is false where this user has no rights', { skip: process.getuid?.() === 0 ? false : 'only root can become another user' }, (t) => {
    const parent = emptyDirectory(t)
    execFileSync('chmod', ['755', parent])
    mkdirSync(join(parent, 'state'), { mode: 0o700 })
    const script = "for (const dir of ['/state', '/new']) try { Bandits.open({ stateDir: stateDir + dir }) } catch (e) { console.log(e.code, e.retryable) }"
    const { stdout } = run(script, { stateDir: parent, prefix: ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups'] })
    assert.equal(stdout, 'ERR_STATE_IO false\nERR_STATE_IO false\n')
  })

  test('is true of a descriptor too many', (t) => {
    const script = "try { Bandits.open({ stateDir: stateDir + '/x' }) } catch (e) { console.log(e.code, e.retryable, e.message) }"
    const limited = `import { openSync } from 'node:fs'\nfor (;;) try { openSync('/dev/null') } catch { break }\n${script}`
    const { stdout, stderr } = run(limited, { stateDir: emptyDirectory(t), prefix: ['sh', '-c', 'ulimit -n 64; exec "$@"', 'sh'] })
    assert.match(stdout, /^ERR_STATE_IO true .*Too many open files/, stderr)
  })
})
