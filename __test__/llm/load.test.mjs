// @ts-check
// The measurement of generate() under load, at a size for every run: node __test__/llm/main.mjs has it at any other. Times are not judged
// here: other tests run beside.

import { test } from 'node:test'

import { load } from './load.mjs'

test('many calls at once are all answered, no more of them at a time than are allowed', async (t) => {
  t.diagnostic(JSON.stringify(await load({ calls: 16, cap: 4, upstreamMs: 100, rounds: 1, quietMs: 50, isMeasured: false })))
})
