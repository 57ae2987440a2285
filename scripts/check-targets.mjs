// @ts-check
// Compiles the crate and its tests for every target of package.json, as far as this machine can, without linking: clippy where it is
// there, otherwise `cargo check`. A target that needs something that is not here is named with what it needs, and skipped; with
// REQUIRE_ALL=1 that is a failure.
//
//   node scripts/check-targets.mjs               every target whose standard library is installed
//   node scripts/check-targets.mjs --install     installs the missing standard libraries first (rustup target add)
//   node scripts/check-targets.mjs <target…>     these only
//
// ring compiles C for the target. Zig has the headers of each, macOS included, and cargo-zigbuild hands it to cargo: both come from PyPI,
// pinned (scripts/requirements-zig.txt, 370 MB in .cache/).
import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'

import { REQUIRE_ALL } from './obtained.mjs'
import { pythonEnv } from './python-env.mjs'

const root = fileURLToPath(new URL('..', import.meta.url))
/** @type {string[]} */
const TARGETS = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')).napi.targets

/** @param {string} program @param {string[]} args */
const output = (program, args) => {
  const { status, stdout } = spawnSync(program, args, { encoding: 'utf8' })
  return status === 0 ? stdout.trim() : ''
}

const HOST = /^host: (.*)$/m.exec(output('rustc', ['-vV']))?.[1]
const COMMAND = output('cargo', ['clippy', '--version']) ? { args: ['clippy', '--locked', '--all-targets'], end: ['--', '-D', 'warnings'] } : { args: ['check', '--locked', '--all-targets'], end: [] }

/** @param {string} target */
function hasStandardLibrary(target) {
  const directory = output('rustc', ['--print', 'target-libdir', '--target', target])
  return directory !== '' && existsSync(directory) && readdirSync(directory).some((name) => name.startsWith('libstd-'))
}

/** How cargo is called for a target, or what is missing. @param {string} target @returns {Promise<{ program: string, args: string[], env?: NodeJS.ProcessEnv } | string>} */
async function callFor(target) {
  const { args, end } = COMMAND
  // Where `npm run lint` has compiled it already.
  if (target === HOST) return { program: 'cargo', args: [...args, ...end] }
  if (!hasStandardLibrary(target)) return `its standard library is not installed (rustup target add ${target})`
  const zig = await pythonEnv('zig')
  if (zig === null) return 'there is no C compiler for it (Zig, from PyPI)'
  // As napi builds it: a cdylib needs musl's libc to be a library of its own.
  const musl = target.endsWith('musl') && { [`CARGO_TARGET_${target.toUpperCase().replaceAll('-', '_')}_RUSTFLAGS`]: '-Ctarget-feature=-crt-static' }
  const env = { ...process.env, ...musl, CARGO_ZIGBUILD_PYTHON_PATH: zig.python }
  return { program: join(dirname(zig.python), 'cargo-zigbuild'), args: [...args, '--target', target, ...end], env }
}

/** @param {string} target @param {string} outcome */
const say = (target, outcome) => process.stdout.write(`check-targets: ${target}: ${outcome}\n`)

/** Whether it is well. @param {string} target */
async function check(target) {
  const call = await callFor(target)
  if (typeof call === 'string') {
    say(target, `NOT CHECKED: ${call}`)
    return !REQUIRE_ALL
  }
  const began = performance.now()
  const { status, error } = spawnSync(call.program, call.args, { cwd: root, env: call.env, stdio: 'inherit' })
  const isWell = error === undefined && status === 0
  say(target, isWell ? `checked (${call.args[0]}, ${((performance.now() - began) / 1000).toFixed(0)} s)` : `FAILED${error === undefined ? '' : `: ${error.message}`}`)
  return isWell
}

const { values, positionals } = parseArgs({ options: { install: { type: 'boolean' } }, allowPositionals: true })
const unknown = positionals.find((target) => !TARGETS.includes(target))
if (unknown !== undefined) {
  process.stderr.write(`check-targets: ${unknown} is no target of package.json; those are ${TARGETS.join(', ')}\n`)
  process.exit(2)
}
const targets = positionals.length > 0 ? positionals : TARGETS
const absent = targets.filter((target) => target !== HOST && !hasStandardLibrary(target))
// What could not be installed is named below.
if (values.install && absent.length > 0) spawnSync('rustup', ['target', 'add', ...absent], { stdio: 'inherit' })
for (const target of targets) if (!(await check(target))) process.exitCode = 1
