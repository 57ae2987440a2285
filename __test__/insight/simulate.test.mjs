// @ts-check
// simulate(): a policy that is played a log, against the same play over the package's public API.

import assert from 'node:assert/strict'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'

import { chance } from '../support/chance.mjs'
import { assertNear, decided, openWorld, sum } from '../support/insight-world.mjs'
import { linesIn } from '../support/log-lines.mjs'
import { assertRejects } from '../support/refusal.mjs'
import { emptyDirectory, openEngine } from '../support/state-dir.mjs'

/**
 * A log of uniformly random tips of three candidates each, with reactions that follow from the features.
 * @param {import('../support/state-dir.mjs').TestContext} t @param {string} stateDir @param {number} count
 */
async function randomised(t, stateDir, count) {
  const draw = chance(9)
  let bandits = openEngine(t, { stateDir })
  for (let i = 0; i < count; i++) {
    if (i === count / 2) {
      await bandits.close()
      bandits = openEngine(t, { stateDir })
    }
    const candidates = Array.from({ length: 3 }, (_candidate, k) => ({ id: `c${k}`, features: { isOverdue: draw.happens(0.5), taskAgeDays: draw.next() * 30, priority: 1 + draw.below(4) } }))
    const context = { hourOfDay: draw.below(24), dayOfWeek: draw.below(7) }
    const { decisionId, index } = bandits.recommend({ userId: `u${draw.below(5)}`, candidates, context, holdout: 1 })
    const { isOverdue, priority } = candidates[index].features
    if (draw.happens(0.8)) bandits.feedback({ decisionId, reward: priority / 4 - (isOverdue ? 0.5 : 0) + (draw.next() - 0.5) / 5 })
    if (draw.happens(0.01)) bandits.reset(`u${draw.below(5)}`)
  }
  await bandits.flush()
  return bandits
}

test('on uniformly random tips, what linucb-v1 would have earned is what a fresh engine earns on those that it agrees with', async (t) => {
  const stateDir = emptyDirectory(t)
  const bandits = await randomised(t, stateDir, 1200)
  const fresh = openEngine(t, { log: 'off' })
  const lines = decided(stateDir).reverse()
  const resets = linesIn(stateDir).filter(({ kind }) => kind === 'reset')
  const seen = { agreed: 0, rewards: /** @type {number[]} */ ([]) }
  for (const { line, reaction } of lines) {
    while (resets.length > 0 && (resets[0].seq[0] - line.seq[0] || resets[0].seq[1] - line.seq[1]) < 0) fresh.reset(resets.shift()?.['userId'])
    const { userId, hourOfDay, dayOfWeek, index } = line
    const candidates = line['ids'].map((/** @type {string} */ id, /** @type {number} */ i) => ({ id, features: { isOverdue: line['isOverdue'][i], taskAgeDays: line['taskAgeDays'][i], priority: line['priority'][i] } }))
    const choice = fresh.score({ userId, candidates, context: { hourOfDay, dayOfWeek }, policy: 'linucb-v1' })
    if (choice.index !== index) continue
    seen.agreed++
    if (reaction === undefined) continue
    seen.rewards.push(reaction.reward)
    fresh.reward({ userId, tipId: 't', reward: reaction.reward, features: { ...candidates[index].features, hourOfDay }, dayOfWeek, policy: 'linucb-v1' })
  }
  const simulation = await bandits.simulate({ policy: 'linucb-v1' })
  const { decisions, agreed, randomised: open, accepted, withoutFeedback, value, effectiveSampleSize } = simulation
  assert.deepEqual([decisions, open, agreed, accepted, accepted - withoutFeedback], [1200, 1200, seen.agreed, seen.agreed, seen.rewards.length])
  assertNear(agreed / decisions, simulation.agreement, 'agreement')
  assertNear(sum(seen.rewards) / seen.rewards.length, value.mean, 'value')
  assertNear(seen.rewards.length, effectiveSampleSize, 'effective sample size')
  // It learns: better than what was shown.
  const shown = lines.flatMap(({ reaction }) => (reaction === undefined ? [] : [reaction.reward]))
  assert.ok(value.ci95 !== null && value.ci95[0] > sum(shown) / shown.length)
})

test('the same question has the same answer, of this engine\'s log and of a directory', async (t) => {
  const stateDir = emptyDirectory(t)
  const bandits = await randomised(t, stateDir, 1200)
  const other = openEngine(t, { log: 'off' })
  for (const policy of /** @type {const} */ (['egreedy-v1', 'egreedy-v2'])) {
    // Marks are written meanwhile: how many lines were read is another matter.
    const { found: _lines, ...own } = await bandits.simulate({ policy })
    for (const asked of [bandits.simulate({ policy }), other.simulate({ policy, log: join(stateDir, 'log') })]) {
      const { found: _others, ...again } = await asked
      assert.deepEqual(again, own)
    }
    assert.ok(own.accepted < own.randomised && own.value.samples === own.accepted - own.withoutFeedback)
  }
})

test('of a part of the time, only its decisions are played', async (t) => {
  const stateDir = emptyDirectory(t)
  const bandits = await randomised(t, stateDir, 600)
  const all = decided(stateDir)
  const [since, until] = [all[500].line.ts, all[100].line.ts]
  const { decisions } = await bandits.simulate({ policy: 'linucb-v1', since, until, minEffective: 1 })
  assert.equal(decisions, all.filter(({ line }) => line.ts >= since && line.ts < until).length)
})

test('too little is refused, with what there is and what to do', async (t) => {
  const { bandits } = await openWorld(t, { stateDir: emptyDirectory(t), segments: 2 })
  await assert.rejects(bandits.simulate({ policy: 'egreedy-v2', minEffective: 1e6 }), (/** @type {any} */ error) => {
    assert.equal(error.code, 'ERR_INSUFFICIENT_DATA')
    assert.equal(error.retryable, false)
    assert.match(error.message, /^what egreedy-v2 would have earned cannot be told: an effective sample size of \d+\.\d, under minEffective 1000000, from 200 decisions, \d+ of them randomised and \d+ accepted\. Log more decisions with a holdout/)
    return true
  })
  const empty = openEngine(t)
  await assertRejects(() => empty.simulate({ policy: 'linucb-v1', minEffective: 1 }), 'ERR_INSUFFICIENT_DATA')
})

test('a directory that is none, or has no log, is refused', async (t) => {
  const bandits = openEngine(t)
  const directory = emptyDirectory(t)
  await assertRejects(() => bandits.simulate({ policy: 'linucb-v1', log: join(directory, 'none') }), 'ERR_STATE_IO')
  mkdirSync(join(directory, 'empty'))
  await assertRejects(() => bandits.simulate({ policy: 'linucb-v1', log: join(directory, 'empty') }), 'ERR_INVALID_ARGUMENT', 'log')
  // The directory above the log, by mistake.
  const stateDir = emptyDirectory(t)
  await openEngine(t, { stateDir }).flush()
  await assert.rejects(bandits.simulate({ policy: 'linucb-v1', log: stateDir }), { message: `log: no segment of a log in ${stateDir}` })
})
