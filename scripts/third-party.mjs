// @ts-check
// THIRD-PARTY.md: what the binaries contain of others, with their licences' texts. It goes into every package.
//
//   node scripts/third-party.mjs           check that it follows from Cargo.lock
//   node scripts/third-party.mjs --write   write it
//
// Own code, because it runs with every `npm run lint`, on any machine with Node and Rust: cargo-about has to be compiled first, for
// several minutes. What is linked, cargo says itself; the texts are those that the crates ship.

import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import parseExpression from 'spdx-expression-parse'

/** @typedef {{ id: string, name: string, version: string, license: string | null, license_file: string | null, authors: string[], repository: string | null, manifest_path: string, source: string | null }} Crate */
/** @typedef {import('spdx-expression-parse').Info} Expression */

const root = fileURLToPath(new URL('..', import.meta.url))
export const NOTICES = 'THIRD-PARTY.md'

/**
 * The licences that a binary of ours may be under in part, the ones that ask for least first: where a crate leaves the choice, the first.
 * A sentence of each, by which its text is known.
 * @type {Map<string, string>}
 */
const ACCEPTED = new Map([
  ['MIT', 'Permission is hereby granted, free of charge, to any person obtaining a copy'],
  ['ISC', 'Permission to use, copy, modify, and/or distribute this software for any purpose'],
  ['BSD-3-Clause', 'may be used to endorse or promote products derived from'],
  ['Apache-2.0', 'Apache License'],
])

const PERMISSION = `Permission is hereby granted, free of charge, to any person obtaining a copy of this software and associated documentation files (the
"Software"), to deal in the Software without restriction, including without limitation the rights to use, copy, modify, merge, publish,
distribute, sublicense, and/or sell copies of the Software, and to permit persons to whom the Software is furnished to do so, subject to
the following conditions:

The above copyright notice and this permission notice shall be included in all copies or substantial portions of the Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT LIMITED TO THE WARRANTIES OF
MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR
ANY CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM, OUT OF OR IN CONNECTION WITH
THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.`

/** @param {string[]} args */
const cargo = (args) => execFileSync('cargo', args, { cwd: root, encoding: 'utf8', maxBuffer: 1 << 28 })

/** Names and versions of the crates that are linked into the addon of one of the targets. @param {string[]} targets */
function linked(targets) {
  const of = targets.flatMap((target) => ['--target', target])
  const tree = cargo(['tree', '--locked', '--package', 'oo-bandits', '--edges', 'normal,no-proc-macro', ...of, '--prefix', 'none', '--format', '{p}'])
  return new Set(tree.split('\n').flatMap((line) => /^(\S+) v(\S+)/.exec(line)?.slice(1, 3).join(' ') ?? []))
}

/** Those of others; what has no source is of this repository. @returns {Crate[]} */
function crates() {
  const { napi } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
  const wanted = linked(napi.targets)
  /** @type {{ packages: Crate[] }} */
  const { packages } = JSON.parse(cargo(['metadata', '--locked', '--format-version', '1']))
  const found = packages.filter(({ name, version }) => wanted.delete(`${name} ${version}`))
  if (wanted.size > 0) throw new Error(`cargo metadata does not know ${[...wanted].join(', ')}`)
  const byName = (/** @type {Crate} */ a, /** @type {Crate} */ b) => a.name.localeCompare(b.name, 'en') || a.version.localeCompare(b.version, 'en', { numeric: true })
  return found.filter(({ source }) => source !== null).sort(byName)
}

/** The licences under which a crate is taken; null where none of a choice is accepted. @param {Expression} expression @returns {string[] | null} */
export function chosen(expression) {
  if ('license' in expression) return ACCEPTED.has(expression.license) && !('exception' in expression) ? [expression.license] : null
  const [left, right] = [chosen(expression.left), chosen(expression.right)]
  if (expression.conjunction === 'and') return left && right && [...new Set([...left, ...right])]
  const cost = (/** @type {string[]} */ licences) => Math.max(...licences.map((licence) => [...ACCEPTED.keys()].indexOf(licence)))
  if (left === null || right === null) return left ?? right
  return cost(right) < cost(left) ? right : left
}

/** The texts that a crate ships of the licences under which it is taken, and of others' code in it where there are several. @param {Crate} crate @param {string[]} licences */
function texts(crate, licences) {
  const directory = dirname(crate.manifest_path)
  const isLicence = (/** @type {string} */ name) => /^(licen[cs]e|copying|copyright|notice)/i.test(name) || name === crate.license_file
  const files = readdirSync(directory, { withFileTypes: true }).filter((entry) => entry.isFile() && isLicence(entry.name)).map(({ name }) => name).sort()
  const all = files.map((name) => readFileSync(join(directory, name), 'utf8').replaceAll('\r\n', '\n').replace(/^\s*\n/, '').trimEnd())
  const isOf = (/** @type {string} */ text) => licences.some((licence) => oneLine(text).includes(String(ACCEPTED.get(licence))))
  // A licence, or what has to be kept with it. Crates under several are of parts, each with its own.
  const kept = all.filter((text, i) => licences.length > 1 || isOf(text) || /^notice/i.test(String(files[i])))
  const missing = licences.filter((licence) => !all.some((text) => oneLine(text).includes(String(ACCEPTED.get(licence)))))
  return [...kept, ...missing.map((licence) => standardText(crate, licence))]
}

