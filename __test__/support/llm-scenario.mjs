// @ts-check
// One call of generate() after the other, each on an engine of its own, in a process of its own: what came of them goes to standard
// output as JSON. It lives until its standard input ends, so that the server can be looked at while it does.

import { fstatSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

import { Bandits } from '@oo/bandits'
import { everythingOf } from './llm-engine.mjs'
import { until } from './until.mjs'

/**
 * @typedef {object} Report
 * @property {import('@oo/bandits').GenerateResult} [result]
 * @property {{ code: string, retryable: boolean, status?: number, message: string }} [error]
 * @property {string} said all that can be seen of the error, and health() as JSON
 * @property {import('@oo/bandits').LiteLlmHealth} health
 * @property {number} ms
 * @property {number} grown by how many bytes the call raised the process's peak
 * @property {number} socketsLeft after close()
 */

/** How many sockets this process has. */
function sockets() {
  return readdirSync('/dev/fd').filter((fd) => {
    try {
      return fstatSync(Number(fd)).isSocket()
    } catch {
      // that of the listing itself
      return false
    }
  }).length
}

/** The most memory that this process has had, in bytes; getrusage on Linux counts what its parent had, too. */
function peak() {
  if (process.platform !== 'linux') return process.resourceUsage().maxRSS * 1024
  return Number(/VmHWM:\s*(\d+) kB/.exec(readFileSync('/proc/self/status', 'utf8'))?.[1]) * 1024
}

/** @param {string} stateDir @param {import('@oo/bandits').LiteLlmOptions} litellm @param {number} before @returns {Promise<Report>} */
async function call(stateDir, litellm, before) {
  const bandits = Bandits.open({ stateDir, litellm })
  const peakBefore = peak()
  const from = performance.now()
  const [result, thrown] = await bandits.generate({ userId: 'u', context: { tasks: [{ content: 'Water the plants' }] } }).then((made) => [made, undefined], (error) => [undefined, error])
  const ms = performance.now() - from
  const grown = peak() - peakBefore
  const { litellm: health } = bandits.health()
  const said = `${thrown === undefined ? '' : everythingOf(thrown)}\n${JSON.stringify(bandits.health())}`
  await bandits.close()
  await until(() => sockets() <= before, 'the sockets are gone').catch(() => undefined)
  const error = thrown && { code: thrown.code, retryable: thrown.retryable, status: thrown.status, message: String(thrown.message) }
  return { result, error, said, health, ms, grown, socketsLeft: sockets() - before }
}

if (process.argv[1] === import.meta.filename) {
  const { stateDir, runs } = JSON.parse(String(process.argv[2]))
  const before = sockets()
  const reports = []
  for (const [i, litellm] of runs.entries()) reports.push(await call(join(stateDir, String(i)), litellm, before))
  process.stdout.write(`${JSON.stringify(reports)}\n`)
  process.stdin.resume()
}
