// @ts-check
// The model cards' figures: that the script that makes them is deterministic and measures what it says, in small (`--quick`), and
// that the limits which the cards name are there.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { copyFileSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { drawNormal } from '../demo/draw.mjs'
import { REWARD, liking, react } from '../demo/person.mjs'
import { readCard } from '../scripts/model-metrics/cards.mjs'
import { EPSILON, POLICIES, bestIndex } from '../scripts/model-metrics/engine.mjs'
import { estimate, figure } from '../scripts/model-metrics/format.mjs'
import { FULL, QUICK, measure } from '../scripts/model-metrics/measure.mjs'
import { at, play } from '../scripts/model-metrics/play.mjs'
import { populate } from '../scripts/model-metrics/population.mjs'
import { MOOD, expectedReward, reactionTo } from '../scripts/model-metrics/reaction.mjs'
import { chiSquare, mean, meanOf, ratioDifference, ratioOf, student95 } from '../scripts/model-metrics/statistics.mjs'
import { openEngine } from './support/state-dir.mjs'

/** @import { PolicyName } from '@oo/bandits' */
/** @import { Metrics } from '../scripts/model-metrics/measure.mjs' */
/** @import { Conditions } from '../scripts/model-metrics/play.mjs' */
/** @import { TestContext } from './support/state-dir.mjs' */

const SCRIPT = fileURLToPath(new URL('../scripts/model-metrics.mjs', import.meta.url))
const CARDS = fileURLToPath(new URL('../docs/models', import.meta.url))
/** @type {readonly PolicyName[]} */
const GREEDY = ['egreedy-v1', 'egreedy-v2']
const TABLES = ['Reward', 'Exploration and propensities', 'What hour, day and profile change', 'Importance weighting', 'Drift, late and lost rewards', 'Fairness']
const SECTIONS = ['Use', 'Inputs', 'Objective', 'Update rule', 'Data and privacy', 'Known limits', 'Fairness checks', 'Offline metrics', 'Rollout history']

const scratch = mkdtempSync(join(tmpdir(), 'bandits-test-metrics-'))
after(() => rmSync(scratch, { recursive: true, force: true }))

/** @type {Map<PolicyName, Metrics>} */
const measured = new Map()

/** Each policy is measured once, by the first test that asks. @param {PolicyName} policy */
async function metricsOf(policy) {
  const metrics = measured.get(policy) ?? (await measure(policy, QUICK))
  measured.set(policy, metrics)
  return metrics
}

/** @param {number} actual @param {number} expected @param {number} tolerance @param {string} [what] */
function near(actual, expected, tolerance, what = 'value') {
  assert.ok(Math.abs(actual - expected) <= tolerance, `${what}: ${actual} instead of ${expected}`)
}

describe('the measure', () => {
  test('reactions and their mean are those of the demo’s person', () => {
    const [shown, moment] = [{ priority: 3, taskAgeDays: 9, isOverdue: true }, { hour: 13, dayOfWeek: 2 }]
    const moods = Array.from({ length: 20_000 }, (_mood, i) => i)
    const reactions = moods.map((i) => react(shown, moment, [], [i]))
    const liked = liking(shown, moment, [])
    assert.deepEqual(reactions, moods.map((i) => reactionTo(liked + MOOD * drawNormal('mood', i))))
    near(mean(reactions.map((reaction) => REWARD[reaction])), expectedReward(liked), 0.02)
    assert.ok(expectedReward(-9) === -1 && expectedReward(9) === 1)
  })

  test('intervals, ratios and χ² are those of the tables', () => {
    near(student95(3), 3.182, 0.03)
    near(student95(19), 2.093, 0.001)
    near(meanOf([1, 2, 3, 4]).half, (3.182 * 1.29099) / 2, 0.03)
    const pairs = [{ part: 1, whole: 2 }, { part: 3, whole: 6 }, { part: 5, whole: 10 }]
    assert.deepEqual(ratioOf(pairs), { value: 0.5, half: 0 })
    assert.deepEqual(ratioDifference(pairs, pairs), { value: 0, half: 0 })
    // 11.07 is the 5 % point for 5 degrees of freedom.
    const sides = [1 / 6, 1 / 6, 1 / 6, 1 / 6, 1 / 6, 1 / 6]
    const fit = chiSquare([5, 8, 9, 8, 10, 20], sides)
    near(fit.statistic, 13.4, 1e-9)
    near(fit.p, 0.0199, 0.001)
    near(fit.deviation, 20 / 60 - 1 / 6, 1e-12)
  })

  test('figures have three significant digits', () => {
    assert.deepEqual([0, 0.12345, -1.2345, 123.45, -0.0001].map(figure), ['0.00', '0.123', '−1.23', '123', '−0.00010'])
    const estimates = [{ value: 0.5, half: 0.01234 }, { value: 0, half: 0 }, { value: 0.148, half: 0.0003 }]
    assert.deepEqual(estimates.map(estimate), ['0.500 ± 0.012', '0', '0.1480 ± 0.0003'])
  })

  test('a population is the same every time; groups are complete and differ in what they should', () => {
    const people = populate(3, 1)
    assert.deepEqual(populate(3, 1), people)
    assert.equal(new Set(people.map(({ id }) => id)).size, 16)
    for (const { group, moments } of people) {
      assert.equal(moments.length, group.activity === 'heavy' ? 120 : 24)
      for (const { candidates, hour, expected, random, best, timeless } of moments) {
        const [least, most] = group.tasks === 'many' ? [12, 24] : [3, 6]
        assert.ok(candidates.length >= least && candidates.length <= most)
        assert.equal(hour >= 7 && hour <= 18, group.hours === 'day')
        assert.ok(random <= best && timeless <= best && expected.includes(best))
      }
    }
    // A turn changes tastes from the middle on, and nothing that a policy is told.
    const turned = populate(3, 1, { turn: true })
    const told = (/** @type {typeof people} */ some) => some.map(({ moments }) => moments.map(({ candidates, hour, day }) => ({ candidates, hour, day })))
    assert.deepEqual(told(turned), told(people))
    turned.forEach(({ moments }, i) => {
      const before = people[i]?.moments ?? []
      const half = moments.length / 2
      assert.deepEqual(moments.slice(0, half), before.slice(0, half))
      assert.notDeepEqual(moments.slice(half), before.slice(half))
    })
  })
})

