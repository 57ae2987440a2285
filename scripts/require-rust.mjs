// @ts-check
// Says in one line what is missing to build the addon: without Rust, the build would end in a stack of napi-cli's.
//
//   node scripts/require-rust.mjs

import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const REMEDY = 'Install it with rustup (https://rustup.rs) or from your distribution, and run this again'

/** The oldest Rust that compiles the crates, as Cargo.toml has it. */
function neededVersion() {
  const manifest = readFileSync(new URL('../Cargo.toml', import.meta.url), 'utf8')
  const [, version] = /^rust-version = "([\d.]+)"/m.exec(manifest) ?? []
  if (version === undefined) throw new Error('Cargo.toml has no rust-version')
  return version
}

/** @param {string} version */
const numbers = (version) => version.split('.').map(Number)

/**
 * What is wrong with the Rust that is here, or nothing.
 * @param {string} needed
 * @param {(program: string) => string | undefined} versionOf what `<program> --version` prints
 */
export function rustProblem(needed = neededVersion(), versionOf = printedVersion) {
  for (const program of ['cargo', 'rustc']) {
    const printed = versionOf(program)
    if (printed === undefined) return `Rust ≥ ${needed} is needed to build the addon, and there is no \`${program}\` that runs. ${REMEDY}.`
    const [, found] = /^\w+ (\d+\.\d+)/.exec(printed) ?? []
    const [major = 0, minor = 0] = numbers(found ?? '')
    const [leastMajor = 0, leastMinor = 0] = numbers(needed)
    if (!(major > leastMajor || (major === leastMajor && minor >= leastMinor))) {
      return `Rust ≥ ${needed} is needed to build the addon, and \`${program}\` is ${printed.trim()}. \`rustup update\`, or: ${REMEDY}.`
    }
  }
  return undefined
}

/** @param {string} program */
function printedVersion(program) {
  const { status, stdout } = spawnSync(program, ['--version'], { encoding: 'utf8' })
  return status === 0 ? stdout : undefined
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const problem = rustProblem()
  if (problem !== undefined) {
    process.stderr.write(`${problem}\n`)
    process.exitCode = 1
  }
}
