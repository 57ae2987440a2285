// The description of the boundary, src/boundary.json, for both sides: writes src/boundary.rs, lib/generated/boundary.ts and the tables in
// docs/boundary.md; without --write it says which of them does not follow from the description.
//
//     node scripts/boundary.mjs [--write]

import { createHash } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'

const root = new URL('..', import.meta.url)
const read = (path) => readFileSync(new URL(path, root), 'utf8')
const SOURCE = 'src/boundary.json'
const DOCS = 'docs/boundary.md'
const { blocks, bits, limits, names } = JSON.parse(read(SOURCE))

/** Words with their places. */
function placed({ words, from = 0 }) {
  let at = from
  const all = words.map(([name, doc, length = 1]) => {
    const word = { name, doc, at, length }
    at += length
    return word
  })
  return { all, length: at - from }
}

/** Fields with their first bits. */
function shifted({ name: of, fields }) {
  let at = 0
  const all = fields.map(([name, width, doc]) => {
    const field = { name, width, doc, at }
    at += width
    return field
  })
  // JavaScript writes the highest bit of a half as a sign, and reads none of what it writes.
  if (at > 32) throw new RangeError(`${SOURCE}: the fields of ${of} have ${at} bits, of 32`)
  return all
}

/** A number that another description of the boundary does not have, whatever is said of what stands where. */
function layout() {
  const places = [
    blocks.map((block) => [block.name, placed(block).all.map(({ name, at, length }) => [name, at, length])]),
    bits.map((group) => [group.name, shifted(group).map(({ name, at, width }) => [name, at, width])]),
    limits.map(([name, value]) => [name, value]),
    names.map(([name, , values]) => [name, values]),
  ]
  return createHash('sha256').update(JSON.stringify(places)).digest().readUInt32BE()
}

const sentence = (text) => text[0].toUpperCase() + text.slice(1) + '.'
const pascal = (name) => name.replace(/(?:^|_)([a-z])/g, (_all, letter) => letter.toUpperCase())
const inBits = ({ at, width }) => (width === 1 ? `bit ${at}` : `bits ${at} to ${at + width - 1}`)
const number = (n) => String(n).replace(/\B(?=(\d{3})+$)/g, '_')

function rust() {
  const parts = [`//! What crosses the boundary between JavaScript and Rust: words, bits, limits and names.\n//! Generated from \`${SOURCE}\` by \`scripts/boundary.mjs\`; do not edit.\n`]
  for (const block of blocks) {
    const { all, length } = placed(block)
    const words = all.map(({ name, doc, at }) => `    /// ${sentence(doc)}\n    pub const ${name}: usize = ${at};\n`)
    words.push(`    /// How many words there are.\n    pub const WORDS: usize = ${length};\n`)
    parts.push(`/// ${block.doc}\npub mod ${block.name} {\n${words.join('')}}\n`)
  }
  for (const group of bits) {
    const fields = shifted(group).map(({ name, width, doc, at }) => {
      const said = `    /// ${sentence(doc)}\n`
      if (width === 1) return `${said}    pub const ${name}: u32 = 1 << ${at};\n`
      return `${said}    pub const ${name}: u32 = ${at};\n    /// The largest value of \`${name}\`.\n    pub const ${name}_MASK: u32 = ${number(2 ** width - 1)};\n`
    })
    parts.push(`/// ${group.doc}\npub mod ${group.name} {\n${fields.join('')}}\n`)
  }
  parts.push(`/// Another description of the boundary has another number.\npub const LAYOUT: u32 = ${number(layout())};\n`)
  for (const [name, value, doc] of limits) parts.push(`/// ${doc}\npub const ${name}: usize = ${number(value)};\n`)
  for (const [name, doc, values] of names) parts.push(rustNames(name, doc, values))
  return parts.join('\n')
}

function rustNames(name, doc, values) {
  const head = `/// ${doc}\npub const ${name}: [&str; ${values.length}] =`
  const line = ` [${values.map((value) => `"${value}"`).join(', ')}];\n`
  const first = `pub const ${name}: [&str; ${values.length}] =`
  // As rustfmt has it, at 132 columns.
  if (first.length + line.length <= 132) return head + line
  return `${head} [\n${values.map((value) => `    "${value}",\n`).join('')}];\n`
}

