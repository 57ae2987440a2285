// @ts-check
// replay(): the state files that follow from a log alone.

import assert from 'node:assert/strict'
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'

import { replay } from '@oo/bandits'
import { chance } from './support/chance.mjs'
import { segmentsIn } from './support/log-lines.mjs'
import { assertRejects } from './support/refusal.mjs'
import { withRoom } from './support/room.mjs'
import { POLICIES, rewardOnce, standingOf } from './support/standing.mjs'
import { contentsOf, emptyDirectory, namesIn, openEngine, stateIn } from './support/state-dir.mjs'

const INVALID = 'ERR_INVALID_ARGUMENT'
const USERS = ['u', 'a-b', 'a_b', 'Zoë ✓', 'x'.repeat(300)]

/** @param {import('@oo/bandits').Bandits} bandits */
function live(bandits) {
  for (let i = 0; i < 50; i++) {
    for (const userId of USERS) {
      const policy = POLICIES[i % 3]
      bandits.score({ userId, candidates: [{ id: 'a' }, { id: `✓${i}`, features: { taskAgeDays: i / 3, priority: 1 + (i % 4), isOverdue: i % 2 === 0 } }], policy, context: { hourOfDay: i % 24, dayOfWeek: i % 7 } })
      rewardOnce(bandits, userId, { policy, reward: Math.sin(i), features: { hourOfDay: i % 24, taskAgeDays: i * 1.7, priority: 1 + (i % 4) }, dayOfWeek: i % 7, profileFeatures: i % 2 ? { preferredHour: i / 7, tipVolume30d: i } : null })
    }
  }
}

/**
 * A directory with what several starts have left in it.
 * @param {import('./support/state-dir.mjs').TestContext} t
 * @param {{ starts?: number, historySize?: number }} [settings]
 */
async function lived(t, { starts = 3, historySize } = {}) {
  const stateDir = emptyDirectory(t)
  for (let i = 0; i < starts; i++) {
    const bandits = openEngine(t, { stateDir, ...(historySize === undefined ? {} : { historySize }) })
    live(bandits)
    if (i === 1) bandits.reset('u')
    await bandits.close()
  }
  return { stateDir, logDir: join(stateDir, 'log') }
}

describe('arguments', () => {
  test('are checked before anything is made', async (t) => {
    const parent = emptyDirectory(t)
    const [logDir, stateDir] = [join(parent, 'log'), join(parent, 'new')]
    mkdirSync(logDir)
    for (const value of /** @type {any[]} */ ([undefined, null, '', 'a\0b', 'a\ud800b', 5, NaN, true, {}, [], 5n, Symbol('s'), () => 'x', new URL('https://host/tmp')])) {
      await assertRejects(() => replay(value, stateDir), INVALID, 'logDir', typeof value)
      await assertRejects(() => replay(logDir, value), INVALID, 'stateDir', typeof value)
    }
    for (const value of /** @type {any[]} */ ([null, 5, 'text', true, [], () => 1, Symbol('s')])) await assertRejects(() => replay(logDir, stateDir, value), INVALID, 'options', typeof value)
    for (const historySize of /** @type {any[]} */ ([-1, 0.5, NaN, Infinity, 1001, '7', true, {}, [], 5n, Symbol('s')])) {
      await assertRejects(() => replay(logDir, stateDir, { historySize }), INVALID, 'options.historySize', typeof historySize)
    }
    assert.deepEqual(readdirSync(parent), ['log'])
  })

  test('an option that there is not', async (t) => {
    const [logDir, parent] = [emptyDirectory(t), emptyDirectory(t)]
    await assertRejects(() => replay(logDir, join(parent, 'new'), /** @type {any} */ ({ history: 5 })), INVALID, 'options')
    assert.deepEqual(readdirSync(parent), [])
  })

  test('a state directory that is not empty is left as it is', async (t) => {
    const { stateDir, logDir } = await lived(t, { starts: 1 })
    const before = contentsOf(stateDir)
    await assertRejects(() => replay(logDir, stateDir), INVALID, 'stateDir')
    const other = emptyDirectory(t)
    writeFileSync(join(other, 'file'), 'mine')
    await assertRejects(() => replay(logDir, other), INVALID, 'stateDir')
    assert.deepEqual([contentsOf(stateDir), contentsOf(other)], [before, [['file', 'file', 'mine']]])
  })

  test('a state directory that an engine has', async (t) => {
    const { logDir } = await lived(t, { starts: 1 })
    const other = emptyDirectory(t)
    openEngine(t, { stateDir: other, log: 'off' })
    await assert.rejects(replay(logDir, other), (/** @type {any} */ error) => ['ERR_STATE_LOCKED', INVALID].includes(error.code))
  })

  test('a log that is not there, or no directory', async (t) => {
    const parent = emptyDirectory(t)
    writeFileSync(join(parent, 'file'), '')
    for (const name of ['missing', 'file']) {
      await assertRejects(() => replay(join(parent, name), join(parent, 'new')), 'ERR_STATE_IO')
      assert.deepEqual(readdirSync(parent), ['file'], 'a log was made, or a state directory')
    }
  })
})

