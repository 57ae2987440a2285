// @ts-check
// Processes that must not outlive this one, however it ends: a shell reads their numbers from a pipe, and when the pipe's other end is
// gone kills those that are left.

import { spawn } from 'node:child_process'

const SCRIPT = `
  pids=''
  while read -r word pid; do
    if [ "$word" = begun ]; then pids="$pids $pid"; continue; fi
    rest=''
    for other in $pids; do [ "$other" = "$pid" ] || rest="$rest $other"; done
    pids=$rest
  done
  for pid in $pids; do kill -9 "$pid" 2>/dev/null; done`

/** @type {import('node:stream').Writable | undefined} */
let reaper

/** In a session of its own: what ends this process from a terminal does not reach it. */
function startReaper() {
  const child = spawn('sh', ['-c', SCRIPT], { detached: true, stdio: ['pipe', 'ignore', 'ignore'] })
  child.unref()
  const { stdin } = child
  const socket = /** @type {import('node:net').Socket} */ (/** @type {unknown} */ (stdin))
  socket.unref()
  return stdin
}

/** @param {import('node:child_process').ChildProcess} child */
export function endWithUs(child) {
  const { pid } = child
  if (pid === undefined) return
  reaper ??= startReaper()
  reaper.write(`begun ${pid}\n`)
  child.once('exit', () => reaper?.write(`ended ${pid}\n`))
}