/** What is to be said of a crate that ships no text. @param {Crate} crate @param {string} licence */
function standardText({ name, authors }, licence) {
  const holders = authors.map((author) => author.replace(/ *<.*>/, '')).join(', ') || `the authors of ${name}`
  if (licence === 'MIT') return `MIT License\n\nCopyright (c) ${holders}\n\n${PERMISSION}`
  if (licence === 'Apache-2.0') return apacheText(holders)
  throw new Error(`${name} ships no text of its licence ${licence}, and scripts/third-party.mjs has none`)
}

/** @type {string} */
let apache = ''
/** @param {string} holders */
const apacheText = (holders) => `Copyright ${holders}\n\n${apache}`

/** A text by its words alone: some stand in comments. @param {string} text */
const oneLine = (text) => text.replace(/^\s*(?:\/\/|#|\*)+/gm, '').replace(/\s+/g, ' ').trim()

/** The whole file. */
function notices() {
  /** @type {string[]} */
  const problems = []
  /** @type {Map<string, { text: string, names: string[] }>} */
  const byText = new Map()
  /** @type {string[]} */
  const list = []
  const all = crates()
  const taken = all.map((crate) => ({ crate, licences: crate.license === null ? null : chosen(parseExpression(crate.license.replaceAll('/', ' OR '))) }))
  apache = firstApacheText(taken)
  for (const { crate, licences } of taken) {
    const name = `${crate.name} ${crate.version}`
    if (licences === null) {
      problems.push(`${name} is under ${crate.license ?? 'no licence that its manifest names'}, of which none is accepted: see ACCEPTED in scripts/third-party.mjs`)
      continue
    }
    list.push(`| ${crate.repository === null ? name : `[${name}](${crate.repository})`} | ${licences.join(' and ')} |`)
    for (const text of texts(crate, licences)) {
      const key = oneLine(text)
      byText.set(key, { text, names: [...(byText.get(key)?.names ?? []), name] })
    }
  }
  if (problems.length > 0) throw new Error(problems.join('\n'))
  const sections = [...byText.values()].map(({ text, names }) => `### ${names.join(', ')}\n\n${fenced(text)}`)
  return `# Third-party notices

The binaries of \`@oo/bandits\` (\`bandits.*.node\`) contain code of the ${all.length} Rust crates below and of Rust's standard library. This file is written by
\`node scripts/third-party.mjs --write\`, for all platforms together: not every crate is in every binary. Where a crate leaves the choice of a licence, the one
named here was chosen.

| crate | licence |
|---|---|
${list.join('\n')}

## Texts

### Rust's standard library

${fenced(`Copyright (c) The Rust Project Contributors\n\n${PERMISSION}`)}

Code that it contains of others is listed in \`COPYRIGHT-library.html\` of a Rust installation.

${sections.join('\n\n')}
`
}

/** @param {{ crate: Crate, licences: string[] | null }[]} taken */
function firstApacheText(taken) {
  for (const { crate } of taken) {
    const path = join(dirname(crate.manifest_path), 'LICENSE-APACHE')
    const text = existsSync(path) ? readFileSync(path, 'utf8') : ''
    if (/^\s*Apache License\s+Version 2\.0, January 2004/.test(text)) return text.replace(/^\s*\n/, '').trimEnd()
  }
  throw new Error('no crate ships the text of the Apache License')
}

/** @param {string} text */
function fenced(text) {
  const longest = Math.max(2, ...[...text.matchAll(/`+/g)].map(([run]) => run.length))
  const fence = '`'.repeat(longest + 1)
  return `${fence}text\n${text}\n${fence}`
}

function main() {
  const { values } = parseArgs({ options: { write: { type: 'boolean' } } })
  const expected = notices()
  const path = join(root, NOTICES)
  if (values.write) {
    writeFileSync(path, expected)
    console.log(`wrote ${NOTICES}`)
  } else if (!existsSync(path) || readFileSync(path, 'utf8') !== expected) {
    console.error(`${NOTICES} does not follow from Cargo.lock: run node scripts/third-party.mjs --write, then node scripts/platform-packages.mjs --write`)
    process.exitCode = 1
  } else console.log(`${NOTICES} has the crates that are linked`)
}

if (process.argv[1] === fileURLToPath(import.meta.url)) main()
