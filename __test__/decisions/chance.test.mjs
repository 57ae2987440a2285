// @ts-check
// Chance with a fixed seed: it goes on where state goes on, whatever ends the process, and the same calls from an empty directory choose
// the same. Draws are computed again from the documents (support/draws.mjs).

import assert from 'node:assert/strict'
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'

import { Bandits } from '@oo/bandits'
import { run } from '../support/child.mjs'
import { chiSquare, choose, criticalChiSquare, drawOf, hexOf, below, part, PARTS, promptSeed } from '../support/draws.mjs'
import { assertRefuses } from '../support/refusal.mjs'
import { killed } from '../support/killed.mjs'
import { KEY } from '../support/llm-engine.mjs'
import { startLlmServer, tips } from '../support/llm-server.mjs'
import { linesIn } from '../support/log-lines.mjs'
import { emptyDirectory, openEngine } from '../support/state-dir.mjs'
import { startWorker } from '../support/worker.mjs'

const CANDIDATES = Array.from({ length: 5 }, (_candidate, k) => ({ id: `c${k}` }))
/** For equal candidates the first is the best: ε = 0.1 over five. */
const PROBABILITIES = [0.92, 0.02, 0.02, 0.02, 0.02]
const EPOCH_FILE = '.epoch'
/** The choices of three openings, of recommend() and score() in turn; recorded when draws were made to go on. */
const GOLDEN = [
  '00001000000000002030000000000000400000003000000040000000000000021010000000400030',
  '30000000000000002000000040024000400000000000000000000000300000000000000010120000',
  '00000000000000000000000000000040200003000000000000000000000000000000000010001004',
]

/** @param {Bandits} bandits */
const decide = (bandits) => bandits.recommend({ userId: 'u', candidates: CANDIDATES })
/** @param {Bandits} bandits */
const score = (bandits) => bandits.score({ userId: 'u', candidates: CANDIDATES })
/** What recommend() shows of equal candidates. @param {bigint} draw */
const shownBy = (draw) => choose(part(draw, PARTS['egreedy-v1']), 5)
/** @param {string} stateDir */
const drawsIn = (stateDir) => linesIn(stateDir).filter(({ kind }) => kind === 'decision').map(({ draw, drawn }) => ({ draw, drawn }))

