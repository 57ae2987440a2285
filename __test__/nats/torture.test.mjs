// @ts-check
// The torture of the event bus at a size for every run: node __test__/nats/torture/main.mjs has it at any other. TORTURE_SEED repeats
// a run's draws; moments in time are the machine's.

import { describe, test } from 'node:test'

import { NO_SERVER } from '../support/nats.mjs'
import { backlog } from './torture/backlog.mjs'
import { cluster } from './torture/cluster.mjs'
import { restarts } from './torture/restarts.mjs'

const seed = Number(process.env['TORTURE_SEED'] ?? Math.floor(Math.random() * 1e9))

/** @param {string} name @param {() => Promise<object>} work */
function torture(name, work) {
  test(name, async (t) => {
    t.diagnostic(`TORTURE_SEED=${seed}`)
    t.diagnostic(JSON.stringify(await work()))
  })
}

// Elections and attempts to connect are waited for, mostly: side by side.
describe('the bus under torture', { skip: NO_SERVER, concurrency: true }, () => {
  torture('server and consumer are killed, twice each', () => restarts({ messages: 1500, seed, hurry: true }))
  torture('the leader of three servers is killed', () => cluster({ messages: 1500, seed, hurry: true }))
})

describe('a backlog', { skip: NO_SERVER }, () => {
  torture('is worked off beside score()', () => backlog({ messages: 10_000, seed, quietMs: 500 }))
})
