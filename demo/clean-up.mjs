// @ts-check
// Leaves nothing behind: what was opened is closed and removed when the demo ends, fails, or is interrupted.
import { mkdtempSync, rmSync } from 'node:fs'
import { constants, tmpdir } from 'node:os'
import { join } from 'node:path'

/** @type {readonly NodeJS.Signals[]} */
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP']

export class CleanUp {
  /** True once a signal asked for the end: what fails after that fails because of it. */
  interrupted = false
  /** @type {(() => Promise<void> | void)[]} */
  #steps = []
  /** @type {Promise<void> | undefined} */
  #running

  /** Registers what to undo; the last one is undone first. @param {() => Promise<void> | void} step */
  defer(step) {
    this.#steps.push(step)
  }

  /** A new directory, removed in the end. @param {string} prefix */
  temporaryDirectory(prefix) {
    const path = mkdtempSync(join(tmpdir(), prefix))
    this.defer(() => rmSync(path, { recursive: true, force: true }))
    return path
  }

  /** Undoes everything, once. A step that fails does not keep the others from running. */
  run() {
    this.#running ??= this.#undo()
    return this.#running
  }

  async #undo() {
    /** @type {unknown[]} */
    const errors = []
    for (const step of this.#steps.reverse()) {
      try {
        await step()
      } catch (error) {
        errors.push(error)
      }
    }
    if (errors.length > 0) throw errors[0]
  }

  /** Ctrl-C and its kin clean up first, then end the process with the usual 128 + signal. */
  onSignals() {
    for (const signal of SIGNALS) {
      process.on(signal, () => {
        this.interrupted = true
        const exit = () => process.exit(128 + constants.signals[signal])
        this.run().then(exit, exit)
      })
    }
  }
}