for (const historySize of [undefined, 0, 7, 1000]) {
  test(`gives the same files again, with a history of ${historySize ?? 'ordinary'} length`, async (t) => {
    const { stateDir, logDir } = await lived(t, { historySize })
    const copy = join(emptyDirectory(t), 'made', 'anew')
    const before = segmentsIn(stateDir).map((name) => readFileSync(join(logDir, name)))
    assert.deepEqual(await replay(logDir, copy, historySize === undefined ? undefined : { historySize }), { complete: true, reasons: [], users: 5, records: 3 * 5 * 100 + 1 })
    assert.deepEqual(segmentsIn(stateDir).map((name) => readFileSync(join(logDir, name))), before, 'the log was changed')
    assert.deepEqual(namesIn(copy), namesIn(stateDir))
    // Who came first has the plain name, there as here; all else is the same to the last byte, checksums included.
    assert.deepEqual(contentsOf(copy), contentsOf(stateDir))
    assert.equal(existsSync(join(copy, 'log')), false)
    const [original, replayed] = [openEngine(t, { stateDir, historySize }), openEngine(t, { stateDir: copy, historySize })]
    assert.deepEqual(standingOf(replayed, USERS), standingOf(original, USERS))
  })
}

test('of an engine that is at work', async (t) => {
  const stateDir = emptyDirectory(t)
  const bandits = openEngine(t, { stateDir })
  live(bandits)
  await bandits.checkpoint()
  const copy = emptyDirectory(t)
  const { complete, reasons, users } = await replay(join(stateDir, 'log'), copy)
  assert.deepEqual([complete, users], [false, 5])
  assert.match(String(reasons), /no end/)
  assert.deepEqual(contentsOf(copy), contentsOf(stateDir))
})

test('of an empty log', async (t) => {
  const report = await replay(emptyDirectory(t), emptyDirectory(t))
  assert.deepEqual([report.complete, report.users, report.records], [false, 0, 0])
  assert.equal(report.reasons.length, 1)
})

describe('a log that does not have everything says so', () => {
  /**
   * @param {import('./support/state-dir.mjs').TestContext} t
   * @param {string} logDir
   */
  const judged = async (t, logDir) => {
    const copy = emptyDirectory(t)
    const { complete, reasons } = await replay(logDir, copy)
    assert.equal(complete, false, 'said to be complete')
    assert.ok(reasons.length > 0 && reasons.every((reason) => reason.length > 0))
    return copy
  }

  test('its beginning was removed', async (t) => {
    const { stateDir, logDir } = await lived(t)
    rmSync(join(logDir, String(segmentsIn(stateDir)[0])))
    await judged(t, logDir)
  })

  test('a segment from its midst was removed', async (t) => {
    const { stateDir, logDir } = await lived(t)
    rmSync(join(logDir, String(segmentsIn(stateDir)[1])))
    await judged(t, logDir)
  })

  test('a line cannot be read', async (t) => {
    const { stateDir, logDir } = await lived(t)
    const path = join(logDir, String(segmentsIn(stateDir)[1]))
    writeFileSync(path, readFileSync(path, 'utf8').replace('"kind":"reward"', '"kind":"rewarD"'))
    await judged(t, logDir)
  })

  test('for a time nothing was appended', async (t) => {
    const stateDir = emptyDirectory(t)
    for (const log of /** @type {const} */ (['on', 'off', 'on'])) {
      const bandits = openEngine(t, { stateDir, log })
      rewardOnce(bandits, 'u')
      await bandits.close()
    }
    await judged(t, join(stateDir, 'log'))
  })

  test('users that were known before it began are whole: their first line has them as they were', async (t) => {
    const stateDir = emptyDirectory(t)
    for (const log of /** @type {const} */ (['off', 'on'])) {
      const bandits = openEngine(t, { stateDir, log })
      rewardOnce(bandits, 'u')
      await bandits.close()
    }
    const copy = emptyDirectory(t)
    assert.equal((await replay(join(stateDir, 'log'), copy)).complete, true)
    assert.deepEqual(contentsOf(copy), contentsOf(stateDir))
  })
})

