// How the id of a chosen tip reaches native code: written into the record that the score call left in the ring, and published.
// The layout is that of src/engine/pull_ring.rs.

import type { NativeChannel } from '../dist/addon'
import { RECORD_ID_BYTES, RECORD_WORDS, RING_HEADER_WORDS, RING_RECORDS } from './frame'

/** Place of the published counter, in 4-byte words. */
const HEAD = 0
const RECORD_BYTES = RECORD_WORDS * 8
const ID_LENGTH = 4 * 8
const ID = ID_LENGTH + 8
/** The length of an id that native code has already. */
const NAMED_ALREADY = -1

export class PullRing {
  readonly #channel: NativeChannel
  readonly #bytes: Uint8Array
  readonly #words: Int32Array
  #head: number

  constructor(channel: NativeChannel) {
    this.#channel = channel
    this.#bytes = channel.ring()
    this.#words = new Int32Array(this.#bytes.buffer, this.#bytes.byteOffset, this.#bytes.byteLength / 4)
    this.#head = this.#words[HEAD]
  }

  /** Names the tip of the oldest unpublished pull, and publishes it. */
  publish(tipId: string): void {
    const bytes = this.#bytes
    const record = RING_HEADER_WORDS * 8 + (this.#head & (RING_RECORDS - 1)) * RECORD_BYTES
    let length = tipId.length
    if (length <= RECORD_ID_BYTES) {
      const at = record + ID
      let seen = 0
      for (let i = 0; i < length; i++) {
        const unit = tipId.charCodeAt(i)
        seen |= unit
        bytes[at + i] = unit
      }
      if (seen > 0xff) length = this.#nameNatively(tipId)
    } else {
      length = this.#nameNatively(tipId)
    }
    this.#words[(record + ID_LENGTH) >> 2] = length
    this.#head = (this.#head + 1) | 0
    // The store that lets other threads see the record must come after those that wrote it.
    Atomics.store(this.#words, HEAD, this.#head)
  }

  #nameNatively(tipId: string): number {
    this.#channel.nameLast(tipId)
    return NAMED_ALREADY
  }
}
