// @ts-check
// A process of the bench: started by main.mjs with a job as JSON, it answers with one line of JSON.
import { measure } from './measure.mjs'
import { measureService } from './service.mjs'

/** @type {import('./measure.mjs').Job} */
const job = JSON.parse(process.argv[2])
const answer = await (job.scenario.operation === 'service' ? measureService : measure)(job)
process.stdout.write(`${JSON.stringify(answer)}\n`, () => {
  // Not exit(), which would have the package write what is left, of ten thousand users: not part of the measurement.
  process.kill(process.pid, 'SIGKILL')
})
