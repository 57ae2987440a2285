// Flushes that are asked for in one turn share one call: a server whose requests come together settles one promise, not one each,
// and all that was rewarded in that turn goes with one sync of the disk.

export class SharedFlush {
  readonly #flush: () => Promise<void>
  #shared: Promise<void> | undefined
  #resolve: ((flushed: Promise<void>) => void) | undefined

  /** `flush` covers whatever was acknowledged before it is called. */
  constructor(flush: () => Promise<void>) {
    this.#flush = flush
  }

  /** Settles as a flush that begins after this call does. */
  ask(): Promise<void> {
    if (this.#shared === undefined) {
      this.#shared = new Promise((resolve) => {
        this.#resolve = resolve
      })
      // No timer, nextTick or queueMicrotask of the caller's realm: test runners put their own in the place of those.
      void Promise.resolve().then(() => this.begin())
    }
    return this.#shared
  }

  /** Begins what was asked for, now: before a call that must come after it. */
  begin(): void {
    const resolve = this.#resolve
    this.#shared = this.#resolve = undefined
    resolve?.(this.#flush())
  }
}
