// @ts-check
// Power cuts of a real file system (ext4 on a loop device, shut down without writing anything out) under a child that works on
// it. What a flush() had resolved for before the cut began is there; what only reward() acknowledged may be missing.

import { join } from 'node:path'

import { random } from '../bench/workload.mjs'
import { Child, spin } from './child.mjs'
import { Oracle } from './oracle.mjs'
import { PowerSupply } from './mounts.mjs'
import { readDirectory } from './directory.mjs'
import { withScratch } from './scratch.mjs'
import { MIX_WITH_DECISIONS } from './script.mjs'
import { verify } from './verify.mjs'

const USERS = 60
const HISTORY = 10
const MEGABYTES = 512

/**
 * @param {{ cuts: number, seed: number, onCycle?: (done: number) => void }} settings
 */
export async function powerCuts({ cuts, seed, onCycle }) {
  const rng = random(seed)
  const tally = { cuts: 0, flushes: 0, flushed: 0, torn: 0, recovered: 0, control: { cuts: 0, lost: 0 }, seed }
  await withScratch(async (scratch) => {
    const supply = await PowerSupply.plug(scratch, MEGABYTES)
    try {
      const stateDir = join(supply.mountPoint, 'state')
      const oracle = new Oracle({ historySize: HISTORY, resetsHoldTogether: false })
      while (tally.cuts < cuts) {
        const { child, covered } = await cutDuring(supply, stateDir, oracle, rng, seed * 1009 + tally.cuts, true)
        oracle.endLife((event) => covered.has(event))
        tally.torn += readDirectory(stateDir).lines.some(({ torn }) => torn) ? 1 : 0
        const verdict = await verify(stateDir, oracle, { historySize: HISTORY, seed: 1 })
        if (verdict.problems.length > 0) throw new Error(`power cut ${tally.cuts}, seed ${seed}, ${covered.size} calls flushed: ${verdict.problems.length} problems:\n  ${verdict.problems.slice(0, 20).join('\n  ')}\n${JSON.stringify(tally)}`)
        tally.cuts++
        tally.flushes += child.flushes
        tally.flushed += [...covered].filter(({ kind }) => kind === 'reward').length
        tally.recovered += verdict.recovery.applied > 0 ? 1 : 0
        onCycle?.(tally.cuts)
      }
      Object.assign(tally, { acknowledged: oracle.acknowledged, lost: oracle.lost })
      await negativeControl(supply, join(supply.mountPoint, 'control'), rng, seed, Math.max(3, Math.floor(cuts / 20)), tally.control)
    } finally {
      await supply.unplug()
    }
  })
  if (tally.flushed === 0) throw new Error('no reward was flushed before a cut: the test proves nothing')
  if (tally.control.lost === 0) throw new Error('the negative control lost nothing: the test could not tell')
  return tally
}

/**
 * The same without flush(), judged as if every acknowledgement had been one: that has to go wrong, or a cut that cuts nothing
 * would pass for proof.
 * @param {PowerSupply} supply @param {string} stateDir @param {() => number} rng @param {number} seed @param {number} cuts @param {{ cuts: number, lost: number }} control
 */
async function negativeControl(supply, stateDir, rng, seed, cuts, control) {
  for (let i = 0; i < cuts; i++) {
    const oracle = new Oracle({ historySize: HISTORY, resetsHoldTogether: false })
    await cutDuring(supply, `${stateDir}-${i}`, oracle, rng, seed * 1013 + i, false)
    oracle.endLife(({ kind }) => kind !== 'pull')
    control.cuts++
    const { problems } = await verify(`${stateDir}-${i}`, oracle, { historySize: HISTORY, seed: 1 }).catch((error) => ({ problems: [String(error)] }))
    control.lost += problems.length > 0 ? 1 : 0
  }
}

/**
 * @param {PowerSupply} supply @param {string} stateDir @param {Oracle} oracle @param {() => number} rng @param {number} seed @param {boolean} withFlush
 */
async function cutDuring(supply, stateDir, oracle, rng, seed, withFlush) {
  const flushEvery = withFlush ? 1 + Math.floor(rng() * 6) : 0
  const checkpointEvery = withFlush && rng() < 0.2 ? 20 : 0
  const child = new Child({ stateDir, seed: seed % 2 ** 32, users: USERS, burst: 1 + Math.floor(rng() * 20), flushEvery, checkpointEvery, options: { historySize: HISTORY }, mix: MIX_WITH_DECISIONS }, oracle)
  const flushes = withFlush ? 1 + Math.floor(rng() * 20) : 0
  // Without flush(): before the log's own sync, which comes once a second.
  const calls = withFlush ? 0 : 200 + Math.floor(rng() * 2000)
  await child.until((it) => it.phase === 'open' && it.flushes >= flushes && it.returned >= calls)
  spin(rng() * 2)
  // What is known at this moment was acknowledged before the cut; what is on its way here may have been answered after it.
  const covered = new Set(child.calls.slice(0, child.flushed).flat().filter(({ acknowledged }) => acknowledged))
  await supply.cut()
  child.process.kill('SIGKILL')
  await child.ended
  supply.unmount()
  supply.mount()
  return { child, covered }
}
