#!/usr/bin/env node
// What `napi build` runs in place of cargo: the same, but of the library as a cdylib alone. Beside the rlib that tests and benches
// link, cargo leaves `lto` out (cargo#9672); alone, link-time optimisation makes the addon 0.4 MB smaller.

import { spawnSync } from 'node:child_process'

const [command, ...rest] = process.argv.slice(2)
const cdylib = ['--lib', '--crate-type', 'cdylib']
// `zigbuild`, of the musl targets, knows no crate types: those are built as they come.
const args = command === 'build' ? ['rustc', ...rest, ...cdylib] : [command, ...rest]
const { status, error } = spawnSync('cargo', args, { stdio: 'inherit' })
if (error) throw error
process.exitCode = status ?? 1
