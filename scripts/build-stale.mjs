// @ts-check
// Builds what is missing in dist/ or older than its sources: the addon, the TypeScript face. For what needs a build and is not about
// building; `npm run build` builds everything.
//
//   node scripts/build-stale.mjs

import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { rustProblem } from './require-rust.mjs'

/** @typedef {{ script: string, name: string, sources: string[] }} Part `sources`: files, and directories with all that is in them */

/** @type {Part} */
const ADDON = {
  script: 'build:native',
  name: 'the addon',
  sources: ['src', 'Cargo.toml', 'Cargo.lock', 'build.rs'],
}
/** @type {Part} */
const FACE = { script: 'build:lib', name: 'the TypeScript face', sources: ['lib'] }

/** What `napi build` calls the addon of this platform. */
export function addonName() {
  const { platform, arch } = process
  const { header } = /** @type {{ header: { glibcVersionRuntime?: string } }} */ (process.report.getReport())
  const abi = platform === 'linux' ? (header.glibcVersionRuntime === undefined ? '-musl' : '-gnu') : ''
  return `bandits.${platform}-${arch}${abi}.node`
}

/** What is to be built in a checkout. @param {string} root */
export function staleParts(root) {
  const face = readdirSync(join(root, 'lib'), { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.ts')).map((name) => name.replace(/\.ts$/, '.js'))
  const built = /** @type {[Part, string[]][]} */ ([[ADDON, [addonName(), 'addon.js']], [FACE, face]])
  return built.flatMap(([part, names]) => (isStale(root, names, part.sources) ? [part] : []))
}

/** Whether one of these files in dist/ is missing, or older than one of the sources. @param {string} root @param {string[]} built @param {string[]} sources */
function isStale(root, built, sources) {
  const changed = Math.max(...sources.map((source) => newest(join(root, source))))
  return built.some((name) => {
    const path = join(root, 'dist', name)
    return !existsSync(path) || statSync(path).mtimeMs < changed
  })
}

/** When a file was written, or the newest of those in a directory. @param {string} path @returns {number} */
function newest(path) {
  const stats = statSync(path)
  return stats.isDirectory() ? Math.max(0, ...readdirSync(path).map((name) => newest(join(path, name)))) : stats.mtimeMs
}

function main() {
  const root = fileURLToPath(new URL('..', import.meta.url))
  const parts = staleParts(root)
  const problem = parts.includes(ADDON) ? rustProblem() : undefined
  if (problem !== undefined) {
    process.stderr.write(`${problem}\n`)
    process.exitCode = 1
    return
  }
  for (const { script, name } of parts) {
    process.stderr.write(`Building ${name}, which is missing or older than its sources (npm run ${script})\n`)
    const { status } = spawnSync('npm', ['run', '--silent', script], { cwd: root, stdio: ['ignore', 2, 2] })
    if (status !== 0) {
      process.stderr.write(`npm run ${script} failed\n`)
      process.exitCode = 1
      return
    }
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) main()
