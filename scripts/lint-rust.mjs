// @ts-check
// rustfmt and clippy over the crate, with and without the Node glue. A Rust installation without these components can still build
// and test: then this says plainly what was left out.
import { spawnSync } from 'node:child_process'

import { missing } from './obtained.mjs'

/** @param {string[]} args */
function cargo(args, /** @type {'inherit' | 'ignore'} */ stdio = 'inherit') {
  return spawnSync('cargo', args, { stdio }).status === 0
}

const CLIPPY = ['clippy', '--locked', '--all-targets']
for (const [component, runs] of /** @type {const} */ ([
  ['fmt', [['fmt', '--all', '--check']]],
  ['clippy', [[...CLIPPY, '--', '-D', 'warnings'], [...CLIPPY, '--no-default-features', '--', '-D', 'warnings']]],
])) {
  if (!cargo([component, '--version'], 'ignore')) {
    missing(`lint:rust: skipped ${component}, which this Rust installation does not have (rustup component add ${component === 'fmt' ? 'rustfmt' : component})`)
    continue
  }
  for (const run of runs) if (!cargo([...run])) process.exit(1)
}
