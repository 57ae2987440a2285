// @ts-check
// One bit flipped anywhere in what the package wrote, then open(): it succeeds or fails with a typed error, nothing is wrong
// without being said, and nothing is lost but the record whose line was hit.

import { spawn } from 'node:child_process'
import { readdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { once } from 'node:events'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

import { random } from '../bench/workload.mjs'
import { segmentNames } from './log-reader.mjs'
import { withScratch, quickPlace } from './scratch.mjs'
import { MIX_WITH_DECISIONS } from './script.mjs'
import { closedSpecimen, killedSpecimen } from './specimen.mjs'

/** @typedef {{ number: number, specimen: string, kind: string, file: string, byte: number, bit: number }} Flip */

const JUDGE = fileURLToPath(new URL('flip-judge.mjs', import.meta.url))
export const USERS = 6
const RECIPE = { users: USERS, mix: MIX_WITH_DECISIONS }
/** Which directories are damaged, and how often each. */
const SPECIMENS = /** @type {const} */ ([['killed', 5], ['closed', 3], ['short', 2]])

/**
 * @param {{ flips: number, seed: number, onFlip?: (number: number) => void }} settings
 */
export async function flipBits({ flips: count, seed, onFlip }) {
  /** @type {Record<string, number>} */
  const tally = {}
  /** @type {string[]} */
  const problems = []
  await withScratch(async (scratch) => {
    const killed = join(scratch, 'killed')
    await killedSpecimen(killed, { ...RECIPE, calls: 60, killedCalls: 30, seed })
    const closed = join(scratch, 'closed')
    await closedSpecimen(closed, { ...RECIPE, calls: 40, seed })
    await closedSpecimen(closed, { ...RECIPE, calls: 40, seed: seed + 1 })
    // What retention leaves: a log that does not begin at the beginning, so that a damaged file can be rebuilt in part only.
    const short = join(scratch, 'short')
    await closedSpecimen(short, { ...RECIPE, calls: 60, seed: seed + 2 })
    await closedSpecimen(short, { ...RECIPE, calls: 30, seed: seed + 3 })
    rmSync(join(short, 'log', /** @type {string} */ (segmentNames(join(short, 'log'))[0])))
    const flips = draw(scratch, count, seed)
    for (let next = 0; next < flips.length; ) {
      next = await judge(scratch, flips.slice(next), next, (verdict) => {
        tally[verdict.outcome] = (tally[verdict.outcome] ?? 0) + 1
        problems.push(...verdict.problems)
        onFlip?.(verdict.number)
      }, (crash) => {
        tally['crashed'] = (tally['crashed'] ?? 0) + 1
        problems.push(crash)
      })
    }
    if (problems.length > 0) throw new Error(`bit flips, seed ${seed}: ${problems.length} problems:\n  ${problems.slice(0, 20).join('\n  ')}\n${JSON.stringify(tally)}`)
  }, quickPlace())
  const total = Object.values(tally).reduce((sum, one) => sum + one, 0)
  if (total !== count) throw new Error(`${total} verdicts on ${count} flips`)
  return { flips: count, ...tally, seed }
}

/** @param {string} scratch @param {number} count @param {number} seed @returns {Flip[]} */
function draw(scratch, count, seed) {
  const rng = random(seed)
  const weights = SPECIMENS.reduce((sum, [, weight]) => sum + weight, 0)
  const files = new Map(SPECIMENS.map(([name]) => [name, filesOf(join(scratch, name))]))
  return Array.from({ length: count }, (_flip, number) => {
    let left = rng() * weights
    const [kind] = SPECIMENS.find(([, weight]) => (left -= weight) < 0) ?? SPECIMENS[0]
    const list = /** @type {{ name: string, size: number }[]} */ (files.get(kind))
    // Half by bytes, so that long files get their share, and half by files, so that small ones do.
    const total = list.reduce((sum, { size }) => sum + size, 0)
    let at = rng() * total
    const byBytes = list.find(({ size }) => (at -= size) < 0)
    const { name, size } = /** @type {{ name: string, size: number }} */ (rng() < 0.5 && byBytes ? byBytes : list[Math.floor(rng() * list.length)])
    return { number, specimen: join(scratch, kind), kind, file: name, byte: Math.floor(rng() * size), bit: Math.floor(rng() * 8) }
  })
}

/** All that the package wrote, the lock apart: who holds it is not in its bytes. @param {string} directory */
function filesOf(directory) {
  const names = /** @type {string[]} */ (readdirSync(directory, { recursive: true }))
  const files = names.map((name) => ({ name, stat: statSync(join(directory, name)) })).filter(({ name, stat }) => stat.isFile() && stat.size > 0 && name !== '.lock')
  return files.map(({ name, stat }) => ({ name, size: stat.size })).sort((a, b) => (a.name < b.name ? -1 : 1))
}

/**
 * Judges flips in a process of their own; returns where to go on after it ended, by itself or not.
 * @param {string} scratch @param {Flip[]} flips @param {number} first
 * @param {(verdict: { number: number, outcome: string, problems: string[] }) => void} onVerdict
 * @param {(crash: string) => void} onCrash
 */
async function judge(scratch, flips, first, onVerdict, onCrash) {
  const child = spawn(process.execPath, [JUDGE, join(scratch, 'work')], { stdio: ['pipe', 'pipe', 'pipe'] })
  let stderr = ''
  child.stderr.setEncoding('utf8').on('data', (text) => { stderr = (stderr + text).slice(-2000) })
  let done = 0
  let rest = ''
  child.stdout.setEncoding('utf8').on('data', (/** @type {string} */ text) => {
    const lines = (rest + text).split('\n')
    rest = lines.pop() ?? ''
    for (const line of lines) {
      onVerdict(JSON.parse(line))
      done++
    }
  })
  child.stdin.on('error', () => {})
  child.stdin.end(JSON.stringify(flips))
  const [code, signal] = await once(child, 'close')
  if (code === 0 && done === flips.length) return first + done
  const { kind, file, byte, bit } = /** @type {Flip} */ (flips[done])
  onCrash(`flip ${first + done} (${kind}, ${file} byte ${byte} bit ${bit}): the process ended with ${code ?? signal}: ${stderr}`)
  return first + done + 1
}

/** The bit flipped back is the file again. @param {string} path @param {{ byte: number, bit: number }} flip */
export function flipped(path, { byte, bit }) {
  const bytes = readFileSync(path)
  bytes[byte] = /** @type {number} */ (bytes[byte]) ^ (1 << bit)
  return bytes
}
