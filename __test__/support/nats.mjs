// @ts-check
// Real NATS servers with JetStream, alone or three together: killed, brought back on the same port, and asked what they know.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { natsServer } from '../../scripts/nats-server.mjs'
import { connectAdmin } from './nats-admin.mjs'
import { freePort } from './ports.mjs'
import { endWithUs } from './reaper.mjs'
import { closeEngines } from './state-dir.mjs'
import { until } from './until.mjs'

/** @typedef {import('./state-dir.mjs').TestContext} TestContext */
/** @typedef {import('./nats-admin.mjs').Admin} Admin */
/** @typedef {import('@nats-io/transport-node').NodeConnectionOptions} ConnectionOptions */
/**
 * @typedef {object} ServerOptions
 * @property {string} [config] more of the server's configuration
 * @property {ConnectionOptions} [admin] how an administrator gets in
 * @property {string} [syncInterval] after which messages survive power loss; `always` unless given
 */

// Tests say what they mean by options; what stands in somebody's environment is not meant.
for (const name of Object.keys(process.env)) if (name.startsWith('NATS_') && name !== 'NATS_SERVER_BIN') delete process.env[name]

const binary = await natsServer()
/** For `skip` of a test that needs a server: why there is none, or false. */
export const NO_SERVER = binary === null ? 'there is no nats-server' : false

const READY_MS = 60_000
const TRIES = 3

export class Server {
  /** @type {import('node:child_process').ChildProcess | undefined} */
  #process
  #output = ''
  /** @type {Promise<Admin> | undefined} */
  #admin

  /**
   * @param {TestContext} t
   * @param {string} home of its configuration and its streams
   * @param {{ port: number, monitor: number, config: string, adminOptions: ConnectionOptions, adminUrls?: string[] }} settings
   */
  constructor(t, home, { port, monitor, config, adminOptions, adminUrls }) {
    this.port = port
    this.url = `nats://127.0.0.1:${port}`
    this.monitor = `http://127.0.0.1:${monitor}`
    this.adminOptions = { servers: adminUrls ?? [this.url], ...adminOptions }
    this.config = join(home, 'server.conf')
    writeFileSync(this.config, config)
    t.after(async () => {
      await closeEngines(t)
      await (await this.#admin?.catch(() => undefined))?.close()
      await this.kill()
    })
  }

  get pid() {
    return this.#process?.pid
  }

  /** Starts it, without waiting until it is ready. */
  launch() {
    if (binary === null) throw new Error('there is no nats-server')
    const child = spawn(binary, ['-c', this.config], { stdio: ['ignore', 'ignore', 'pipe'] })
    endWithUs(child)
    this.#output = ''
    child.stderr.setEncoding('utf8').on('data', (text) => { this.#output = (this.#output + text).slice(-20_000) })
    this.#process = child
  }

  /** Resolves when it answers, streams and all. */
  async ready() {
    await until(async () => {
      if (!this.isRunning) throw new Error(`nats-server ended:\n${this.#output}`)
      return (await fetch(`${this.monitor}/healthz`).catch(() => undefined))?.status === 200
    }, `nats-server on port ${this.port}:\n${this.#output}`, READY_MS)
  }

  get isRunning() {
    return this.#process !== undefined && this.#process.exitCode === null && this.#process.signalCode === null
  }

  /** Ends it, at once unless another signal is given; resolves when it is gone. @param {NodeJS.Signals} [signal] */
  async kill(signal = 'SIGKILL') {
    const child = this.#process
    if (child === undefined || !this.isRunning) return
    const ended = once(child, 'exit')
    child.kill(signal)
    await ended
  }

  /** Lets it end in order. */
  stop() {
    return this.kill('SIGTERM')
  }

  /** Starts it again on the same port, with what it has on disk. */
  async restart() {
    await this.kill()
    this.launch()
    await this.ready()
  }

  /** What it says about itself: https://docs.nats.io/running-a-nats-service/nats_admin/monitoring. @param {string} path @returns {Promise<any>} */
  async asked(path) {
    return (await fetch(`${this.monitor}/${path}`)).json()
  }

  /** A connection with all rights, the same at every call; it comes back after outages. */
  admin() {
    this.#admin ??= connectAdmin(this.adminOptions)
    return this.#admin
  }
}

/** @param {{ name: string, home: string, port: number, monitor: number, syncInterval?: string, config?: string, more?: string }} settings */
function configuration({ name, home, port, monitor, syncInterval = 'always', config = '', more = '' }) {
  return `
    server_name: ${name}
    listen: "127.0.0.1:${port}"
    http: "127.0.0.1:${monitor}"
    jetstream { store_dir: ${JSON.stringify(join(home, 'store'))}, max_file_store: 4G, sync_interval: ${JSON.stringify(syncInterval)} }
    ${more}
    ${config}
  `
}

/** A directory that goes when the servers in it have: hooks run in the order of their making. @param {TestContext} t */
function makeHome(t) {
  const home = realpathSync(mkdtempSync(join(tmpdir(), 'bandits-nats-')))
  return { home, removeAtEnd: () => t.after(() => rmSync(home, { recursive: true, force: true, maxRetries: 3 })) }
}

/**
 * A server of its own for a test, which ends with it; no process stays behind, however the test ends.
 * @param {TestContext} t
 * @param {ServerOptions & { isDown?: boolean }} [options] `isDown`: it is not started yet, `restart()` does it
 */
export async function startServer(t, { config, admin = {}, syncInterval, isDown = false } = {}) {
  for (let tries = 1; ; tries++) {
    const { home, removeAtEnd } = makeHome(t)
    const [port, monitor] = [await freePort(), await freePort()]
    const server = new Server(t, home, { port, monitor, config: configuration({ name: 'alone', home, port, monitor, config, syncInterval }), adminOptions: admin })
    removeAtEnd()
    if (isDown) return server
    server.launch()
    try {
      await server.ready()
      return server
    } catch (error) {
      // Somebody else was quicker at one of the ports.
      if (tries === TRIES || !/address already in use/.test(String(error))) throw error
    }
  }
}

/**
 * Servers that share their streams. An administrator's connection finds whichever is there.
 * @param {TestContext} t
 * @param {number} [size]
 * @param {ServerOptions} [options]
 */
export async function startCluster(t, size = 3, { config, admin = {}, syncInterval } = {}) {
  const { home, removeAtEnd } = makeHome(t)
  const ports = await Promise.all(Array.from({ length: size }, async () => ({ port: await freePort(), monitor: await freePort(), route: await freePort() })))
  const routes = ports.map(({ route }) => `"nats-route://127.0.0.1:${route}"`).join(', ')
  const adminUrls = ports.map(({ port }) => `nats://127.0.0.1:${port}`)
  const servers = ports.map(({ port, monitor, route }, i) => {
    const more = `cluster { name: tests, listen: "127.0.0.1:${route}", routes: [${routes}] }`
    const name = `node-${i + 1}`
    const own = join(home, name)
    mkdirSync(own)
    const settings = configuration({ name, home: own, port, monitor, config, syncInterval, more })
    return Object.assign(new Server(t, own, { port, monitor, config: settings, adminOptions: admin, adminUrls }), { name })
  })
  removeAtEnd()
  for (const server of servers) server.launch()
  await Promise.all(servers.map((server) => server.ready()))
  return { servers, url: adminUrls.join(',') }
}
