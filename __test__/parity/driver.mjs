// @ts-check
// Starts driver.py, the existing service in a process of its own, and talks to it: one JSON line each way per call.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

import { pythonEnv } from '../../scripts/python-env.mjs'

const DRIVER = fileURLToPath(new URL('driver.py', import.meta.url))

/** @typedef {{ ask(line: object): Promise<any>, close(): Promise<void> }} Driver */

/**
 * @param {string} referenceDir
 * @param {number} seed of the calls it draws
 * @returns {Promise<Driver | null>} null without Python
 */
export async function startDriver(referenceDir, seed) {
  const environment = await pythonEnv('reference')
  if (environment === null) return null
  const env = { ...process.env, REFERENCE_DIR: referenceDir, PYTHONIOENCODING: 'utf-8' }
  const child = spawn(environment.python, ['-B', DRIVER], { env, stdio: ['pipe', 'pipe', 'inherit'] })
  const exited = once(child, 'exit')
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  child.stdin.on('error', () => {}) // it ended: `ask` says so

  /** @type {Driver['ask']} */
  const ask = async (line) => {
    child.stdin.write(`${JSON.stringify(line)}\n`)
    const { done, value } = await lines.next()
    if (done) throw new Error(`driver.py ended (its error is above) at ${JSON.stringify(line)}`)
    return JSON.parse(value)
  }
  const close = async () => {
    child.stdin.end()
    await exited
  }
  try {
    await ask({ seed })
  } catch (error) {
    await close()
    throw error
  }
  return { ask, close }
}
