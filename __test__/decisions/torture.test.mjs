// @ts-check
// The torture of decisions at a size for every run; at full size: npm run torture -- decisions. TORTURE_SEED repeats a run's draws;
// moments in time are the machine's.

import { test } from 'node:test'

import { decisionTorture } from './torture.mjs'

test('each final reward is learned from once, whatever comes twice, late or not at all', async (t) => {
  const seed = Number(process.env['TORTURE_SEED'] ?? Math.floor(Math.random() * 1e9))
  t.diagnostic(`TORTURE_SEED=${seed}`)
  t.diagnostic(JSON.stringify(await decisionTorture({ decisions: 1500, seed })))
})