describe('over restarts', () => {
  for (const log of /** @type {const} */ (['on', 'off'])) {
    test(`with log '${log}' choices are drawn with the probabilities that are told`, async (t) => {
      const counts = [0, 0, 0, 0, 0]
      for (const seed of [7, 1, 42]) {
        const stateDir = emptyDirectory(t)
        for (let start = 1; start <= 100; start++) {
          const bandits = Bandits.open({ stateDir, seed, log })
          const { index, exploring } = log === 'on' ? decide(bandits) : score(bandits)
          await bandits.close()
          const draw = drawOf(seed, start, 0)
          assert.deepEqual({ index, exploring }, log === 'on' ? shownBy(draw) : choose(draw, 5), `seed ${seed}, start ${start}`)
          counts[index] = Number(counts[index]) + 1
        }
      }
      const chi2 = chiSquare(counts, PROBABILITIES)
      t.diagnostic(`300 starts chose ${counts}: χ² ${chi2.toFixed(1)}`)
      assert.ok(chi2 < criticalChiSquare(4), `${counts}`)
    })

    test(`with log '${log}' nothing is drawn twice by processes that are killed`, (t) => {
      const stateDir = emptyDirectory(t)
      const starts = 12
      for (let start = 1; start <= starts; start++) {
        // Killed right after its draws: nothing was closed, flushed or waited for.
        const { signal, stdout, stderr } = run(`
          const { writeSync } = await import('node:fs')
          const engine = Bandits.open({ stateDir, seed: 5, log: '${log}' })
          const candidates = ${JSON.stringify(CANDIDATES)}
          const indices = Array.from({ length: 40 }, () => engine.${log === 'on' ? 'recommend' : 'score'}({ userId: 'u', candidates }).index)
          writeSync(1, JSON.stringify(indices))
          process.kill(process.pid, 'SIGKILL')`, { stateDir })
        assert.equal(signal, 'SIGKILL', stderr)
        const expected = Array.from({ length: 40 }, (_draw, k) => (log === 'on' ? shownBy(drawOf(5, start, k)) : choose(drawOf(5, start, k), 5)).index)
        assert.deepEqual(JSON.parse(stdout), expected, `start ${start}`)
      }
      if (log === 'on') {
        const draws = drawsIn(stateDir)
        assert.deepEqual([draws.length, new Set(draws.map(({ draw }) => draw)).size], [40 * starts, 40 * starts])
      }
    })
  }

  test('prompts are drawn on, independent of what is shown', async (t) => {
    const server = await startLlmServer(t, tips([{ id: 'a', content: 'Water the plants' }]))
    const [stateDir, seed, versions] = [emptyDirectory(t), 3, ['v1', 'v2-mentor', 'v3-few-shot']]
    /** @type {number[]} */
    const drawn = []
    /** @type {number[]} */
    const expected = []
    for (let start = 1; start <= 60; start++) {
      const bandits = Bandits.open({ stateDir, seed, log: start % 2 === 0 ? 'on' : 'off', litellm: { url: server.url, masterKey: KEY, promptVersion: versions.join() } })
      for (let k = 0; k < 2; k++) {
        score(bandits)
        const { promptVersion } = await bandits.generate({ userId: 'u' })
        drawn.push(versions.indexOf(promptVersion))
        expected.push(below(drawOf(promptSeed(seed), start, k), versions.length))
      }
      await bandits.close()
    }
    assert.deepEqual(drawn, expected)
    const counts = versions.map((_version, i) => drawn.filter((index) => index === i).length)
    assert.ok(chiSquare(counts, [1 / 3, 1 / 3, 1 / 3]) < criticalChiSquare(2), `${counts}`)
  })

  test('openings count on where the log is switched off and on, and where it was deleted', async (t) => {
    const stateDir = emptyDirectory(t)
    let start = 0
    const opened = async (/** @type {'on' | 'off'} */ log) => {
      start++
      const bandits = Bandits.open({ stateDir, seed: 9, log })
      for (let k = 0; k < 20; k++) {
        const { index, exploring } = score(bandits)
        assert.deepEqual({ index, exploring }, choose(drawOf(9, start, k), 5), `start ${start}, draw ${k}`)
      }
      await bandits.close()
    }
    for (const log of /** @type {const} */ (['off', 'off', 'on', 'off', 'on'])) await opened(log)
    rmSync(join(stateDir, 'log'), { recursive: true })
    for (const log of /** @type {const} */ (['on', 'off', 'on'])) await opened(log)
    // So ids of decisions do not come again either.
    const bandits = openEngine(t, { stateDir, seed: 9 })
    assert.match(decide(bandits).decisionId, /^9\./)
  })

  test('without a seed nothing is drawn twice either', async (t) => {
    const stateDir = emptyDirectory(t)
    for (let start = 0; start < 20; start++) {
      const bandits = Bandits.open({ stateDir })
      for (let k = 0; k < 10; k++) decide(bandits)
      await bandits.close()
    }
    assert.equal(new Set(drawsIn(stateDir).map(({ draw }) => draw)).size, 200)
  })
})

