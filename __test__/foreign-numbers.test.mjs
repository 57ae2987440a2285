// @ts-check
// A number in a file that nobody's can be: the directory stays in use for everybody, and health() says what was found.

import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'

import { segmentsIn } from './support/log-lines.mjs'
import { rewardOnce } from './support/standing.mjs'
import { emptyDirectory, openEngine } from './support/state-dir.mjs'

const USERS = ['u', 'v', 'w']

/** A directory with some starts behind it. @param {import('./support/state-dir.mjs').TestContext} t */
async function lived(t) {
  const stateDir = emptyDirectory(t)
  for (let start = 0; start < 3; start++) {
    const bandits = openEngine(t, { stateDir })
    for (const userId of USERS) rewardOnce(bandits, userId)
    await bandits.close()
  }
  return stateDir
}

/** Goes on with everybody over starts and says what the first of them warns of. @param {import('./support/state-dir.mjs').TestContext} t @param {string} stateDir @param {number} had */
async function goesOn(t, stateDir, had) {
  /** @type {string[]} */
  let first = []
  for (let start = 0; start < 4; start++) {
    const bandits = openEngine(t, { stateDir })
    assert.equal(bandits.recovery.epoch, 4 + start)
    for (const userId of USERS) {
      assert.equal(bandits.stats(userId).rewardCount, had + start, userId)
      rewardOnce(bandits, userId)
      const { decisionId } = bandits.recommend({ userId, candidates: [{ id: 'a' }, { id: 'b' }] })
      assert.match(decisionId, new RegExp(`^${4 + start}\\.`))
    }
    if (start === 0) first = bandits.health().warnings
    assert.equal(bandits.health().log.epoch, 4 + start)
    await bandits.close()
  }
  return first.filter((warning) => !warning.includes('default'))
}

for (const seq of [[4294967295, 1], [4294967294, 1], [4294967290, 9], [3000000, 1], [3, 18446744073709551615n], [2, 9007199254740993n]]) {
  test(`meta.seq [${seq}] in one file`, async (t) => {
    const stateDir = await lived(t)
    const file = join(stateDir, 'v_egreedy.json')
    // As an editor or another directory leaves it: no checksum of ours.
    const { A, b, meta } = JSON.parse(readFileSync(file, 'utf8'))
    const { seq: _seq, checksum: _checksum, ...rest } = meta
    writeFileSync(file, JSON.stringify({ A, b, meta: { ...rest, seq: 'SEQ' } }, null, 2).replace('"SEQ"', `[${seq}]`))
    const warnings = await goesOn(t, stateDir, 3)
    assert.equal(warnings.length, 1)
    assert.match(String(warnings[0]), /1 state files have numbers that no log .* user "v" under egreedy-v1/)
  })
}

for (const name of ['4294967295-0000000000000000.jsonl', '4294967294-0000000000000007.jsonl', '0003000000-0000000000000000.jsonl', '0000000002-9999999999999999.jsonl']) {
  test(`a segment named ${name}`, async (t) => {
    const stateDir = await lived(t)
    writeFileSync(join(stateDir, 'log', name), readFileSync(join(stateDir, 'log', String(segmentsIn(stateDir)[0]))))
    const warnings = await goesOn(t, stateDir, 3)
    assert.match(String(warnings[0]), new RegExp(name))
    assert.deepEqual([existsSync(join(stateDir, 'log', name)), readdirSync(join(stateDir, 'set-aside'))], [false, [`${name}.1`]])
  })
}

test('.epoch', async (t) => {
  const stateDir = await lived(t)
  writeFileSync(join(stateDir, '.epoch'), '{"v":1,"epoch":4294967294}')
  assert.match(String(await goesOn(t, stateDir, 3)), /\.epoch cannot be this directory's: .*4294967294/)
})
