// @ts-check
// Real child processes that use the package.

import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'

/** From here, '@oo/bandits' means this checkout. */
export const ROOT = join(import.meta.dirname, '../..')

/** Far more than any of them needs on a busy machine. */
const PATIENCE_MS = 120_000

const PRELUDE = `
import { Bandits, BanditError } from '@oo/bandits'
import * as bandits from '@oo/bandits'
const stateDir = process.env.TEST_DIR
const reward = (engine, userId = 'u') => engine.reward({ userId, tipId: 'tip', reward: 1, features: { priority: 4, hourOfDay: 0 } })
`

/**
 * @param {string} script
 * @param {string} stateDir
 * @param {Record<string, string>} [env]
 * @param {string[]} [flags]
 */
function command(script, stateDir, env = {}, flags = []) {
  const { STATE_DIR: _dir, ACTIVE_POLICY: _policy, NATS_URL: _nats, NODE_OPTIONS: _options, ...rest } = process.env
  return {
    args: [...flags, '--input-type=module', '--eval', PRELUDE + script],
    options: { cwd: ROOT, env: { ...rest, TEST_DIR: stateDir, ...env } },
  }
}

/**
 * Runs a script to its end. It finds `Bandits`, `BanditError`, `bandits`, `stateDir` and `reward(engine, userId)` declared.
 * @param {string} script
 * One that does not end within {@link PATIENCE_MS} is killed, and has no code. `prefix` is a command to run it with.
 * @param {{ stateDir: string, env?: Record<string, string>, flags?: string[], prefix?: string[] }} settings
 */
export function run(script, { stateDir, env, flags, prefix = [] }) {
  const { args, options } = command(script, stateDir, env, flags)
  const [file = process.execPath, ...before] = [...prefix, process.execPath]
  const result = spawnSync(file, [...before, ...args], { ...options, encoding: 'utf8', timeout: PATIENCE_MS, killSignal: 'SIGKILL' })
  if (result.error !== undefined && result.signal === null) throw result.error
  return { code: result.status, signal: result.signal, stdout: result.stdout, stderr: result.stderr }
}

/**
 * The same while this process goes on: it may serve what the script asks for.
 * @param {string} script
 * @param {{ stateDir: string, env?: Record<string, string>, flags?: string[] }} settings
 */
export async function runBeside(script, { stateDir, env, flags }) {
  const { args, options } = command(script, stateDir, env, flags)
  const child = spawn(process.execPath, args, { ...options, stdio: ['ignore', 'pipe', 'pipe'], timeout: PATIENCE_MS, killSignal: 'SIGKILL' })
  const [stdout, stderr, [code, signal]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')])
  return { code, signal, stdout, stderr }
}

/**
 * Starts a script and waits for its first line of output. `end` kills it, unless it has ended, and waits for that.
 * @param {import('./state-dir.mjs').TestContext} t
 * @param {string} script
 * @param {{ stateDir: string, env?: Record<string, string> }} settings
 */
export async function start(t, script, { stateDir, env }) {
  const { args, options } = command(script, stateDir, env)
  const child = spawn(process.execPath, args, { ...options, stdio: ['pipe', 'pipe', 'inherit'] })
  const ended = once(child, 'exit')
  /** @param {NodeJS.Signals} [signal] */
  const end = async (signal) => {
    if (child.exitCode === null && child.signalCode === null) child.kill(signal ?? 'SIGKILL')
    const [code, by] = await ended
    return { code, signal: by }
  }
  t.after(() => end())
  child.stdout.setEncoding('utf8')
  const [first] = await Promise.race([once(child.stdout, 'data'), ended.then(() => { throw new Error('the child ended without a word') })])
  return { child, line: String(first).trim(), end }
}