test('lines that are there twice count once', async (t) => {
  const { stateDir, logDir } = await lived(t, { starts: 1 })
  const [name] = segmentsIn(stateDir)
  const text = readFileSync(join(logDir, String(name)), 'utf8')
  writeFileSync(join(logDir, String(name)), text + text)
  // And a whole segment under another name.
  copyFileSync(join(logDir, String(name)), join(logDir, '0000000001-0000000000009999.jsonl'))
  const copy = emptyDirectory(t)
  assert.equal((await replay(logDir, copy)).complete, true)
  assert.deepEqual(contentsOf(copy), contentsOf(stateDir))
})

test('a state that somebody else wrote is taken over from the log', async (t) => {
  const stateDir = emptyDirectory(t)
  const A = Array.from({ length: 5 }, (_row, i) => Array.from({ length: 5 }, (_entry, j) => (i === j ? 3 : 0.25)))
  writeFileSync(join(stateDir, 'u.json'), JSON.stringify({ A, b: [1, 2, 3, 4, 5], meta: { pulls: 7, reward_count: 3, cumulative_reward: 1.5, cohort: { x: [1] } } }))
  const bandits = openEngine(t, { stateDir, activePolicy: 'linucb-v1' })
  rewardOnce(bandits, 'u')
  await bandits.close()
  const copy = emptyDirectory(t)
  const { complete } = await replay(join(stateDir, 'log'), copy)
  assert.equal(complete, true)
  assert.deepEqual(stateIn(copy, 'u.json'), stateIn(stateDir, 'u.json'))
})

/** The policy of each file that differs, with what differs. @param {string} stateDir @param {string} copy */
function differences(stateDir, copy) {
  const [files, again] = [contentsOf(stateDir), contentsOf(copy)].map((entries) => new Map(entries.map(([name, , text]) => [name, text])))
  assert.deepEqual([...again.keys()], [...files.keys()])
  return [...files].filter(([name, text]) => again.get(name) !== text).map(([name]) => {
    const [was, is] = [stateIn(stateDir, name).meta, stateIn(copy, name).meta].map(({ history, ...meta }) => ({ meta, rows: /** @type {any[]} */ (history) }))
    return { name, rows: [was.rows.length, is.rows.length], onlyThere: was.rows.filter((row) => !is.rows.some((other) => `${other}` === `${row}`)), meta: was.meta.checksum === is.meta.checksum }
  })
}

describe('of many users with long histories, row by row', () => {
  for (const [name, historySize, checkpoints] of /** @type {[string, number, number][]} */ ([['a history of 5', 5, 4], ['a history of 100', 100, 6], ['no checkpoint', 12, 0], ['one policy at a time', 7, 1]])) {
    test(name, async (t) => {
      const stateDir = emptyDirectory(t)
      const { below } = chance(historySize * 31 + checkpoints)
      for (let start = 0; start < 3; start++) {
        const bandits = openEngine(t, { stateDir, historySize, revisableDecisions: 3 })
        if (start === 2) bandits.setPolicy('egreedy-v2', { mode: 'off' })
        /** @type {{ decisionId: string, userId: string }[]} */
        const shown = []
        for (let i = 0; i < 600; i++) {
          const userId = `user-${below(30)}`
          const candidates = [{ id: `a${i}` }, { id: `b${i}`, features: { priority: 1 + below(4) } }]
          const what = below(12)
          withRoom(() => {
            if (what < 4) shown.push({ decisionId: bandits.recommend({ userId, candidates }).decisionId, userId })
            else if (what < 8) bandits.score({ userId, candidates, policy: POLICIES[below(3)] })
            else if (what < 9) rewardOnce(bandits, userId, { policy: POLICIES[below(3)] })
            else if (what === 9 && below(10) === 0) bandits.reset(userId)
          })
          if (what > 9 && shown.length > 0) {
            const { decisionId } = /** @type {typeof shown[0]} */ (shown[below(shown.length)])
            try {
              withRoom(() => bandits.feedback({ decisionId, reward: below(5) }))
            } catch (error) {
              assert.equal(/** @type {any} */ (error).code, 'ERR_UNKNOWN_DECISION')
            }
          }
          if (below(600) < checkpoints) await bandits.checkpoint()
        }
        assert.equal(bandits.health().log.droppedPulls, 0)
        await bandits.close()
      }
      const copy = join(emptyDirectory(t), 'copy')
      const { complete, reasons } = await replay(join(stateDir, 'log'), copy, { historySize, revisableDecisions: 3 })
      assert.deepEqual([complete, reasons, differences(stateDir, copy)], [true, [], []])
    })
  }
})

