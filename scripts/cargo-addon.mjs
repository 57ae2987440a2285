#!/usr/bin/env node
// What `napi build` runs in place of cargo: the same, but of the library as a cdylib alone. Beside the rlib that tests and benches
// link, cargo leaves `lto` out (cargo#9672); alone, link-time optimisation makes the addon 0.4 MB smaller.

import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, rmSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const X64 = 'x86_64-unknown-linux-gnu'

/**
 * For the crates of others, all of them. Frame pointers: what a function says to those who unwind it is then a few bytes, however much
 * it pushes, and the tables of that are 0.1 MB smaller. Our own fast crates go without (rustc-own.sh): they would be up to 3 % slower.
 * Curve25519 without AVX2, 25 kB: it signs a nonce when somebody connects to NATS with a .creds file.
 */
const SMALL = ['-Cforce-frame-pointers=yes', '--cfg=curve25519_dalek_backend="serial"']

/** `napi build` always names it. */
const targetOf = (args) => args[args.indexOf('--target') + 1] ?? ''

/** The environment in which other people's crates are compiled small; elsewhere than on x86-64 that is not known to help. */
function smallEnvironment(args) {
  if (!targetOf(args).startsWith('x86_64-')) return process.env
  const { RUSTFLAGS = '', CARGO_ENCODED_RUSTFLAGS } = process.env
  const given = CARGO_ENCODED_RUSTFLAGS ? CARGO_ENCODED_RUSTFLAGS.split('\x1f') : RUSTFLAGS.split(' ').filter(Boolean)
  return {
    ...process.env,
    CARGO_ENCODED_RUSTFLAGS: [...given, ...SMALL].join('\x1f'),
    RUSTC_WORKSPACE_WRAPPER: fileURLToPath(new URL('rustc-own.sh', import.meta.url)),
  }
}

/**
 * Lets the linker keep one of several functions whose code is the same: 40 kB. Only Rust's own linker can, and only here is it known
 * to be there. With a cross compiler rustc does not choose it, and that of napi-rs is too old to know `-fuse-ld`: but every gcc runs the
 * `ld` that it finds where `-B` points.
 */
function foldingArguments(args) {
  if (process.platform !== 'linux' || process.arch !== 'x64' || targetOf(args) !== X64) return []
  const sysroot = execFileSync('rustc', ['--print', 'sysroot'], { encoding: 'utf8' }).trim()
  const lld = join(sysroot, 'lib', 'rustlib', X64, 'bin', 'gcc-ld', 'ld.lld')
  if (!existsSync(lld)) return [] // a distribution's Rust, or one for musl
  const directory = fileURLToPath(new URL('../target/lld', import.meta.url))
  mkdirSync(directory, { recursive: true })
  rmSync(join(directory, 'ld'), { force: true })
  symlinkSync(lld, join(directory, 'ld'))
  return ['--', '-C', `link-arg=-B${directory}`, '-C', 'link-arg=-Wl,--icf=all']
}

const [command, ...rest] = process.argv.slice(2)
const cdylib = ['--package', 'oo-bandits', '--lib', '--crate-type', 'cdylib']
// `cargo zigbuild`, of the musl targets, knows no crate types; `cargo-zigbuild rustc` does, and is reached by its own name only.
const program = command === 'zigbuild' ? 'cargo-zigbuild' : 'cargo'
const builds = command === 'build' || command === 'zigbuild'
const args = builds ? ['rustc', ...rest, ...cdylib, ...foldingArguments(rest)] : [command, ...rest]
const { status, error } = spawnSync(program, args, { stdio: 'inherit', env: builds ? smallEnvironment(rest) : process.env })
if (error) throw error
process.exitCode = status ?? 1