function typescript() {
  const parts = [`// What crosses the boundary between JavaScript and Rust: words, bits, limits and names. Constants of \`const enum\`s stand in the code that uses\n// them, as numbers.\n// Generated from ${SOURCE} by scripts/boundary.mjs; do not edit.\n\n/* oxlint-disable typescript/no-duplicate-enum-values -- a place, a mask and a bit may be the same number */\n`]
  const member = (name, value, doc) => `  /** ${doc} */\n  ${name} = ${value},\n`
  const group = (name, doc, members) => parts.push(`/** ${doc} */\nexport const enum ${pascal(name)} {\n${members.join('')}}\n`)
  for (const block of blocks) {
    const { all, length } = placed(block)
    group(block.name, block.doc, [...all.map(({ name, doc, at }) => member(name, at, sentence(doc))), member('WORDS', length, 'How many words there are.')])
  }
  for (const each of bits) {
    const members = shifted(each).flatMap(({ name, width, doc, at }) => {
      if (width === 1) return [member(name, `1 << ${at}`, sentence(doc))]
      return [member(name, at, sentence(doc)), member(`${name}_MASK`, number(2 ** width - 1), `The largest value of ${name}.`)]
    })
    group(each.name, each.doc, members)
  }
  parts.push(`/** Another description of the boundary has another number. */\nexport const LAYOUT = ${number(layout())}\n`)
  group('limit', 'Limits.', limits.map(([name, value, doc]) => member(name, number(value), doc)))
  for (const [name, doc, values] of names) parts.push(`/** ${doc} */\nexport const ${name} = [${values.map((value) => `'${value}'`).join(', ')}] as const\n`)
  return parts.join('\n')
}

function tables() {
  const parts = []
  for (const block of blocks) {
    const { all } = placed(block)
    const rows = all.map(({ name, doc, at, length }) => `| ${length === 1 ? at : `${at}–${at + length - 1}`} | ${name} | ${doc} |`)
    parts.push(`\`${block.name}\`: ${block.doc}\n\n| word | name | |\n|---|---|---|\n${rows.join('\n')}\n`)
  }
  const rows = bits.flatMap((group) => shifted(group).map((field) => `| \`${group.name}\` | ${inBits(field)} | ${field.name} | ${field.doc} |`))
  parts.push(`| of | | name | |\n|---|---|---|---|\n${rows.join('\n')}\n`)
  return parts.join('\n')
}

/** The text with what stands between the two marks replaced. */
function between(text, inner) {
  const [begin, end] = [`<!-- from ${SOURCE} -->`, '<!-- end -->']
  const [from, to] = [text.indexOf(begin), text.indexOf(end)]
  if (from < 0 || to < from) throw new Error(`${DOCS}: has no ${begin} … ${end}`)
  return `${text.slice(0, from + begin.length)}\n\n${inner}\n${text.slice(to)}`
}

/** What index.d.ts says of errors, which people read, and of nothing else. */
function undocumented() {
  const contract = read('index.d.ts')
  const union = (name) => {
    const body = new RegExp(`export type ${name} (=[\\s\\S]*?)\\n\\n`).exec(contract)?.[1] ?? ''
    return new Set(Array.from(body.matchAll(/[|=] '([^']+)'/g), ([, value]) => value))
  }
  return [
    ['BanditErrorCode', 'ERROR_CODES'],
    ['BanditErrorReason', 'ERROR_REASONS'],
  ].flatMap(([type, list]) => {
    const [declared, values] = [union(type), names.find(([name]) => name === list)[2]]
    const wrong = [...values.filter((value) => !declared.has(value)), ...[...declared].filter((value) => !values.includes(value))]
    return wrong.map((value) => `index.d.ts: ${type} and ${SOURCE} differ in ${value}`)
  })
}

const files = { 'src/boundary.rs': rust(), 'lib/generated/boundary.ts': typescript(), [DOCS]: between(read(DOCS), tables()) }
const problems = undocumented()
for (const [path, text] of Object.entries(files)) {
  if (process.argv.includes('--write')) writeFileSync(new URL(path, root), text)
  else if (read(path) !== text) problems.push(`${path} does not follow from ${SOURCE}: run node scripts/boundary.mjs --write`)
}
for (const problem of problems) console.error(problem)
process.exitCode = problems.length === 0 ? 0 : 1
