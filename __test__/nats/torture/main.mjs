// @ts-check
// The torture of the event bus at any size: node __test__/nats/torture/main.mjs [what] [--messages N] [--seed N]. Prints one line of
// figures for each, and ends with 1 when anything was lost or wrong.

import { parseArgs } from 'node:util'

import { NO_SERVER } from '../../support/nats.mjs'
import { orSkip, skip } from '../../torture/skip.mjs'
import { backlog } from './backlog.mjs'
import { cluster } from './cluster.mjs'
import { restarts } from './restarts.mjs'

const USAGE = `usage: node __test__/nats/torture/main.mjs [what] [options]
  restarts --messages 20000              server and consumer are killed, twice each
  cluster  --messages 20000 --kills 5    the leader of three is killed under load
  backlog  --messages 100000             how quickly, and what it does to score()
  all                                    everything, at these sizes
  --seed N  for all of them; drawn and printed where it is not given`

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: Object.fromEntries(['messages', 'kills', 'seed'].map((name) => [name, { type: /** @type {const} */ ('string') }])),
})
/** @param {string} name @param {number} standard */
function size(name, standard) {
  const value = Number(values[name] ?? standard)
  if (Number.isSafeInteger(value) && value >= 0) return value
  process.stderr.write(`--${name} takes a number\n${USAGE}\n`)
  process.exit(2)
}
const seed = size('seed', Math.floor(Math.random() * 1e9))

/** @param {string} what */
const onKill = (what) => process.stderr.write(`torture: ${what} is killed …\n`)

/** @type {Record<string, () => Promise<object>>} */
const TESTS = {
  restarts: () => restarts({ messages: size('messages', 20_000), seed, onKill }),
  cluster: () => cluster({ messages: size('messages', 20_000), kills: size('kills', 5), seed, onKill }),
  backlog: () => backlog({ messages: size('messages', 100_000), seed }),
}

const [what = 'all'] = positionals
const names = what === 'all' ? Object.keys(TESTS) : [what]
if (!names.every((name) => Object.hasOwn(TESTS, name)) || positionals.length > 1) {
  process.stderr.write(`${USAGE}\n`)
  process.exit(2)
}
let failed = 0
for (const name of names) {
  const began = performance.now()
  try {
    const figures = await orSkip(name, async () => (NO_SERVER === false ? TESTS[name]?.() : skip(NO_SERVER)))
    if (figures !== undefined) process.stdout.write(`torture: ${name}: ok in ${((performance.now() - began) / 1000).toFixed(1)} s: ${JSON.stringify(figures)}\n`)
  } catch (error) {
    failed++
    process.stdout.write(`torture: ${name}: FAILED (seed ${seed}): ${error instanceof Error ? error.stack : String(error)}\n`)
  }
}
process.exitCode = failed > 0 ? 1 : 0
