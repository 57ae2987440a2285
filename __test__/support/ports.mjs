// @ts-check
// Ports for servers that are killed and come back on the same one.

import { randomInt } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:net'

// Below those that systems give to outgoing connections (from 32768 on Linux): nobody takes one while its server is down, and a client
// that keeps trying cannot meet itself.
const [FIRST, LAST] = [15_000, 32_000]

/** A loopback port that nobody listens on. */
export async function freePort() {
  for (;;) {
    const port = randomInt(FIRST, LAST)
    if (await isFree(port)) return port
  }
}

/** @param {number} port */
async function isFree(port) {
  const server = createServer()
  try {
    server.listen(port, '127.0.0.1')
    await once(server, 'listening')
    return true
  } catch {
    return false
  } finally {
    server.close()
  }
}
