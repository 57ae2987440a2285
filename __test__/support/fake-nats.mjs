// @ts-check
// Something that lets clients in like a NATS server, and then sends what no NATS server does.

import { createServer } from 'node:net'

const INFO = { server_id: 'FAKE', server_name: 'fake', version: '2.15.1', proto: 1, host: '127.0.0.1', port: 4222, headers: true, max_payload: 1 << 20, jetstream: true }

/**
 * @param {import('./state-dir.mjs').TestContext} t
 * @param {(socket: import('node:net').Socket, connection: number) => void} letIn is called once the client has been let in
 * @param {object} [info] more of what the server says of itself
 */
export async function fakeServer(t, letIn, info = {}) {
  /** @type {Set<import('node:net').Socket>} */
  const sockets = new Set()
  const seen = { connections: 0 }
  const listener = createServer((socket) => {
    const connection = ++seen.connections
    sockets.add(socket)
    socket.on('error', () => undefined).on('close', () => sockets.delete(socket))
    socket.write(`INFO ${JSON.stringify({ ...INFO, ...info })}\r\n`)
    let isIn = false
    socket.setEncoding('latin1').on('data', (text) => {
      if (isIn || !String(text).includes('PING')) return
      isIn = true
      socket.write('PONG\r\n', () => letIn(socket, connection))
    })
  })
  t.after(() => {
    for (const socket of sockets) socket.destroy()
    listener.close()
  })
  await new Promise((resolve) => { listener.listen(0, '127.0.0.1', () => resolve(undefined)) })
  const { port } = /** @type {import('node:net').AddressInfo} */ (listener.address())
  return { url: `nats://127.0.0.1:${port}`, seen }
}

/** Sends as fast as it is taken, until the connection is lost. @param {import('node:net').Socket} socket @param {Buffer} chunk */
export function flood(socket, chunk) {
  let sent = 0
  const more = () => {
    while (!socket.destroyed) {
      sent += chunk.length
      if (!socket.write(chunk)) return void socket.once('drain', more)
    }
  }
  more()
  return () => sent
}
