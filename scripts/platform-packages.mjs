// The platform packages under npm/ and everything that must agree with them: each manifest, the root's `optionalDependencies`,
// `homepage` and `bugs`, the lock file's links to npm/, and the version in Cargo.toml. All of it follows from the root package.json;
// `--write` makes it so (after a version bump, a new target or another repository), without it differences are an error.
//
//   node scripts/platform-packages.mjs             check
//   node scripts/platform-packages.mjs --write     write
//   node scripts/platform-packages.mjs --binaries  check, and that every package holds its binary (the gate of a release)
//
// Why links: the packages of the next version are on no registry when the lock file is made. A link to npm/<target> lets
// `npm ci` install the root without asking a registry for them (and without trusting whoever might own an unclaimed name).
import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { parseTriple } from '@napi-rs/cli'
import { withMissingPlatforms } from './lock-file.mjs'
import { NOTICES } from './third-party.mjs'
import { addresses, isAddress } from './repository.mjs'

/** 15 MB, the promise for one installed binary. */
export const MAX_BINARY_BYTES = 15_000_000

const root = fileURLToPath(new URL('..', import.meta.url))
const readJson = (path) => JSON.parse(readFileSync(join(root, path), 'utf8'))
const json = (value) => `${JSON.stringify(value, null, 2)}\n`

/** The platform packages that a root manifest asks for, as `{ dir, binary, triple, manifest, readme }`. */
export function platformPackages(manifest = readJson('package.json')) {
  return manifest.napi.targets.map((triple) => {
    const { platformArchABI, platform, arch, abi } = parseTriple(triple)
    const binary = `${manifest.napi.binaryName}.${platformArchABI}.node`
    const name = `${manifest.name}-${platformArchABI}`
    return {
      dir: `npm/${platformArchABI}`,
      binary,
      triple,
      manifest: {
        name,
        version: manifest.version,
        description: `The ${triple} binary of ${manifest.name}`,
        license: manifest.license,
        author: manifest.author,
        ...addresses(manifest.repository, `npm/${platformArchABI}`),
        main: binary,
        files: [binary, NOTICES],
        os: [platform],
        cpu: [arch],
        ...(platform === 'linux' && { libc: [abi === 'musl' ? 'musl' : 'glibc'] }),
        engines: manifest.engines,
      },
      readme:
        `# \`${name}\`\n\n` +
        `The **${triple}** binary of \`${manifest.name}\`. ` +
        `Do not install it yourself: \`npm install ${manifest.name}\` chooses the one for your machine.\n`,
    }
  })
}

/** The lock file with a link for each platform package and nothing missing, keys in npm's order. */
function linkedLock(lock, packages, optionalDependencies) {
  const kept = Object.entries(lock.packages).filter(
    ([path]) => !path.startsWith('npm/') && !path.startsWith('node_modules/@oo/bandits-'),
  )
  const entries = new Map(kept)
  entries.set('', { ...entries.get(''), optionalDependencies })
  for (const { dir, manifest } of packages) {
    const { name, version, cpu, libc, license, os, engines } = manifest
    entries.set(dir, { name, version, cpu, ...(libc && { libc }), license, optional: true, os, engines })
    entries.set(`node_modules/${name}`, { resolved: dir, link: true })
  }
  const complete = Object.entries(withMissingPlatforms(Object.fromEntries(entries)))
  const sorted = complete.sort(([a], [b]) => a.localeCompare(b, 'en'))
  return { ...lock, packages: Object.fromEntries(sorted) }
}

/** What a file must say, by path, given the root manifest. */
function expectedFiles(manifest, packages) {
  const optionalDependencies = Object.fromEntries(
    packages.map(({ manifest: { name, version } }) => [name, version]).sort(([a], [b]) => a.localeCompare(b, 'en')),
  )
  const files = new Map([['package.json', json({ ...manifest, ...addresses(manifest.repository), optionalDependencies })]])
  const lock = readJson('package-lock.json')
  lock.version = lock.packages[''].version = manifest.version
  files.set('package-lock.json', json(linkedLock(lock, packages, optionalDependencies)))
  for (const { dir, manifest: own, readme } of packages) {
    files.set(`${dir}/package.json`, json(own))
    files.set(`${dir}/README.md`, readme)
    for (const name of ['LICENSE', NOTICES]) files.set(`${dir}/${name}`, readFileSync(join(root, name), 'utf8'))
  }
  return files
}

/** Order of keys is npm's business in the two root files; their content is ours. */
const sameContent = (path, a, b) => {
  if (!path.endsWith('.json')) return a === b
  const canonical = (_, value) =>
    value && typeof value === 'object' && !Array.isArray(value)
      ? Object.fromEntries(Object.entries(value).sort(([x], [y]) => (x < y ? -1 : 1)))
      : value
  return JSON.stringify(JSON.parse(a), canonical) === JSON.stringify(JSON.parse(b), canonical)
}

/** ELF or Mach-O, and for which processor: so that two swapped artefacts are not published. */
function machine(bytes) {
  if (bytes.length < 20) return 'nothing'
  if (bytes.readUInt32BE(0) === 0x7f454c46) return { 62: 'linux x64', 183: 'linux arm64' }[bytes.readUInt16LE(18)]
  if (bytes.readUInt32LE(0) === 0xfeedfacf && bytes.readUInt32LE(4) === 0x0100000c) return 'darwin arm64'
  return 'an unknown format'
}

/** What is wrong with one platform package's binary, or nothing. */
export function binaryProblem({ dir, binary, manifest }) {
  const path = join(root, dir, binary)
  if (!existsSync(path)) return `${dir}/${binary} is missing`
  const { size } = statSync(path)
  if (size > MAX_BINARY_BYTES) return `${dir}/${binary} has ${size} bytes, more than ${MAX_BINARY_BYTES}`
  const wanted = `${manifest.os} ${manifest.cpu}`
  const found = machine(readFileSync(path))
  return found === wanted ? undefined : `${dir}/${binary} is for ${found}, not for ${wanted}`
}

function main() {
  const { values } = parseArgs({ options: { write: { type: 'boolean' }, binaries: { type: 'boolean' } } })
  const manifest = readJson('package.json')
  const packages = platformPackages(manifest)
  const problems = []

  for (const [path, text] of expectedFiles(manifest, packages)) {
    const found = existsSync(join(root, path)) ? readFileSync(join(root, path), 'utf8') : ''
    if (found && sameContent(path, found, text)) continue
    if (values.write) {
      mkdirSync(join(root, path, '..'), { recursive: true })
      writeFileSync(join(root, path), text)
      console.log(`wrote ${path}`)
    } else problems.push(`${path} does not follow from package.json: run node scripts/platform-packages.mjs --write`)
  }

  const { url } = manifest.repository
  if (!isAddress(url)) problems.push(`repository.url in package.json is ${JSON.stringify(url)}: it must read git+https://github.com/<owner>/<name>.git`)

  const metadata = execFileSync('cargo', ['metadata', '--no-deps', '--format-version', '1', '--offline'], { cwd: root })
  for (const crate of JSON.parse(metadata.toString()).packages) {
    if (crate.version !== manifest.version) problems.push(`${crate.name} in Cargo.toml has version ${crate.version}, package.json ${manifest.version}`)
  }

  if (values.binaries) problems.push(...packages.map(binaryProblem).filter(Boolean))
  for (const problem of problems) console.error(problem)
  if (problems.length) process.exitCode = 1
  else console.log(`${packages.length} platform packages agree on ${manifest.name} ${manifest.version}`)
}

if (process.argv[1] === fileURLToPath(import.meta.url)) main()
