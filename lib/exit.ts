// Engines that are still open when the process (or worker) ends: what they have queued is written before it does. Not run when
// the process is killed; then the next open brings the state files up to date from the interaction log, which lacks at most the
// pulls of the last 10 ms.

import process from 'node:process'
import { messageOf } from './realm'

/** Holding the engines here also keeps an engine that nobody closes open until the end, as an open file would be. */
const open = new Map<object, () => void>()

/** Has `close` called, which waits and throws what could not be written, when the process ends before {@link forgetAtExit}. */
export function closeAtExit(owner: object, close: () => void): void {
  if (open.size === 0) process.once('exit', closeAll)
  open.set(owner, close)
}

export function forgetAtExit(owner: object): void {
  open.delete(owner)
  if (open.size === 0) process.removeListener('exit', closeAll)
}

function closeAll(): void {
  for (const close of open.values()) {
    try {
      close()
    } catch (error) {
      process.stderr.write(`@oo/bandits: state was not written before the exit: ${messageOf(error)}\n`)
    }
  }
  open.clear()
}