describe('the conditions', () => {
  const person = at(populate(1, 1, { only: { activity: 'heavy' } }), 0)

  /** How many rewards had been learned before each decision. @param {TestContext} t @param {Conditions} conditions */
  function learned(t, conditions) {
    const bandits = openEngine(t, { activePolicy: 'egreedy-v2', historySize: 1000 })
    /** @type {number[]} */
    const counts = []
    play(bandits, person, { ...conditions, before: () => counts.push(bandits.stats(person.id).rewardCount) })
    return { counts, history: bandits.features(person.id).history }
  }

  test('rewards come at once, late, or not at all', (t) => {
    assert.deepEqual(learned(t, {}).counts, person.moments.map((_moment, turn) => turn))
    assert.deepEqual(learned(t, { delay: 5 }).counts, person.moments.map((_moment, turn) => Math.max(0, turn - 5)))
    assert.ok(learned(t, { lost: 1 }).counts.every((count) => count === 0))
    near(learned(t, { lost: 0.3 }).counts.at(-1) ?? NaN, 0.7 * 119, 16)
  })

  test('a reset forgets, and what was under way with it', (t) => {
    const { counts } = learned(t, { resetAt: 60, delay: 5 })
    assert.deepEqual(counts.slice(58, 68), [53, 54, 0, 0, 0, 0, 0, 0, 1, 2])
  })

  test('without context every decision is at noon of day 0', (t) => {
    const moments = (/** @type {ReturnType<typeof learned>} */ { history }) => history.map(({ features: { hourOfDay, dayOfWeek } }) => [hourOfDay, dayOfWeek])
    assert.deepEqual(moments(learned(t, {})), person.moments.map(({ hour, dayOfWeek }) => [hour, dayOfWeek]))
    assert.deepEqual(moments(learned(t, { withoutContext: true })), person.moments.map(() => [12, 0]))
  })
})

