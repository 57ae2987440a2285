// @ts-check
// While a log of several segments is rewritten without a person: whoever is killed with -9 has lost no pull without a word, and flush()
// does not wait.

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'

import { run } from './support/child.mjs'
import { segmentsIn } from './support/log-lines.mjs'
import { emptyDirectory, openEngine } from './support/state-dir.mjs'

/** Makes a log of some 70 MB in at least two segments, all with lines of the person's, and begins to erase the person. */
const ERASE = `
  import { writeSync, readdirSync, readFileSync } from 'node:fs'
  const engine = Bandits.open({ stateDir, seed: 1 })
  const candidates = Array.from({ length: 40 }, (_, i) => ({ id: 'task-' + i + '-' + 'x'.repeat(60) }))
  for (let n = 0; engine.health().log.bytes < 70e6; n++) {
    for (let i = 0; i < 500; i++) engine.recommend({ userId: i === 0 ? 'person' : 'user-' + (n % 50), candidates })
    await engine.flush()
  }
  await engine.checkpoint()
  let isErased = false
  const erased = engine.erase('person').then(() => { isErased = true })
  const isRewriting = () => readdirSync(stateDir + '/log').includes('rewrite.tmp')
  for (const end = Date.now() + 60_000; !isRewriting() && !isErased && Date.now() < end;) await new Promise((resolve) => setTimeout(resolve, 1))
  const say = (told) => writeSync(1, JSON.stringify(told) + '\\n')
`

/** Without checksums: that takes minutes for so many bytes. A torn line is none. @param {string} stateDir @returns {Record<string, any>[]} */
function pullsAndGapsIn(stateDir) {
  const texts = segmentsIn(stateDir).filter((name) => name.endsWith('.jsonl')).flatMap((name) => readFileSync(join(stateDir, 'log', name), 'utf8').split('\n').slice(0, -1))
  return texts.filter((text) => text.includes('"kind":"pull"') || text.includes('"kind":"gap"')).map((text) => JSON.parse(text))
}

test('pulls made while a person is erased are in lines, or a gap says how many are not, when the process is killed', async (t) => {
  const stateDir = emptyDirectory(t)
  const { signal, stdout, stderr } = run(`${ERASE}
    let pulls = 0
    const pull = () => { engine.score({ userId: 'other', candidates: [{ id: 'pull-' + pulls }] }); pulls++ }
    while (pulls < 5000) {
      for (let i = 0; i < 100; i++) pull()
      await new Promise((resolve) => setImmediate(resolve))
    }
    // They are in lines within 10 ms, or as soon as this machine gets to it, and not only when the erasure is over.
    const newest = () => readFileSync(stateDir + '/log/' + readdirSync(stateDir + '/log').filter((name) => name.endsWith('.jsonl')).sort().at(-1), 'latin1')
    for (const end = Date.now() + 60_000; !newest().includes('"pull-' + (pulls - 1) + '"') && Date.now() < end;) await new Promise((resolve) => setTimeout(resolve, 1))
    say({ pulls, wasRewriting: isRewriting() && !isErased })
    process.kill(process.pid, 'SIGKILL')`, { stateDir })
  assert.equal(signal, 'SIGKILL', stderr)
  const told = JSON.parse(stdout)
  assert.ok(told.wasRewriting, 'the erasure was over before the kill: it takes a larger log')
  const lines = pullsAndGapsIn(stateDir)
  const inLines = lines.filter(({ kind, userId }) => kind === 'pull' && userId === 'other').length
  const inGaps = lines.filter(({ kind }) => kind === 'gap').reduce((sum, { droppedPulls }) => sum + droppedPulls, 0)
  assert.equal(inLines + inGaps, told.pulls)

  // And the next start finishes the erasure.
  const bandits = openEngine(t, { stateDir })
  assert.equal(bandits.stats('person').pulls, 0)
  await bandits.close()
  for (const name of segmentsIn(stateDir)) assert.ok(!readFileSync(join(stateDir, 'log', name)).includes('"person"'), name)
})

test('flush() is answered while a person is erased', (t) => {
  const { code, stdout, stderr } = run(`${ERASE}
    let flushes = 0
    while (!isErased && flushes < 5) {
      reward(engine, 'other')
      await engine.flush()
      if (!isErased) flushes++
    }
    say({ flushes })
    await erased
    await engine.close()`, { stateDir: emptyDirectory(t) })
  assert.equal(code, 0, stderr)
  assert.equal(JSON.parse(stdout).flushes, 5)
})
