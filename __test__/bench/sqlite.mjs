// @ts-check
// Installs what the SQLite opponent needs, on demand: better-sqlite3 stands in sqlite/package.json, not in the root's, so
// that `npm ci` neither downloads nor compiles it.
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const HOME = fileURLToPath(new URL('./sqlite/', import.meta.url))

/** Whether it loads here and now: in this version of Node and not only on the disk. */
export function sqliteWorks() {
  const probe = "new (require('better-sqlite3'))(':memory:').close()"
  return existsSync(join(HOME, 'node_modules')) && spawnSync(process.execPath, ['-e', probe], { cwd: HOME }).status === 0
}

/** Compiling takes a minute where no prebuilt binary can be downloaded. @returns {string | null} why it is not there */
export function installSqlite() {
  if (sqliteWorks()) return null
  process.stderr.write('installing better-sqlite3 for the bench; a build from source takes a minute …\n')
  const prefix = dirname(dirname(process.execPath))
  const env = { ...process.env }
  // Node's own headers, where they came with it: node-gyp would download them.
  if (existsSync(join(prefix, 'include/node/node.h'))) env['npm_config_nodedir'] ??= prefix
  const npm = spawnSync('npm', ['ci', '--no-audit', '--no-fund'], { cwd: HOME, env, encoding: 'utf8', timeout: 10 * 60_000 })
  if (npm.status === 0 && sqliteWorks()) return null
  const reason = npm.error?.message ?? npm.stderr.split('\n').find((line) => /npm (error|ERR!)/.test(line))
  return reason ?? 'what npm installed does not load'
}