for (const policy of POLICIES) {
  describe(policy, () => {
    test('an oracle is 1, random is 0, and the policy is well between', async () => {
      const { list, population } = await metricsOf(policy)
      near(population.oracleShare.value, 1, 1e-12)
      assert.ok(Math.abs(population.randomShare.value) <= population.randomShare.half, `random: ${estimate(population.randomShare)}`)
      for (const { share, first, random, policy: own, oracle } of [list, population]) {
        assert.ok(share.value - share.half > 0.3 && share.value < 1, estimate(share))
        assert.ok(first.value > 0 && first.value < share.value, `the first decisions: ${estimate(first)}`)
        assert.ok(random.value < own.value && own.value < oracle.value)
      }
    })

    test('nothing is forgotten: a turn of tastes makes it worse than chance, a reset puts that right', async () => {
      const { drift } = await metricsOf(policy)
      assert.ok(drift.as.after.value + drift.as.after.half < 0, estimate(drift.as.after))
      assert.ok(drift.reset.end.value - drift.as.end.value > 0.3)
      assert.ok(drift.none.end.value > 0.5)
    })

    test('late and lost rewards cost something, and not everything', async () => {
      const { delayed, delayCost } = await metricsOf(policy)
      assert.ok(delayed.value > 0.3 && delayCost.value > 0, `${estimate(delayed)}, ${estimate(delayCost)}`)
    })

    test('equal treatment: no id gets another θ or score, no rewards reach another user', async () => {
      const { equal } = await metricsOf(policy)
      assert.deepEqual([equal.theta, equal.scores, equal.bystander], [0, 0, 0])
    })

    test('light users get less than heavy ones, and not at equal experience', async () => {
      const { groups } = await metricsOf(policy)
      const gap = (/** @type {RegExp} */ name) => groups.find((group) => name.test(group.name))?.gap ?? { value: NaN, half: NaN }
      const [whole, early] = [gap(/^activity$/), gap(/^activity, the first 24 decisions$/)]
      assert.ok(whole.value > 0.05, estimate(whole))
      assert.ok(Math.abs(early.value) <= early.half, estimate(early))
    })

    test('tasks with equal features: the first wins', (t) => {
      const bandits = openEngine(t, { activePolicy: policy })
      const features = { taskAgeDays: 4, priority: 2 }
      bandits.reward({ userId: 'u', tipId: 'b', reward: 1, features })
      assert.equal(bestIndex(bandits, { userId: 'u', candidates: ['a', 'b', 'c'].map((id) => ({ id, features })) }), 0)
    })
  })
}

describe('the ε-greedy policies', () => {
  for (const policy of GREEDY) {
    test(`${policy}: candidates are chosen as often as their propensities say`, async () => {
      const { calibration, learning } = await metricsOf(policy)
      for (const { n, shown, contradictions, sumError, fit } of calibration) {
        assert.equal(shown, n)
        assert.equal(contradictions, 0, 'the same candidate had two propensities')
        near(sumError, 0, 1e-12)
        assert.ok(fit !== null && fit.p > 0.001, `${n} candidates: ${JSON.stringify(fit)}`)
      }
      near(learning.explored, EPSILON, 0.02)
      assert.ok(Math.abs(learning.exploredZ) < 3.3 && Math.abs(learning.bestZ) < 3.3, JSON.stringify(learning))
    })

    test(`${policy}: no hour, day or profile changes the ranking, and the hour is not missed much`, async () => {
      const { context, contextGain } = await metricsOf(policy)
      for (const { decisions, byContext, contexts, byProfile } of context) {
        assert.ok(decisions >= 30)
        assert.deepEqual([byContext.value, contexts.value, byProfile.value], [0, 0, 0])
      }
      assert.ok(Math.abs(contextGain.value) <= contextGain.half, estimate(contextGain))
    })

    test(`${policy}: importance weighting finds the value of another policy, with few effective decisions`, async () => {
      const { weighting } = await metricsOf(policy)
      for (const { name, ips, snips, truth, weight, effective } of weighting) {
        assert.ok(Math.abs(weight.value - 1) <= weight.half, `${name}: mean weight ${estimate(weight)}`)
        assert.ok(effective.value < 0.2 && effective.value > 0.001, `${name}: ${estimate(effective)}`)
        near(ips.value, truth.value, ips.half, `${name}: IPS`)
        near(snips.value, truth.value, snips.half, `${name}: SNIPS`)
      }
    })

    test(`${policy}: after rewards of 0 alone the first candidate is the best`, (t) => {
      const bandits = openEngine(t, { activePolicy: policy })
      for (let i = 0; i < 20; i += 1) bandits.reward({ userId: 'u', tipId: 'a', reward: 0, features: { priority: 1 + (i % 4), taskAgeDays: i } })
      assert.ok(bandits.stats('u').theta.every((weight) => weight === 0))
      assert.equal(bestIndex(bandits, { userId: 'u', candidates: [1, 4, 2].map((priority) => ({ id: String(priority), features: { priority } })) }), 0)
    })
  }
})

