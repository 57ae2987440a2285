#!/usr/bin/env node
// What `napi build` runs in place of cargo: the same, but of the library as a cdylib alone. Beside the rlib that tests and benches
// link, cargo leaves `lto` out (cargo#9672); alone, link-time optimisation makes the addon 0.4 MB smaller.

import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, rmSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const X64 = 'x86_64-unknown-linux-gnu'

/**
 * Lets the linker keep one of several functions whose code is the same: 40 kB. Only Rust's own linker can, and only here is it known
 * to be there. With a cross compiler rustc does not choose it, and that of napi-rs is too old to know `-fuse-ld`: but every gcc runs the
 * `ld` that it finds where `-B` points.
 */
function foldingArguments(args) {
  const target = args.includes('--target') ? args[args.indexOf('--target') + 1] : X64
  if (process.platform !== 'linux' || process.arch !== 'x64' || target !== X64) return []
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
// `zigbuild`, of the musl targets, knows no crate types: those are built as they come.
const args = command === 'build' ? ['rustc', ...rest, ...cdylib, ...foldingArguments(rest)] : [command, ...rest]
const { status, error } = spawnSync('cargo', args, { stdio: 'inherit' })
if (error) throw error
process.exitCode = status ?? 1