describe('from an empty directory', () => {
  /** Three openings of the same calls; `between` happens between calls and chooses nothing. @param {string} stateDir @param {(bandits: Bandits) => Promise<void>} between */
  async function live(stateDir, between) {
    /** @type {number[][]} */
    const chosen = []
    for (let start = 0; start < 3; start++) {
      const bandits = Bandits.open({ stateDir, seed: 7 })
      /** @type {number[]} */
      const own = []
      for (let i = 0; i < 40; i++) {
        const { decisionId, index } = bandits.recommend({ userId: `u${i % 3}`, candidates: CANDIDATES, holdout: i % 4 === 0 ? 0.5 : 0 })
        own.push(index, score(bandits).index)
        if (i % 5 === 0) bandits.feedback({ decisionId, action: 'done' })
        await between(bandits)
      }
      chosen.push(own)
      await bandits.close()
    }
    return chosen
  }

  test('the same calls choose the same, in every opening, whatever the log has in between', async (t) => {
    const [plain, marked] = [emptyDirectory(t), emptyDirectory(t)]
    const first = await live(plain, () => Promise.resolve())
    // A mark is a line, and takes a number.
    const second = await live(marked, (bandits) => bandits.checkpoint())
    assert.ok(linesIn(marked).filter(({ kind }) => kind === 'mark').length > 100)
    assert.deepEqual(second, first)
    assert.deepEqual(drawsIn(marked), drawsIn(plain))
    assert.deepEqual(first.map((own) => own.join('')), GOLDEN)
  })

  test('every draw follows from the seed and what stands in its line', async (t) => {
    const stateDir = emptyDirectory(t)
    await live(stateDir, () => Promise.resolve())
    const draws = drawsIn(stateDir)
    assert.equal(draws.length, 120)
    for (const { draw, drawn: [opening, k] } of draws) assert.equal(draw, hexOf(drawOf(7, opening, k)), `${opening}, ${k}`)
    assert.deepEqual([...new Set(draws.map(({ drawn: [opening] }) => opening))], [1, 2, 3])
  })

  test('threads that share an engine share its draws, each in the order of its calls', async (t) => {
    const stateDir = emptyDirectory(t)
    const own = openEngine(t, { stateDir, seed: 4 })
    const script = `
      const engine = Bandits.open({ stateDir })
      for (let i = 0; i < 200; i++) engine.recommend({ userId: workerData.userId, candidates: [{ id: 'a' }, { id: 'b' }] })
      process.exit()`
    const workers = ['a', 'b', 'c'].map((userId) => startWorker(script, { stateDir, userId }, t))
    assert.deepEqual(await Promise.all(workers.map(({ ended }) => ended)), [0, 0, 0])
    await own.close()
    const lines = linesIn(stateDir).filter(({ kind }) => kind === 'decision')
    for (const { draw, drawn: [opening, k] } of lines) assert.equal(draw, hexOf(drawOf(4, opening, k)))
    assert.deepEqual(lines.map(({ drawn: [, k] }) => k).sort((a, b) => a - b), Array.from({ length: 600 }, (_k, k) => k))
    for (const userId of ['a', 'b', 'c']) {
      const ks = lines.filter((line) => line['userId'] === userId).sort(({ seq: [, a] }, { seq: [, b] }) => a - b).map(({ drawn: [, k] }) => k)
      assert.deepEqual(ks, ks.toSorted((a, b) => a - b), userId)
    }
  })
})

describe('.epoch', () => {
  test('has the number of the last opening', async (t) => {
    const stateDir = emptyDirectory(t)
    for (const epoch of [1, 2, 3]) {
      const bandits = Bandits.open({ stateDir, log: epoch === 2 ? 'off' : 'on' })
      assert.deepEqual(JSON.parse(readFileSync(join(stateDir, EPOCH_FILE), 'utf8')), { v: 1, epoch })
      await bandits.close()
    }
  })
  test('where it is missing or behind, the log counts', async (t) => {
    const stateDir = killed(t, "Bandits.open({ stateDir }); await Bandits.open({ stateDir }).close()")
    for (const [text, epoch] of /** @type {[string | undefined, number][]} */ ([[undefined, 2], ['{"v":1,"epoch":1}', 3]])) {
      if (text === undefined) rmSync(join(stateDir, EPOCH_FILE))
      else writeFileSync(join(stateDir, EPOCH_FILE), text)
      const bandits = Bandits.open({ stateDir })
      assert.equal(bandits.recovery.epoch, epoch)
      await bandits.close()
      assert.equal(JSON.parse(readFileSync(join(stateDir, EPOCH_FILE), 'utf8')).epoch, epoch)
    }
  })
  test('that cannot be read refuses the start where nothing else knows the number, and is left as it is', (t) => {
    for (const text of ['', '{"v":1,"epoch":', '{"v":1,"epoch":-1}', '{"v":1,"epoch":4294967295}', '{"v":2,"epoch":3}', '[]']) {
      const stateDir = emptyDirectory(t)
      writeFileSync(join(stateDir, EPOCH_FILE), text)
      for (const log of /** @type {const} */ (['on', 'off'])) assertRefuses(() => Bandits.open({ stateDir, log }), 'ERR_STATE_CORRUPT', `${stateDir}/${EPOCH_FILE}`, text)
      assert.equal(readFileSync(join(stateDir, EPOCH_FILE), 'utf8'), text)
      rmSync(join(stateDir, EPOCH_FILE))
      assert.equal(openEngine(t, { stateDir }).recovery.epoch, 1)
    }
  })
  test('that cannot be read is written anew where the log has the number', async (t) => {
    const stateDir = emptyDirectory(t)
    await Bandits.open({ stateDir }).close()
    writeFileSync(join(stateDir, EPOCH_FILE), 'not JSON')
    const bandits = openEngine(t, { stateDir })
    assert.equal(bandits.recovery.epoch, 2)
    assert.deepEqual(JSON.parse(readFileSync(join(stateDir, EPOCH_FILE), 'utf8')), { v: 1, epoch: 2 })
  })
})