describe('linucb-v1', () => {
  test('it never draws: the same request has the same tip, with propensity 1', async () => {
    const { calibration, learning } = await metricsOf('linucb-v1')
    assert.ok(calibration.every(({ shown, contradictions, sumError }) => shown === 1 && contradictions === 0 && sumError === 0))
    assert.equal(learning.explored, 0)
  })

  test('the hour changes the best task by the width, less so the more was learned', async () => {
    const { context } = await metricsOf('linucb-v1')
    const shares = context.map(({ byContext }) => byContext.value)
    assert.ok(shares.every((share, i) => share > 0 && (i === 0 || share < (shares[i - 1] ?? 0))), shares.join(', '))
    assert.ok(context.every(({ byProfile }) => byProfile.value === 0), 'the profile is no input')
  })

  test('its log cannot be weighed: most of another policy’s choices have no propensity', async () => {
    const { weighting, population } = await metricsOf('linucb-v1')
    for (const { weight } of weighting) assert.ok(weight.value < 0.6, estimate(weight))
    const [uniform] = weighting
    assert.ok(uniform !== undefined)
    assert.equal(uniform.covered, 0)
    // It says nearer to what linucb-v1 itself earned than to what it was asked for.
    assert.ok(Math.abs(uniform.snips.value - population.policy.value) < Math.abs(uniform.snips.value - uniform.truth.value))
  })

  test('it earns more than the ε-greedy policies in the population', async () => {
    const own = (await metricsOf('linucb-v1')).population.share.value
    for (const policy of GREEDY) assert.ok(own > (await metricsOf(policy)).population.share.value)
  })
})

describe('the script', () => {
  /** @param {string[]} args */
  function run(...args) {
    const temporary = mkdtempSync(join(scratch, 'tmp-'))
    // A server and a policy of the surroundings must not change a figure.
    const env = { ...process.env, TMPDIR: temporary, ACTIVE_POLICY: 'linucb-v1', STATE_DIR: join(temporary, 'never'), NATS_URL: 'nats://127.0.0.1:1' }
    const result = spawnSync(process.execPath, [SCRIPT, ...args], { encoding: 'utf8', env })
    assert.deepEqual(readdirSync(temporary), [], 'it left something behind')
    return result
  }

  /** The cards, to be written over. */
  function copyOfCards() {
    const directory = mkdtempSync(join(scratch, 'cards-'))
    for (const policy of POLICIES) copyFileSync(join(CARDS, `${policy}.md`), join(directory, `${policy}.md`))
    return directory
  }

  test('the same figures in another process; --write keeps what people wrote; --check sees a changed digit', () => {
    const cards = copyOfCards()
    const written = run('--quick', '--write', '--cards', cards)
    assert.deepEqual([written.status, written.stdout, written.stderr], [0, '', ''])
    for (const policy of POLICIES) {
      const [original, card] = [readCard(CARDS, policy), readCard(cards, policy)]
      assert.deepEqual([card.before, card.after], [original.before, original.after])
      assert.notEqual(card.text, original.text)
    }
    const again = run('--quick', '--check', '--cards', cards)
    assert.deepEqual([again.status, again.stderr], [0, ''])

    const path = join(cards, 'linucb-v1.md')
    writeFileSync(path, readFileSync(path, 'utf8').replace('± 0.0', '± 0.1'))
    const changed = run('--quick', '--check', '--cards', cards, 'linucb-v1')
    assert.equal(changed.status, 1)
    assert.match(changed.stderr, /^model-metrics: no longer what is measured: linucb-v1\.md\. /)
  })

  test('the tables are printed without --write', () => {
    const { status, stdout } = run('--quick', 'egreedy-v1')
    assert.equal(status, 0)
    assert.match(stdout, /^## egreedy-v1\n/)
    for (const title of TABLES) assert.ok(stdout.includes(`\n### ${title}\n`), title)
    assert.doesNotMatch(stdout, /NaN|undefined|Infinity/)
  })

  test('wrong usage and unusable cards end with a sentence', () => {
    for (const args of [['--wat'], ['greedy'], ['--write', '--check'], ['--quick', '--write'], ['--quick', '--check']]) {
      const { status, stderr } = run(...args)
      assert.equal(status, 2, args.join(' '))
      assert.match(stderr, /^model-metrics: .+\n$/)
    }
    const cards = copyOfCards()
    writeFileSync(join(cards, 'egreedy-v1.md'), '# no place for figures\n')
    rmSync(join(cards, 'egreedy-v2.md'))
    for (const policy of GREEDY) {
      const { status, stderr } = run('--quick', '--check', '--cards', cards, policy)
      assert.equal(status, 1)
      assert.match(stderr, new RegExp(`^model-metrics: .*${policy}\\.md.*\\n$`))
    }
  })
})

test('the committed cards have the full figures, and say what cards are for', () => {
  for (const policy of POLICIES) {
    const { text } = readCard(CARDS, policy)
    assert.ok(text.startsWith(`# Model card: \`${policy}\`\n`))
    assert.ok(text.includes(`${FULL.worlds} populations (seeds 1–${FULL.worlds}) of ${16 * FULL.copies} people`))
    for (const title of SECTIONS) assert.ok(text.includes(`\n## ${title}\n`), `${policy}: ${title}`)
  }
})
