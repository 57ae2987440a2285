// Engines that are still open when the process (or worker) ends: what they have queued is written before it does. Not run when
// the process is killed; then what the writer's thread has not yet written is lost, as docs/state-files.md says.

import type { NativeEngine } from '../dist/addon'

/** How long the end of the process may wait for the disk. */
const PATIENCE_MS = 5000

/** Holding the engines here also keeps an engine that nobody closes open until the end, as an open file would be. */
const open = new Map<object, NativeEngine>()

export function closeAtExit(owner: object, engine: NativeEngine): void {
  if (open.size === 0) process.once('exit', closeAll)
  open.set(owner, engine)
}

export function forgetAtExit(owner: object): void {
  open.delete(owner)
  if (open.size === 0) process.removeListener('exit', closeAll)
}

function closeAll(): void {
  for (const engine of open.values()) {
    if (!engine.closeNow(PATIENCE_MS)) process.stderr.write(`@oo/bandits: state was not written within ${PATIENCE_MS} ms of the exit\n`)
  }
  open.clear()
}
