// @ts-check
// Worker threads that use the package.

import { once } from 'node:events'
import { Worker } from 'node:worker_threads'

// Static imports of a data: URL cannot find the package; a dynamic one from here can.
const PRELUDE = `
const { parentPort, workerData } = require('node:worker_threads')
const say = (word) => parentPort.postMessage(word)
const heard = (word) => new Promise((resolve) => parentPort.on('message', (message) => message === word && resolve()))
const reward = (engine, userId = 'u', more = {}) => engine.reward({ userId, tipId: 'tip', reward: 1, features: { priority: 4, hourOfDay: 0 }, ...more })
import(workerData.entry).then(async (bandits) => {
  const { Bandits } = bandits.default ?? bandits
  const { stateDir } = workerData
`

/**
 * Starts a worker that runs `script`, which finds `Bandits`, `stateDir`, `workerData`, `reward`, `say(word)` and `heard(word)`.
 * @param {string} script
 * @param {{ stateDir: string } & Record<string, unknown>} data
 * @param {import('./state-dir.mjs').TestContext} [t] its end is the worker's, too
 */
export function startWorker(script, data, t) {
  // Without this process's flags: --input-type=module would make the script a module.
  const worker = new Worker(`${PRELUDE}${script}\n})`, { eval: true, execArgv: [], workerData: { ...data, entry: import.meta.resolve('@oo/bandits') } })
  t?.after(() => worker.terminate())
  /** Resolves with the exit code, or rejects with what the worker did not catch. */
  const ended = new Promise((resolve, reject) => {
    worker.once('error', reject)
    worker.once('exit', resolve)
  })
  ended.catch(() => undefined)
  /** Resolves with the next word that the worker says. */
  const said = async () => {
    const [word] = await Promise.race([once(worker, 'message'), ended.then(() => { throw new Error('the worker ended without a word') })])
    return word
  }
  /** @param {string} word */
  const say = (word) => worker.postMessage(word, [])
  return { worker, ended, said, say }
}
