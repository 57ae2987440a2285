// @ts-check
// generate() under load, at any size: node __test__/llm/main.mjs [load] [--calls N] [--cap N] [--upstream MS] [--rounds N]. Prints a line
// of figures, and ends with 1 when a call failed, took too long, or left memory behind.

import { command, runAll } from '../torture/command.mjs'
import { load } from './load.mjs'

const USAGE = `usage: node __test__/llm/main.mjs [load] [options]
  --calls 64 --cap 16 --upstream 1000    so many at once, so many of them under way, against a model that takes so many ms
  --rounds 5                             so often again, for what it does to memory`

const { what = 'load', size, seed, refuse } = command(USAGE, ['calls', 'cap', 'upstream', 'rounds'])
if (what !== 'load') refuse()
await runAll([['load', () => load({ calls: size('calls', 64), cap: size('cap', 16), upstreamMs: size('upstream', 1000), rounds: size('rounds', 5) })]], seed)
