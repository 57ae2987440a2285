// @ts-check
// A link to a server that brings only so many bytes a second, as between two continents.

import { createServer, connect } from 'node:net'

const TICK_MS = 10

/**
 * @param {import('./state-dir.mjs').TestContext} t
 * @param {number} port where the server listens
 * @param {number} bytesPerSecond from the server to us
 * @returns {Promise<number>} the port of the link's near end
 */
export async function slowLink(t, port, bytesPerSecond) {
  /** @type {Set<import('node:net').Socket>} */
  const sockets = new Set()
  const listener = createServer((near) => {
    const far = connect(port, '127.0.0.1')
    for (const socket of [near, far]) {
      sockets.add(socket)
      socket.setNoDelay(true).on('error', () => undefined).on('close', () => {
        sockets.delete(socket)
        near.destroy()
        far.destroy()
      })
    }
    near.pipe(far)
    // What the link has not taken waits at the server's end.
    far.pause()
    let allowance = 0
    let from = performance.now()
    const tick = setInterval(() => {
      const now = performance.now()
      allowance = Math.min(allowance + ((now - from) / 1000) * bytesPerSecond, bytesPerSecond / 10)
      from = now
      const size = Math.min(Math.floor(allowance), far.readableLength)
      if (size === 0) return void far.read(0)
      allowance -= size
      near.write(far.read(size))
    }, TICK_MS)
    far.on('close', () => clearInterval(tick))
  })
  t.after(() => {
    for (const socket of sockets) socket.destroy()
    listener.close()
  })
  await new Promise((resolve) => { listener.listen(0, '127.0.0.1', () => resolve(undefined)) })
  return /** @type {import('node:net').AddressInfo} */ (listener.address()).port
}
