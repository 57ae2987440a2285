// @ts-check
// Runs a command while the machine is busy: for each processor two threads compute without a pause, and one writes a file and syncs it
// without a pause. A test that depends on how soon another thread or the disk is done fails here before it fails in CI.
//   node scripts/busy.mjs npm run test:node
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, fsyncSync, mkdirSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { isMainThread, Worker, workerData } from 'node:worker_threads'

/** Beside the tests' files, on the same disk. */
const HOME = join(import.meta.dirname, '../.cache')

if (isMainThread) await beside(process.argv.slice(2))
else if (workerData.file === undefined) for (;;);
else keepSyncing(workerData.file)

/** @param {string[]} command */
async function beside([command, ...args]) {
  if (command === undefined) throw new Error('usage: node scripts/busy.mjs <command> [argument …]')
  mkdirSync(HOME, { recursive: true })
  const scratch = mkdtempSync(join(HOME, 'busy-'))
  const threads = Array.from({ length: 3 * availableParallelism() }, (_thread, i) => new Worker(new URL(import.meta.url), { workerData: { file: i % 3 === 2 ? join(scratch, String(i)) : undefined } }))
  try {
    const [code] = await once(spawn(command, args, { stdio: 'inherit' }), 'exit')
    process.exitCode = code ?? 1
  } finally {
    await Promise.all(threads.map((thread) => thread.terminate()))
    rmSync(scratch, { recursive: true })
  }
}

/** @param {string} path @returns {never} */
function keepSyncing(path) {
  const [file, block] = [openSync(path, 'w'), Buffer.alloc(1 << 20)]
  try {
    for (;;) {
      writeSync(file, block, 0, block.length, 0)
      fsyncSync(file)
    }
  } finally {
    closeSync(file)
  }
}
