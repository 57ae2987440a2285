// @ts-check
// What the commands that run torture tests share: sizes and a seed from the command line, and a line of figures for each test.

import { parseArgs } from 'node:util'

import { orSkip } from './skip.mjs'

/** @typedef {[name: string, work: () => Promise<object>]} Torture */

/** Reads the command line: at most one test's name, and options with a value. @param {string} usage @param {string[]} options beside `seed` */
export function command(usage, options) {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: Object.fromEntries([...options, 'seed'].map((name) => [name, { type: /** @type {const} */ ('string') }])),
  })
  /** @param {string} [problem] @returns {never} */
  const refuse = (problem) => {
    process.stderr.write(`${problem === undefined ? '' : `${problem}\n`}${usage}\n`)
    process.exit(2)
  }
  /** @param {string} name @param {number} standard */
  const size = (name, standard) => {
    const value = Number(values[name] ?? standard)
    if (Number.isSafeInteger(value) && value >= 0) return value
    return refuse(`--${name} takes a number`)
  }
  if (positionals.length > 1) refuse()
  return { what: positionals[0], values, size, seed: size('seed', Math.floor(Math.random() * 1e9)), refuse }
}

/** Runs tests one after the other; the process ends with 1 when something was lost or wrong. @param {Torture[]} tests @param {number} seed */
export async function runAll(tests, seed) {
  for (const [name, work] of tests) {
    const began = performance.now()
    try {
      const figures = await orSkip(name, work)
      if (figures !== undefined) process.stdout.write(`torture: ${name}: ok in ${((performance.now() - began) / 1000).toFixed(1)} s: ${JSON.stringify(figures)}\n`)
    } catch (error) {
      process.exitCode = 1
      process.stdout.write(`torture: ${name}: FAILED (seed ${seed}): ${error instanceof Error ? error.stack : String(error)}\n`)
    }
  }
}