test('rows that pulls of another policy have pushed out since a file was written', async (t) => {
  const stateDir = emptyDirectory(t)
  const bandits = openEngine(t, { stateDir, historySize: 5 })
  const pulls = (/** @type {number} */ n, /** @type {import('@oo/bandits').PolicyName} */ policy) => { for (let i = 0; i < n; i++) bandits.score({ userId: 'u', candidates: [{ id: `${policy} ${i}` }], policy }) }
  pulls(4, 'linucb-v1')
  await bandits.checkpoint()
  pulls(2, 'egreedy-v1')
  await bandits.close()
  assert.equal(/** @type {any[]} */ (stateIn(stateDir, 'u.json').meta['history']).length, 3)
  const copy = join(emptyDirectory(t), 'copy')
  assert.equal((await replay(join(stateDir, 'log'), copy, { historySize: 5 })).complete, true)
  assert.deepEqual(differences(stateDir, copy), [])
})

describe('whose name a file has', () => {
  /** Every file of the copy is named as its original, or as nobody's. @param {string} stateDir @param {string} copy */
  function assertNobodysElse(stateDir, copy) {
    for (const name of namesIn(copy)) {
      const { user_id: userId, policy } = stateIn(copy, name).meta
      if (!existsSync(join(stateDir, name))) continue
      const there = stateIn(stateDir, name).meta
      assert.deepEqual([there['user_id'], there['policy'] ?? policy], [userId, policy], `${name} is the file of another`)
    }
  }

  test('that of a person who came back after an erasure, of one who was never in the log, and of others whose ids look the same', async (t) => {
    const stateDir = emptyDirectory(t)
    // Written by somebody else, stamped, and never changed since.
    const A = Array.from({ length: 7 }, (_row, i) => Array.from({ length: 7 }, (_entry, j) => (i === j ? 1 : 0)))
    writeFileSync(join(stateDir, 'x_y_egreedy.json'), JSON.stringify({ A, b: [0, 0, 0, 0, 0, 0, 0], meta: { pulls: 0, user_id: 'x+y', policy: 'egreedy-v1' } }))
    const bandits = openEngine(t, { stateDir })
    for (const userId of ['a-b', 'a_b', 'x-y', 'q.r']) rewardOnce(bandits, userId)
    await bandits.checkpoint()
    await bandits.erase('a-b')
    await bandits.erase('q.r')
    for (const userId of ['a+b', 'a_b', 'a-b', 'q r']) rewardOnce(bandits, userId)
    await bandits.close()
    const copy = join(emptyDirectory(t), 'copy')
    assert.equal((await replay(join(stateDir, 'log'), copy)).complete, true)
    assert.deepEqual(namesIn(copy), namesIn(stateDir).filter((name) => name !== 'x_y_egreedy.json'))
    assert.deepEqual(contentsOf(copy), contentsOf(stateDir).filter(([name]) => name !== 'x_y_egreedy.json'))
    assertNobodysElse(stateDir, copy)
    // Of a log that is not in its directory any more: no plain name that two want.
    const [elsewhere, again] = [emptyDirectory(t), join(emptyDirectory(t), 'copy')]
    for (const name of segmentsIn(stateDir)) copyFileSync(join(stateDir, 'log', name), join(elsewhere, name))
    await replay(elsewhere, again)
    const plain = namesIn(again).filter((name) => !name.includes('~'))
    assert.deepEqual(plain.map((name) => stateIn(again, name).meta['user_id']).sort(), ['q r', 'x-y'])
    // And back among others every user finds the own state.
    const both = openEngine(t, { stateDir: again })
    for (const userId of ['a+b', 'a_b', 'a-b', 'q r', 'x-y']) assert.equal(both.stats(userId).rewardCount, userId === 'a_b' ? 2 : 1, userId)
  })
})
