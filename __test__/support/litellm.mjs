// @ts-check
// The real LiteLLM proxy, in front of a provider that the test brings. Tests run it with LITELLM_TESTS=1 or REQUIRE_ALL=1 only: it is
// large, and takes its time to start.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { REQUIRE_ALL } from '../../scripts/obtained.mjs'
import { pythonEnv } from '../../scripts/python-env.mjs'
import { KEY } from './llm-engine.mjs'
import { freePort } from './ports.mjs'
import { endWithUs } from './reaper.mjs'
import { closeEngines } from './state-dir.mjs'
import { until } from './until.mjs'

/** @typedef {import('./state-dir.mjs').TestContext} TestContext */
/**
 * @typedef {object} ProxyOptions
 * @property {string} upstream URL of the provider, without `/v1`
 * @property {boolean} [cooldowns] after failures of the provider it is not asked for a while; else it always is
 * @property {number} [upstreamTimeoutS] how long the provider may take
 */

const isWanted = REQUIRE_ALL || process.env['LITELLM_TESTS'] === '1'
if (!isWanted) process.stderr.write('litellm: skipped, set LITELLM_TESTS=1 (installs 530 MB of Python)\n')
const environment = isWanted ? await pythonEnv('litellm') : null
/** For `skip` of a test that needs the proxy: why there is none, or false. */
export const NO_LITELLM = isWanted ? environment === null && 'there is no Python' : 'LITELLM_TESTS is not 1'

const READY_MS = 120_000
const TRIES = 3

/**
 * The proxy with the one model that the package asks for, and `KEY`. It ends with the test; with `{ after }` of node:test, with the test file.
 * @param {TestContext} t
 * @param {ProxyOptions} options
 */
export async function startLiteLlm(t, options) {
  for (let tries = 1; ; tries++) {
    try {
      return await launch(t, options)
    } catch (error) {
      // Somebody else was quicker at the port.
      if (tries === TRIES || !/address already in use/.test(String(error))) throw error
    }
  }
}

/** @param {TestContext} t @param {ProxyOptions} options */
async function launch(t, { upstream, cooldowns = false, upstreamTimeoutS = 30 }) {
  if (environment === null) throw new Error('there is no LiteLLM')
  const home = realpathSync(mkdtempSync(join(tmpdir(), 'bandits-litellm-')))
  const config = join(home, 'config.yaml')
  writeFileSync(config, configuration({ upstream, cooldowns, upstreamTimeoutS }))
  const port = await freePort()
  const args = ['-m', 'litellm.proxy.proxy_cli', '--config', config, '--host', '127.0.0.1', '--port', String(port)]
  // Nothing of the environment. The price list comes with the package; otherwise it would be asked for in the network.
  const env = { HOME: home, LITELLM_LOCAL_MODEL_COST_MAP: 'True', LITELLM_TELEMETRY: 'False' }
  const child = spawn(environment.python, args, { cwd: home, env, stdio: ['ignore', 'pipe', 'pipe'] })
  endWithUs(child)
  let output = ''
  /** @param {string} text */
  const keep = (text) => { output = (output + text).slice(-20_000) }
  child.stdout.setEncoding('utf8').on('data', keep)
  child.stderr.setEncoding('utf8').on('data', keep)
  const isRunning = () => child.exitCode === null && child.signalCode === null
  t.after(async () => {
    await closeEngines(t)
    if (isRunning()) {
      const ended = once(child, 'exit')
      child.kill('SIGKILL')
      await ended
    }
    rmSync(home, { recursive: true, force: true, maxRetries: 3 })
  })

  const url = `http://127.0.0.1:${port}`
  await until(async () => {
    if (!isRunning()) throw new Error(`LiteLLM ended:\n${output}`)
    return (await fetch(`${url}/health/liveliness`, { signal: AbortSignal.timeout(1000) }).catch(() => undefined))?.status === 200
  }, `LiteLLM on port ${port}`, READY_MS)
  return { url }
}

/** YAML has JSON in it. @param {Required<ProxyOptions>} options */
function configuration({ upstream, cooldowns, upstreamTimeoutS }) {
  const model = { model: 'openai/tip-generator', api_base: `${upstream}/v1`, api_key: 'of-the-provider', max_retries: 0 }
  return JSON.stringify({
    model_list: [{ model_name: 'tip-generator', litellm_params: model }],
    general_settings: { master_key: KEY },
    litellm_settings: { telemetry: false, num_retries: 0, request_timeout: upstreamTimeoutS },
    router_settings: { num_retries: 0, disable_cooldowns: !cooldowns },
  })
}
