// @ts-check
// The torture of the event bus at any size: node __test__/nats/torture/main.mjs [what] [--messages N] [--seed N]. Prints one line of
// figures for each, and ends with 1 when anything was lost or wrong.

import { NO_SERVER } from '../../support/nats.mjs'
import { command, runAll } from '../../torture/command.mjs'
import { skip } from '../../torture/skip.mjs'
import { backlog } from './backlog.mjs'
import { cluster } from './cluster.mjs'
import { restarts } from './restarts.mjs'

/**
 * What consumption may take to go on after a leader's death. The servers' elections of another leader, for the stream and for the
 * consumer, take 4 to 9 s each, side by side; a request that the dead one has taken with it stands for 2.25 s.
 */
const RESUME_MS = 10_000
const USAGE = `usage: node __test__/nats/torture/main.mjs [what] [options]
  restarts --messages 20000              server and consumer are killed, twice each
  cluster  --messages 20000 --kills 5    the leader of three is killed under load
  backlog  --messages 100000             how quickly, and what it does to score()
  all                                    everything, at these sizes
  --seed N  for all of them; drawn and printed where it is not given`

const { what = 'all', size, seed, refuse } = command(USAGE, ['messages', 'kills'])

/** @param {string} victim */
const onKill = (victim) => process.stderr.write(`torture: ${victim} is killed …\n`)

/** @param {() => Promise<object>} work */
const onServer = (work) => async () => (NO_SERVER === false ? work() : skip(NO_SERVER))

/** @type {Record<string, import('../../torture/command.mjs').Torture>} */
const TESTS = {
  restarts: ['restarts', onServer(() => restarts({ messages: size('messages', 20_000), seed, onKill }))],
  cluster: ['cluster', onServer(() => cluster({ messages: size('messages', 20_000), kills: size('kills', 5), seed, resumeMs: RESUME_MS, onKill }))],
  backlog: ['backlog', onServer(() => backlog({ messages: size('messages', 100_000), seed }))],
}

const chosen = what === 'all' ? Object.values(TESTS) : [Object.hasOwn(TESTS, what) ? TESTS[what] : undefined]
await runAll(chosen.map((test) => test ?? refuse()), seed)
