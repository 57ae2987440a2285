// @ts-check
// The parent's side of worker.mjs: starts it, feeds the oracle with what it says, and kills it.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'

import { callsOf, userIds } from './script.mjs'

/** @typedef {import('./worker.mjs').Life} Life */
/** @typedef {import('./oracle.mjs').Oracle} Oracle */

const WORKER = fileURLToPath(new URL('worker.mjs', import.meta.url))

/** The clock that worker.mjs reads, too: CLOCK_MONOTONIC, the same in all processes. */
export const now = () => Number(process.hrtime.bigint()) / 1e6

/**
 * How long a pull may take to the log. Documented are 10 ms; the thread that writes has to be given a processor first, which on
 * a machine with more to do than processors takes a few turns of the scheduler. 50 ms is what a state file may take, too.
 */
export const PULL_MARGIN_MS = 50

export class Child {
  /** @type {'starting' | 'opening' | 'open' | 'closing' | 'closed'} */
  phase = 'starting'
  returned = 0
  acknowledgedRewards = 0
  /** @type {Map<string, number>} */
  refusals = new Map()
  /** Calls that a resolved flush() covers. */
  flushed = 0
  flushes = 0
  /** @type {string | undefined} */
  failure
  /** @type {import('./oracle.mjs').Event[]} of the call that is being made */
  #inFlight = []
  /** @type {import('./oracle.mjs').Event[][]} */
  calls = []
  #rest = ''
  /** @type {(() => void) | undefined} */
  #onProgress

  /**
   * @param {Life} life
   * @param {Oracle} oracle
   * @param {{ prefix?: string[], uid?: number }} [how] a command to run it with
   */
  constructor(life, oracle, { prefix = [], uid } = {}) {
    this.oracle = oracle
    const [file = process.execPath, ...args] = [...prefix, process.execPath, WORKER, JSON.stringify(life)]
    const { NODE_OPTIONS: _options, STATE_DIR: _dir, ...env } = process.env
    this.process = spawn(file, args, { env, uid, stdio: ['ignore', 'inherit', 'pipe', 'pipe'] })
    this.stderr = ''
    this.process.stderr?.setEncoding('utf8').on('data', (text) => { this.stderr += text })
    this.script = callsOf({ seed: life.seed, users: life.names ?? userIds(life.users), ...(life.mix && { mix: life.mix }) })
    const pipe = /** @type {import('node:stream').Readable} */ (this.process.stdio[3])
    pipe.setEncoding('utf8').on('data', (text) => this.#hear(text))
    // 'close' comes when the process has ended and everything that it wrote was read.
    this.ended = once(this.process, 'close')
  }

  /** @param {string} text */
  #hear(text) {
    const words = (this.#rest + text).split('\n')
    this.#rest = words.pop() ?? ''
    for (const word of words) this.#word(word)
    this.#onProgress?.()
  }

  /** @param {string} word */
  #word(word) {
    const kind = word[0]
    if (kind === 'i') {
      this.#inFlight = this.oracle.intend(this.script.next().value)
      this.calls.push([...this.#inFlight])
    } else if (kind === 'a' || kind === 'D') {
      const [exploring, ...choices] = word.split(' ').slice(1).map(Number)
      if (this.#inFlight.length === 0) throw new Error('an answer to nothing')
      for (const [i, event] of this.#inFlight.entries()) {
        // Of what is not shown it is not told whether it was chance.
        const result = { exploring: i === 0 ? exploring === 1 : undefined, index: Number(choices[2 * i]), score: Number(choices[2 * i + 1]) }
        this.oracle.acknowledge(event, kind === 'D' ? result : undefined)
        if (event.kind === 'reward') this.acknowledgedRewards++
      }
      this.returned++
      this.#inFlight = []
    } else if (kind === 's') {
      const [, exploring, index, score, at] = word.split(' ').map(Number)
      const event = this.#inFlight.shift()
      if (event === undefined) throw new Error('an answer to nothing')
      this.oracle.acknowledge(event, { exploring: exploring === 1, index: Number(index), score: Number(score) }, at)
      if (this.#inFlight.length === 0) this.returned++
    } else if (kind === 'r' || kind === 'd') {
      const code = kind === 'd' ? 'dropped' : word.slice(2)
      this.refusals.set(code, (this.refusals.get(code) ?? 0) + 1)
      for (const event of this.#inFlight) this.oracle.refuse(event)
      if (this.#inFlight.length > 0) this.returned++
      this.#inFlight = []
    } else if (kind === 'f') {
      this.flushed = Number(word.slice(2))
      this.flushes++
    } else if (kind === '!') {
      this.failure = word.slice(2)
    } else {
      this.phase = /** @type {const} */ ({ o: 'opening', O: 'open', c: 'closing', C: 'closed' })[/** @type {'o'} */ (kind)]
    }
  }

  /**
   * Resolves when the condition holds or the child has ended.
   * @param {(child: Child) => boolean} condition
   */
  async until(condition) {
    if (condition(this)) return
    const reached = new Promise((resolve) => { this.#onProgress = () => { if (condition(this)) resolve(undefined) } })
    await Promise.race([reached, this.ended])
    this.#onProgress = undefined
  }

  /** Kills it without a word; resolves when all that it said is heard. @returns the moment */
  async kill() {
    const at = now()
    this.process.kill('SIGKILL')
    await this.ended
    if (this.failure !== undefined) throw new Error(`the child failed: ${this.failure}`)
    return at
  }

  /** How it ended by itself. */
  async end() {
    const [code, signal] = await this.ended
    return { code, signal }
  }
}

/** Waits less than a timer can, for moments of a seeded length. @param {number} ms */
export function spin(ms) {
  for (const end = now() + ms; now() < end; );
}
