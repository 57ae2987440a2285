// @ts-check
// Whose the state directory is, and what may stand in it before it is ours.

import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { chmodSync, linkSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'

import { Bandits } from '@oo/bandits'
import { run } from './support/child.mjs'
import { emptyDirectory, openEngine } from './support/state-dir.mjs'

const ROOT_ONLY = process.getuid?.() === 0 ? false : 'only root can give a directory away'

/** Opens and says what was warned of. */
const OPEN = `
  process.on('warning', ({ name, code, message }) => console.log(name, code, message))
  try { const engine = Bandits.open({ stateDir }); console.log(JSON.stringify(engine.health().warnings)); await engine.close() }
  catch ({ code, retryable, message }) { console.log(code, retryable, message) }`

describe('a directory that others can write to', () => {
  test('is opened with a warning', (t) => {
    const stateDir = join(emptyDirectory(t), 'state')
    mkdirSync(stateDir)
    chmodSync(stateDir, 0o777)
    const warning = `state directory ${stateDir} can be written by every user of this machine (mode 777; see chmod)`
    const { stdout, stderr } = run(OPEN, { stateDir })
    assert.equal(stdout, `${JSON.stringify([warning])}\nBanditsWarning OO_BANDITS_SHARED_STATE_DIR ${warning}\n`, stderr)
  })

  test('belongs to another user: is opened with a warning', { skip: ROOT_ONLY }, (t) => {
    const stateDir = join(emptyDirectory(t), 'state')
    mkdirSync(stateDir)
    execFileSync('chown', ['12345', stateDir])
    const warning = `state directory ${stateDir} belongs to user 12345, not to this process's user`
    const { stdout, stderr } = run(OPEN, { stateDir })
    assert.equal(stdout, `${JSON.stringify([warning])}\nBanditsWarning OO_BANDITS_SHARED_STATE_DIR ${warning}\n`, stderr)
  })

  test('belongs to another user where anybody can put one: is refused', { skip: ROOT_ONLY }, (t) => {
    const parent = emptyDirectory(t)
    chmodSync(parent, 0o1777)
    const stateDir = join(parent, 'state')
    mkdirSync(stateDir)
    execFileSync('chown', ['12345', stateDir])
    const { stdout, stderr } = run(OPEN, { stateDir })
    assert.equal(stdout, `ERR_STATE_IO false state directory ${stateDir} belongs to user 12345, not to this process's user, in a directory where everybody can make one: use one of this process's own\n`, stderr)
  })

  test('but not one of this user or root, whatever its group may do', (t) => {
    const stateDir = join(emptyDirectory(t), 'state')
    mkdirSync(stateDir)
    chmodSync(stateDir, 0o2775)
    assert.equal(run(OPEN, { stateDir }).stdout, '[]\n')
  })
})

describe('.lock', () => {
  test('is not written to when it is a hard link', async (t) => {
    const stateDir = emptyDirectory(t)
    const victim = join(stateDir, 'precious')
    writeFileSync(victim, 'precious')
    linkSync(victim, join(stateDir, '.lock'))
    for (const open of [Bandits.open, Bandits.openAsync]) {
      await assert.rejects(async () => open({ stateDir }), { code: 'ERR_STATE_IO', retryable: false, message: `open ${stateDir}/.lock: it is a hard link: the same file has another name, and would be overwritten; remove it` })
    }
    assert.equal(readFileSync(victim, 'utf8'), 'precious')
  })

  test('is refused when it is no file', (t) => {
    const stateDir = emptyDirectory(t)
    execFileSync('mkfifo', [join(stateDir, '.lock')])
    assert.throws(() => Bandits.open({ stateDir }), { code: 'ERR_STATE_IO', retryable: false, message: `open ${stateDir}/.lock: it is no regular file; remove it` })
  })

  test('one that is left over is taken', async (t) => {
    const stateDir = emptyDirectory(t)
    writeFileSync(join(stateDir, '.lock'), '123456\n')
    openEngine(t, { stateDir })
    assert.equal(readFileSync(join(stateDir, '.lock'), 'utf8'), `${process.pid}\n`)
  })
})
