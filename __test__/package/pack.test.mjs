// What a user gets: the packed tarballs, installed in an empty project without a registry, in every way that they can be used.
import assert from 'node:assert/strict'
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { after, before, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { checkPackage, createPackageFromTarballData } from '@arethetypeswrong/core'
import { publint } from 'publint'
import { formatMessage } from 'publint/utils'
import { MAX_BINARY_BYTES, platformPackages } from '../../scripts/platform-packages.mjs'
import { emptyProject, pack, run } from '../../scripts/tarballs.mjs'

const root = fileURLToPath(new URL('../..', import.meta.url))
const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
const require = createRequire(import.meta.url)
const tsc = join(dirname(require.resolve('typescript/package.json')), 'bin', 'tsc')
const typeRoots = [dirname(dirname(require.resolve('@types/node/package.json')))]

const platform = platformPackages(manifest).find(({ binary }) => existsSync(join(root, 'dist', binary)))
if (!platform) throw new Error('dist has no binary of a published platform: npm run build')
const binary = join(root, 'dist', platform.binary)

let work
let packed
let packedPlatform
let project

before(() => {
  work = mkdtempSync(join(tmpdir(), 'bandits-pack-'))
  packed = pack(root, work)
  // A copy of npm/<platform> with the binary in it, as `napi artifacts` makes it at a release.
  const directory = join(work, 'platform')
  mkdirSync(directory)
  for (const name of readdirSync(join(root, platform.dir))) copyFileSync(join(root, platform.dir, name), join(directory, name))
  copyFileSync(binary, join(directory, platform.binary))
  packedPlatform = pack(directory, work)
  project = emptyProject([packed.tarball, packedPlatform.tarball])
})

after(() => {
  project?.remove()
  if (work) rmSync(work, { recursive: true, force: true })
})

let states = 0
const inProject = (program, args, cwd = project.directory) =>
  run(program, args, { cwd, env: { STATE_DIR: join(cwd, `state-${(states += 1)}`) } })

test('the binary is at most 15 MB', () => {
  const { size } = statSync(binary)
  assert.ok(size <= MAX_BINARY_BYTES, `${platform.binary} has ${size} bytes`)
})

test('the package holds the compiled face and its documents, no binary, no source, no test', () => {
  for (const file of packed.files)
    assert.match(file, /^(dist\/[\w/-]+\.js|docs\/[\w/-]+\.(md|svg|png)|index\.d\.ts|package\.json|README\.md|CHANGELOG\.md|LICENSE|THIRD-PARTY\.md)$/)
  for (const file of ['dist/index.js', 'dist/addon.js', 'index.d.ts', 'README.md', 'CHANGELOG.md', 'LICENSE', 'THIRD-PARTY.md'])
    assert.ok(packed.files.includes(file), `${file} is missing`)
  assert.ok(packed.size < 200_000, `${packed.size} bytes packed`)
})

test('a platform package holds its binary and nothing that runs', () => {
  assert.deepEqual(packedPlatform.files.sort(), ['LICENSE', 'README.md', 'THIRD-PARTY.md', platform.binary, 'package.json'].sort())
})

test('both hold the licences of what the binary contains of others', () => {
  const expected = readFileSync(join(root, 'THIRD-PARTY.md'), 'utf8')
  for (const { name } of [manifest, platform.manifest]) {
    assert.equal(readFileSync(join(project.directory, 'node_modules', name, 'THIRD-PARTY.md'), 'utf8'), expected, name)
  }
  // One of each kind: a choice, none, parts under several licences, macOS alone, and what ships no text.
  for (const crate of ['serde_json', 'async-nats', 'ring', 'security-framework', 'napi']) assert.match(expected, new RegExp(`^\\| \\[${crate} [\\d.]+\\]\\(https://.+\\) \\| .+ \\|$`, 'm'))
  // What compiles it, and what tests it, is not in it.
  for (const crate of ['syn', 'serde_derive', 'proptest', 'napi-build']) assert.doesNotMatch(expected, new RegExp(`^\\| \\[${crate} `, 'm'))
})

test('the installed package names the platform packages at its own version', () => {
  const installed = JSON.parse(readFileSync(join(project.directory, 'node_modules', manifest.name, 'package.json'), 'utf8'))
  const expected = platformPackages(manifest).map(({ manifest: { name } }) => [name, manifest.version])
  assert.deepEqual(installed.optionalDependencies, Object.fromEntries(expected))
})

const BODY = `
const features = { priority: 4 }
const candidates = [{ id: 'a', features }, { id: 'b' }]
const { tipId, policy } = score({ userId: 'u', candidates, policy: 'linucb-v1' })
reward({ userId: 'u', tipId, reward: 1, features, policy: 'linucb-v1' })
let code
try { score({ userId: '', candidates }) } catch (error) { code = error instanceof BanditError && error.code }
const { rewardCount } = stats('u', 'linucb-v1')
close().then(() => console.log(JSON.stringify({ tipId, policy, rewardCount, code })))
`
const NAMES = '{ BanditError, close, reward, score, stats }'
const EXPECTED = { tipId: 'a', policy: 'linucb-v1', rewardCount: 1, code: 'ERR_INVALID_ARGUMENT' }

test('import', () => {
  writeFileSync(join(project.directory, 'esm.mjs'), `import ${NAMES} from '@oo/bandits'\n${BODY}`)
  assert.deepEqual(JSON.parse(inProject(process.execPath, ['esm.mjs'])), EXPECTED)
})

test('import of the whole', () => {
  writeFileSync(join(project.directory, 'whole.mjs'), `import bandits from '@oo/bandits'\nconst ${NAMES} = bandits\n${BODY}`)
  assert.deepEqual(JSON.parse(inProject(process.execPath, ['whole.mjs'])), EXPECTED)
})

test('require', () => {
  writeFileSync(join(project.directory, 'cjs.cjs'), `const ${NAMES} = require('@oo/bandits')\n${BODY}`)
  assert.deepEqual(JSON.parse(inProject(process.execPath, ['cjs.cjs'])), EXPECTED)
})

test('import and require in one process are the same package', () => {
  const program = `import * as esm from '@oo/bandits'
    import { createRequire } from 'node:module'
    console.log(esm.BanditError === createRequire(import.meta.url)('@oo/bandits').BanditError)`
  assert.equal(inProject(process.execPath, ['--input-type=module', '--eval', program]).trim(), 'true')
})

test('nothing else of the package can be reached', () => {
  const program = `require('@oo/bandits/package.json'); require('@oo/bandits/dist/addon.js')`
  assert.throws(() => inProject(process.execPath, ['--eval', program]), /ERR_PACKAGE_PATH_NOT_EXPORTED/)
})

// --- TypeScript

const TYPED = `import ${NAMES.replace('stats', 'stats, type ScoreResult')} from '@oo/bandits'
export const result: ScoreResult = score({ userId: 'u', candidates: [{ id: 'a' }] })
reward({ userId: 'u', tipId: result.tipId, reward: 1, features: {} })
// @ts-expect-error a score is a number
export const text: string = result.score
export const closed: Promise<void> = close()
export const code: string = new BanditError('ERR_CLOSED', stats('u').featureLabels.join()).code
`
const resolutions = {
  'node16, an ES module': { file: 'typed.mts', module: 'node16', moduleResolution: 'node16' },
  'node16, a CommonJS module': { file: 'typed.cts', module: 'node16', moduleResolution: 'node16' },
  nodenext: { file: 'typed.mts', module: 'nodenext', moduleResolution: 'nodenext' },
  bundler: { file: 'typed.ts', module: 'esnext', moduleResolution: 'bundler' },
}

/** Type-checks one file of the empty project as a strict user would, with the repository's compiler. */
function typeCheck(name, { file, ...options }, source) {
  const strict = { strict: true, noEmit: true, skipLibCheck: false, target: 'es2022', typeRoots, types: ['node'] }
  writeFileSync(join(project.directory, file), source)
  writeFileSync(join(project.directory, name), JSON.stringify({ compilerOptions: { ...strict, ...options }, files: [file] }))
  return inProject(process.execPath, [tsc, '-p', name])
}

for (const [name, options] of Object.entries(resolutions))
  test(`TypeScript with ${name}`, () => {
    typeCheck('tsconfig.json', options, TYPED)
  })

test('TypeScript without the types of Node', () => {
  typeCheck('tsconfig.json', { ...resolutions.bundler, types: [], lib: ['es2022', 'dom'] }, TYPED)
})

test('TypeScript that is compiled and run', () => {
  const out = join(project.directory, 'out')
  // The extensions say what the output is: an ES module and a CommonJS one from the same source.
  for (const [file, output] of [['run.mts', 'run.mjs'], ['run.cts', 'run.cjs']]) {
    const program = `import ${NAMES} from '@oo/bandits'\n${BODY.replace('let code', 'let code: unknown')}`
    typeCheck('tsconfig.json', { file, module: 'node16', moduleResolution: 'node16', noEmit: false, outDir: out }, program)
    assert.deepEqual(JSON.parse(inProject(process.execPath, [join(out, output)])), EXPECTED)
  }
})

// --- the README

test("the README's first example runs as it stands", () => {
  const readme = readFileSync(join(root, 'README.md'), 'utf8')
  const example = [...readme.matchAll(/^```(?:js|ts|javascript|typescript)\n(.*?)^```$/gms)]
    .map(([, code]) => code)
    .find((code) => code.includes("from '@oo/bandits'"))
  assert.ok(example, 'README.md has no example that imports the package')
  const lines = example.trim().split('\n').filter((line) => line.trim() && !line.trim().startsWith('//'))
  assert.ok(lines.length <= 8, `the example is to be about five lines, it has ${lines.length}`)
  writeFileSync(join(project.directory, 'readme.mjs'), example)
  inProject(process.execPath, ['readme.mjs'])
  typeCheck('tsconfig.json', resolutions['node16, an ES module'], example)
})

// --- when the platform package is missing (npm lost it, or there is none)

test('without the platform package, the error says what is missing and what to do', () => {
  const bare = emptyProject([packed.tarball])
  try {
    const program = `
      try { require('@oo/bandits') } catch (error) {
        const { name, code, message } = error
        console.log(JSON.stringify({ name, code, message, everything: require('node:util').inspect(error, { depth: null }) }))
      }`
    const error = JSON.parse(inProject(process.execPath, ['--eval', program], bare.directory))
    assert.equal(error.name, 'BanditError')
    assert.equal(error.code, 'ERR_UNSUPPORTED')
    assert.match(error.message, new RegExp(`${process.platform}-${process.arch}`), 'for which platform')
    assert.match(error.message, /install/i, 'what to do')
    assert.match(error.everything, new RegExp(platform.manifest.name), 'which package')
  } finally {
    bare.remove()
  }
})

// --- the packages' own linters

test('publint has nothing to say', async () => {
  const pkgDir = join(project.directory, 'node_modules', manifest.name)
  const { messages } = await publint({ pkgDir, pack: false, strict: true })
  assert.deepEqual(messages.map((message) => formatMessage(message, manifest)), [])
})

test('the types are not wrong', async () => {
  const { types, problems } = await checkPackage(createPackageFromTarballData(new Uint8Array(readFileSync(packed.tarball))))
  assert.equal(types.kind, 'included')
  assert.deepEqual(problems.filter(({ resolutionKind }) => resolutionKind !== 'node10'), [])
})
