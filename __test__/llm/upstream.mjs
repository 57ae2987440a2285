// @ts-check
// The stand-in as a process of its own, whose work is not that of the process that is measured: it answers every request after a time.
// Its URL goes to standard output; when its standard input ends, what it has counted.

import { startLlmServer, tips } from '../support/llm-server.mjs'

const answer = tips(Array.from({ length: 3 }, (_tip, i) => ({ id: `t${i}`, content: 'Water the plants', rationale: 'They are dry.' })))
const server = await startLlmServer({ after: () => undefined }, (response, received) => { setTimeout(() => answer(response, received), Number(process.argv[2])) })
process.stdout.write(`${server.url}\n`)
process.stdin.resume().on('end', async () => {
  process.stdout.write(`${JSON.stringify({ requests: server.requests.length, most: server.most, connections: server.connections })}\n`)
  await server.close()
})
