// @ts-check
// What a state file says besides the sums: which line of the log it has, the history, and its checksum.

import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'

import { crc32, linesIn } from './support/log-lines.mjs'
import { POLICIES, rewardOnce } from './support/standing.mjs'
import { emptyDirectory, namesIn, openEngine, stateIn, stateText } from './support/state-dir.mjs'

const FILES = ['u.json', 'u_egreedy.json', 'u_egreedy_v2.json']

/** @param {import('@oo/bandits').Bandits} bandits */
function live(bandits) {
  for (let i = 0; i < 12; i++) {
    bandits.score({ userId: 'u', candidates: [{ id: `✓ "${i}"`, features: { taskAgeDays: i / 3, priority: 1 + (i % 4), isOverdue: i % 2 === 0 } }], policy: POLICIES[i % 3], context: { hourOfDay: i, dayOfWeek: i % 7 } })
    rewardOnce(bandits, 'u', { policy: POLICIES[i % 3], reward: 1 / 3 })
  }
}

test('checksum: the last key, of all bytes before it', async (t) => {
  const stateDir = emptyDirectory(t)
  const bandits = openEngine(t, { stateDir })
  live(bandits)
  await bandits.close()
  assert.deepEqual(namesIn(stateDir), FILES)
  for (const name of FILES) {
    const [, content, checksum] = /^(.*),"checksum":"([0-9a-f]{8})"\}\}$/s.exec(readFileSync(join(stateDir, name), 'utf8')) ?? assert.fail(`no checksum ends ${name}`)
    assert.equal(crc32(Buffer.from(String(content))), Number.parseInt(String(checksum), 16), name)
  }
})

test('seq: the last line of the log that is in it', async (t) => {
  const stateDir = emptyDirectory(t)
  for (let epoch = 1; epoch <= 2; epoch++) {
    const bandits = openEngine(t, { stateDir })
    live(bandits)
    await bandits.close()
    for (const [i, name] of FILES.entries()) {
      const lines = linesIn(stateDir).filter(({ userId, policy, seq }) => userId === 'u' && policy === POLICIES[i] && seq[0] === epoch)
      assert.deepEqual(stateIn(stateDir, name).meta['seq'], [epoch, Math.max(...lines.map(({ seq }) => seq[1]))], name)
    }
  }
})

test('history: a row for each pull of the policy that features() tells of', async (t) => {
  const stateDir = emptyDirectory(t)
  const bandits = openEngine(t, { stateDir, historySize: 7 })
  live(bandits)
  const { history } = bandits.features('u')
  assert.equal(history.length, 7)
  await bandits.close()
  /** @type {any[][]} */
  const rows = FILES.flatMap((name) => /** @type {any[][]} */ (stateIn(stateDir, name).meta['history']))
  rows.sort(([a], [b]) => a - b)
  assert.deepEqual(rows, history.map(({ ts, tipId, score, exploring, features: { hourOfDay, isOverdue, taskAgeDays, priority } }, i) => [
    5 + i, ts, tipId, score, exploring, hourOfDay, (5 + i) % 7, isOverdue, taskAgeDays, priority,
  ]))
})

test('keys of others are kept, before the checksum', async (t) => {
  const stateDir = emptyDirectory(t)
  writeFileSync(join(stateDir, 'u.json'), stateText(5, { meta: { cohort: { any: ['thing', null, 1e21] }, zeta: 'last' } }))
  const bandits = openEngine(t, { stateDir, activePolicy: 'linucb-v1' })
  rewardOnce(bandits, 'u')
  await bandits.close()
  const { meta } = stateIn(stateDir, 'u.json')
  assert.deepEqual([meta['cohort'], meta['zeta'], Object.keys(meta).at(-1)], [{ any: ['thing', null, 1e21] }, 'last', 'checksum'])
})
