// @ts-check
// Opponent (d): the service that the package replaces, over HTTP on loopback. One client, one kept-alive connection, one
// request at a time; what is timed is what a caller waits for: making the body, the round trip, reading the answer.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync } from 'node:fs'
import http from 'node:http'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { makeRunner, makeInputs } from './measure.mjs'
import { median } from './statistics.mjs'
import { random } from './workload.mjs'

const PATHS = { 'linucb-v1': '/score', 'egreedy-v1': '/score/egreedy', 'egreedy-v2': '/score/egreedy/v2' }

/** Where the service's program is, or why it cannot run. @param {string | undefined} reference @returns {{ directory: string } | { missing: string }} */
export function findService(reference) {
  if (!reference) return { missing: 'REFERENCE_DIR is not set' }
  const directory = [reference, join(reference, 'serving')].find((path) => existsSync(join(path, 'main.py')))
  return directory === undefined ? { missing: 'REFERENCE_DIR has no main.py' } : { directory }
}

/** @param {string} python @param {string} directory @param {string} stateDir */
async function startService(python, directory, stateDir) {
  // Port 0: the system picks a free one. No access log: it would only make the service slower.
  const args = ['-m', 'uvicorn', 'main:app', '--host', '127.0.0.1', '--port', '0', '--no-access-log']
  const env = { ...process.env, STATE_DIR: stateDir, PYTHONDONTWRITEBYTECODE: '1' }
  const server = spawn(python, args, { cwd: directory, env, stdio: ['ignore', 'ignore', 'pipe'] })
  process.on('exit', () => server.kill('SIGKILL'))
  const said = []
  for await (const line of createInterface({ input: server.stderr })) {
    said.push(line)
    const port = /running on http:\/\/127\.0\.0\.1:(\d+)/.exec(line)?.[1]
    if (port !== undefined) {
      server.stderr.resume()
      return { server, port: Number(port) }
    }
  }
  throw new Error(`the service did not start: ${said.slice(-3).join(' | ')}`)
}

/** @param {http.RequestOptions} options @param {object} body @returns {Promise<any>} */
async function post(options, body) {
  const text = JSON.stringify(body)
  const request = http.request({ ...options, method: 'POST', headers: { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) } })
  request.end(text)
  const [response] = await once(request, 'response')
  response.setEncoding('utf8')
  let answer = ''
  for await (const chunk of response) answer += chunk
  if (response.statusCode !== 200) throw new Error(`the service answered ${response.statusCode}: ${answer}`)
  return JSON.parse(answer)
}

/** @param {import('./measure.mjs').Inputs} inputs @param {number} k the body of the kth request, as the service names things */
function serviceRequest({ arrays, contexts, profiles, users }, k) {
  const profile = profiles[k % profiles.length]
  const { hourOfDay, dayOfWeek } = contexts[k % contexts.length]
  return {
    user_id: users[0],
    candidates: arrays[k % arrays.length].map(({ id, content, source, sourceId, features }) => ({
      id, content, source, source_id: sourceId,
      features: { is_overdue: features?.isOverdue, task_age_days: features?.taskAgeDays, priority: features?.priority },
    })),
    context: { hour_of_day: hourOfDay, day_of_week: dayOfWeek },
    profile_features: profile && {
      completion_rate_30d: profile.completionRate30d, dismiss_rate_30d: profile.dismissRate30d, mean_dwell_ms_30d: profile.meanDwellMs30d,
      preferred_hour: profile.preferredHour, tip_volume_30d: profile.tipVolume30d,
    },
  }
}

/** @param {import('./measure.mjs').Job} job */
export async function measureService(job) {
  const { scenario, service, seed } = job
  if (service === undefined) throw new Error('no service to measure')
  const inputs = makeInputs(scenario, seed)
  const subject = await makeRunner(job.subject, { ...job, scenario: { ...scenario, operation: 'score' } }, inputs)
  const stateDir = join(job.directory, 'service')
  mkdirSync(stateDir)
  const { server, port } = await startService(service.python, service.directory, stateDir)
  const options = { host: '127.0.0.1', port, path: PATHS[scenario.policy], agent: new http.Agent({ keepAlive: true, maxSockets: 1 }) }
  const bodies = inputs.arrays.map((_, k) => serviceRequest(inputs, k))

  const rng = random(seed + 4)
  subject.warm(rng, job.warmMs)
  for (let k = 0; k < 30; k++) await post(options, bodies[k % bodies.length])
  const waits = []
  let answers = 0
  for (let round = 0; round < job.rounds * 4; round++) {
    subject.times.push(subject.sample(rng))
    const start = performance.now()
    const answer = await post(options, bodies[round % bodies.length])
    waits.push((performance.now() - start) * 1e6)
    answers += answer.tip_id.length
  }
  server.kill('SIGKILL')
  return {
    ns: { [job.subject]: median(subject.times), service: median(waits) },
    ratios: { service: median(waits.map((wait, round) => wait / subject.times[round])) },
    checksum: subject.sampling.checksum() + answers,
  }
}
