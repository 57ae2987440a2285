// @ts-check
// The packed package where others run it: under Jest and vitest (which evaluate it in realms and threads of their own), in a bundle, and in
// other releases of Node. Each runs smoke.js.

import assert from 'node:assert/strict'
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'

import { platformPackages } from '../../scripts/platform-packages.mjs'
import { nodeOf, runtimes } from '../../scripts/runtimes.mjs'
import { emptyProject, pack, run } from '../../scripts/tarballs.mjs'
import { ROOT } from '../support/child.mjs'

const POOLS = ['threads', 'forks', 'vmThreads', 'vmForks']
const NODES = [22, 24]

const modules = await runtimes()
const skip = modules === null ? 'there are no other runtimes' : false
/** @type {[number, string | null][]} */
const nodes = await Promise.all(NODES.map(async (major) => [major, modules && (await nodeOf(modules, major))]))

const SMOKE = readFileSync(join(import.meta.dirname, 'smoke.js'), 'utf8')
const NODE_MODULES = ['node:child_process', 'node:path']
/** @param {string[]} names */
const required = (names) => names.map((name) => `const ${variable(name)} = require(${JSON.stringify(name)})`)
/** @param {string[]} names */
const imported = (names) => names.map((name) => `import * as ${variable(name)} from ${JSON.stringify(name)}`)
/** @param {string} name */
const variable = (name) => name.replace(/^.*[:/]/, '')
/** What calls smoke(). */
const CALL = `smoke(bandits, {
  spawn: child_process.spawn, join: path.join,
  directory: process.env.SMOKE_DIRECTORY, packageDirectory: process.env.SMOKE_PACKAGE, node: process.env.SMOKE_NODE })`
const MAIN = [SMOKE, `${CALL}.then(() => console.log('passed'), (error) => { console.error(error); process.exitCode = 1 })`]
const AS_TEST = [SMOKE, `test('smoke', () => ${CALL}, 120_000)`]

/** @type {{ directory: string, remove(): void }} */
let project
let runs = 0

before(() => {
  if (skip) return
  const work = mkdtempSync(join(tmpdir(), 'bandits-runtimes-'))
  try {
    const platform = platformPackages().find(({ binary }) => existsSync(join(ROOT, 'dist', binary)))
    assert.ok(platform, 'dist has no binary of a published platform: npm run build')
    const directory = join(work, 'platform')
    mkdirSync(directory)
    for (const name of readdirSync(join(ROOT, platform.dir))) copyFileSync(join(ROOT, platform.dir, name), join(directory, name))
    copyFileSync(join(ROOT, 'dist', platform.binary), join(directory, platform.binary))
    project = emptyProject([pack(ROOT, work).tarball, pack(directory, work).tarball])
  } finally {
    rmSync(work, { recursive: true, force: true })
  }
})

after(() => project?.remove())

/**
 * A directory of the project with one file, and what runs a program in it.
 * @param {string} name
 * @param {string} file
 * @param {string[]} lines
 */
function place(name, file, lines) {
  const directory = join(project.directory, name)
  mkdirSync(directory, { recursive: true })
  writeFileSync(join(directory, file), `${lines.join('\n')}\n`)
  /** @param {string} program @param {string[]} args */
  return (program, args) => {
    const states = join(project.directory, `run-${(runs += 1)}`)
    mkdirSync(states)
    const env = { SMOKE_DIRECTORY: states, SMOKE_PACKAGE: join(project.directory, 'node_modules/@oo/bandits'), SMOKE_NODE: process.execPath, NODE_TEST_CONTEXT: '' }
    return run(program, args, { cwd: directory, env })
  }
}

/** The file of a tool. @param {...string} path */
const tool = (...path) => join(modules ?? '', ...path)

test('Jest, as it comes', { skip }, () => {
  const inPlace = place('jest', 'smoke.test.js', [...required(['@oo/bandits', ...NODE_MODULES]), ...AS_TEST])
  // It reports on stderr; it fails when there is no test, or when something is left open.
  inPlace(process.execPath, [tool('jest', 'bin', 'jest.js'), '--rootDir', '.'])
})

describe('vitest', { skip }, () => {
  /** @param {string} pool */
  const underVitest = (pool) => {
    const inPlace = place('vitest', 'smoke.test.mjs', ["import { test } from 'vitest'", ...imported(['@oo/bandits', ...NODE_MODULES]), ...AS_TEST])
    const link = join(project.directory, 'node_modules/vitest')
    if (!existsSync(link)) symlinkSync(tool('vitest'), link)
    assert.match(inPlace(process.execPath, [tool('vitest', 'vitest.mjs'), 'run', `--pool=${pool}`, '--no-color']), /1 passed/)
  }
  for (const pool of POOLS) test(`--pool=${pool}`, () => underVitest(pool))
})

test('a bundle of esbuild', { skip }, () => {
  const inPlace = place('esbuild', 'main.mjs', [...imported(['@oo/bandits', ...NODE_MODULES]), ...MAIN])
  inPlace(process.execPath, [tool('esbuild', 'bin', 'esbuild'), 'main.mjs', '--bundle', '--platform=node', '--loader:.node=copy', '--outfile=bundle/main.cjs', '--log-level=error'])
  // All that it needs stands beside it.
  const bundle = mkdtempSync(join(tmpdir(), 'bandits-bundle-'))
  try {
    for (const name of readdirSync(join(project.directory, 'esbuild/bundle'))) copyFileSync(join(project.directory, 'esbuild/bundle', name), join(bundle, name))
    assert.match(inPlace(process.execPath, [join(bundle, 'main.cjs')]), /^passed$/m)
  } finally {
    rmSync(bundle, { recursive: true, force: true })
  }
})

for (const [major, node] of nodes)
  describe(`Node ${major}`, { skip: node === null && `there is no Node ${major}` }, () => {
    for (const [how, file, head] of /** @type {const} */ ([['require', 'main.cjs', required], ['import', 'main.mjs', imported]]))
      test(how, () => {
        const inPlace = place(`node${major}`, file, [...head(['@oo/bandits', ...NODE_MODULES]), ...MAIN])
        assert.match(inPlace(String(node), ['-p', 'process.version']), new RegExp(`^v${major}\\.`))
        assert.match(inPlace(String(node), [file]), /^passed$/m)
      })
  })
