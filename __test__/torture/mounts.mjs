// @ts-check
// File systems of our own to fill, to make read-only and to cut the power of. They need root.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, mkdirSync, openSync, ftruncateSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { join } from 'node:path'

import { hasProgram, isRoot, run, skip } from './skip.mjs'

/**
 * @template T
 * @param {string} scratch
 * @param {string} size as `mount` takes it
 * @param {(mount: string) => Promise<T>} work
 */
export async function withTmpfs(scratch, size, work) {
  if (!isRoot()) skip('mounting a small file system needs root', { needsRoot: true })
  const point = join(scratch, 'tmpfs')
  mkdirSync(point, { recursive: true })
  try {
    run('mount', ['-t', 'tmpfs', '-o', `size=${size},mode=700`, 'tmpfs', point])
  } catch (error) {
    skip(`tmpfs cannot be mounted here: ${String(error).split('\n')[0]}`, { needsRoot: true })
  }
  try {
    return await work(point)
  } finally {
    // Lazily: an engine that a failed check left behind may still have it.
    run('umount', ['-l', point])
  }
}

// _IOR('X', 125, __u32) of ext4, and "do not even write the journal out": what a power cut is to a file system.
const CUTTER = `
import fcntl, os, struct, sys
print("ready", flush=True)
for path in sys.stdin:
    fd = os.open(path.rstrip("\\n"), os.O_RDONLY)
    fcntl.ioctl(fd, 0x8004587D, struct.pack("I", 2))
    os.close(fd)
    print("cut", flush=True)
`

/** An ext4 file system in a file, mounted through a loop device, whose power can be cut. */
export class PowerSupply {
  /** @param {string} scratch @param {number} megabytes */
  static async plug(scratch, megabytes) {
    if (!isRoot()) skip('mounting a file system and cutting its power needs root', { needsRoot: true })
    for (const program of ['mkfs.ext4', 'losetup', 'python3']) if (!hasProgram(program)) skip(`${program} is not here`, { needsRoot: true })
    const image = join(scratch, 'image')
    const file = openSync(image, 'w')
    ftruncateSync(file, megabytes << 20)
    closeSync(file)
    const supply = new PowerSupply(image, join(scratch, 'mount'))
    mkdirSync(supply.mountPoint)
    try {
      run('mkfs.ext4', ['-q', '-F', image])
      supply.mount()
    } catch (error) {
      skip(`no loop device: ${String(error).split('\n')[0]}`, { needsRoot: true })
    }
    await supply.#start()
    return supply
  }

  /** @param {string} image @param {string} mountPoint */
  constructor(image, mountPoint) {
    this.image = image
    this.mountPoint = mountPoint
    this.isMounted = false
  }

  async #start() {
    // Ready beforehand, so that the cut comes at once when it is asked for.
    this.cutter = spawn('python3', ['-u', '-c', CUTTER], { stdio: ['pipe', 'pipe', 'inherit'] })
    this.answers = createInterface({ input: /** @type {any} */ (this.cutter.stdout) })[Symbol.asyncIterator]()
    await this.#expect('ready')
  }

  /** @param {string} word */
  async #expect(word) {
    const { value } = await /** @type {any} */ (this.answers).next()
    if (value !== word) throw new Error(`the process that cuts the power said ${value} instead of ${word}`)
  }

  mount() {
    run('mount', ['-o', 'loop', this.image, this.mountPoint])
    this.isMounted = true
  }

  unmount() {
    run('umount', [this.mountPoint])
    this.isMounted = false
  }

  /** From here on nothing more reaches the image; resolves when that is so. */
  async cut() {
    this.cutter?.stdin?.write(`${this.mountPoint}\n`)
    await this.#expect('cut')
  }

  async unplug() {
    this.cutter?.stdin?.end()
    if (this.cutter !== undefined && this.cutter.exitCode === null) await once(this.cutter, 'exit')
    if (this.isMounted) run('umount', ['-l', this.mountPoint])
  }
}
