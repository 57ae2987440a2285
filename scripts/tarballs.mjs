// Packing, and installing what was packed where nothing else is: an empty project, no registry.
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'

// npm hands its settings down to what it runs: a lock or a cache of the outer project has no business in the empty one.
const cleanEnvironment = () =>
  Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^npm_/i.test(name) && name !== 'NODE_OPTIONS'))

/** Runs a program and returns what it printed; what it said is in the error when it fails. */
export function run(program, args, { cwd, env } = {}) {
  try {
    return execFileSync(program, args, {
      cwd,
      env: { ...cleanEnvironment(), ...env },
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe'],
    })
  } catch (error) {
    throw new Error(`${program} ${args.join(' ')}\n${error.stdout ?? ''}${error.stderr ?? error.message}`, { cause: error })
  }
}

/** Packs the package in `directory`; resolves to `{ tarball, files, size }`. */
export function pack(directory, destination) {
  const args = ['pack', '--json', '--ignore-scripts', '--pack-destination', destination]
  const [{ filename, files, size }] = JSON.parse(run('npm', args, { cwd: directory }))
  return { tarball: join(destination, filename), files: files.map(({ path }) => path), size }
}

/** A new project with nothing but `tarballs` installed in it; `remove()` takes it away. */
export function emptyProject(tarballs, manifest = {}) {
  const directory = mkdtempSync(join(tmpdir(), 'bandits-project-'))
  writeFileSync(join(directory, 'package.json'), JSON.stringify({ private: true, ...manifest }))
  const quiet = ['--no-audit', '--no-fund', '--no-update-notifier', '--loglevel=error']
  const cache = ['--offline', '--cache', join(directory, '.npm-cache')]
  run('npm', ['install', ...cache, ...quiet, ...tarballs.map((path) => resolve(path))], { cwd: directory })
  return { directory, remove: () => rmSync(directory, { recursive: true, force: true }) }
}

/** The tarball of `name` in a directory of tarballs. */
export function tarballOf(directory, name) {
  const file = readdirSync(directory).find((entry) => new RegExp(`^${name}-\\d.*\\.tgz$`).test(entry))
  if (!file) throw new Error(`${directory} has no tarball of ${name}`)
  return join(directory, file)
}
