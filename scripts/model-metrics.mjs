// @ts-check
// The offline metrics in the model cards (docs/models/), by the package's public API alone, on the sample task list
// (demo/sample-todoist.csv) and on a synthetic population (model-metrics/population.mjs). Everything is seeded: the same figures at
// every run.
//
//   node scripts/model-metrics.mjs                print the tables
//   node scripts/model-metrics.mjs --write        put them into the cards
//   node scripts/model-metrics.mjs --check        fail when a card says something else
//   node scripts/model-metrics.mjs --quick        in small, in seconds; with --write or --check only beside --cards <directory>
//   node scripts/model-metrics.mjs linucb-v1      this policy only
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { CardError, readCard, withMetrics, writeCard } from './model-metrics/cards.mjs'
import { POLICIES } from './model-metrics/engine.mjs'
import { FULL, QUICK, measure } from './model-metrics/measure.mjs'
import { render } from './model-metrics/report.mjs'

const CARDS = fileURLToPath(new URL('../docs/models', import.meta.url))

/** @param {string} message @param {number} exitCode @returns {never} */
function stop(message, exitCode) {
  process.stderr.write(`model-metrics: ${message}\n`)
  process.exit(exitCode)
}

function parse() {
  const { values, positionals } = parseArgs({
    options: { quick: { type: 'boolean' }, write: { type: 'boolean' }, check: { type: 'boolean' }, cards: { type: 'string' } },
    allowPositionals: true,
  })
  const unknown = positionals.find((name) => !POLICIES.some((policy) => policy === name))
  if (unknown !== undefined) throw new TypeError(`${unknown} is not a policy; known are ${POLICIES.join(', ')}.`)
  if (values.write && values.check) throw new TypeError('--write and --check exclude each other.')
  if (values.quick && (values.write || values.check) && values.cards === undefined)
    throw new TypeError('The cards have the full figures: with --quick, say by --cards which others are meant.')
  return { ...values, cards: values.cards ?? CARDS, policies: POLICIES.filter((policy) => positionals.length === 0 || positionals.includes(policy)) }
}

/** @returns {ReturnType<typeof parse>} */
function parseOrStop() {
  try {
    return parse()
  } catch (error) {
    if (error instanceof TypeError) stop(error.message, 2)
    throw error
  }
}

const { quick, write, check, cards, policies } = parseOrStop()

/** Before anything is measured: a minute is a long time to wait for a missing file. @param {typeof POLICIES[number]} policy */
function readCardOrStop(policy) {
  try {
    return readCard(cards, policy)
  } catch (error) {
    if (error instanceof CardError || (error instanceof Error && 'code' in error && error.code === 'ENOENT')) stop(error.message, 1)
    throw error
  }
}

const targets = policies.map((policy) => ({ policy, card: write || check ? readCardOrStop(policy) : null }))
/** @type {string[]} */
const outdated = []
for (const { policy, card } of targets) {
  const metrics = render(await measure(policy, quick ? QUICK : FULL))
  if (card === null) process.stdout.write(`## ${policy}\n\n${metrics}\n\n`)
  else if (write) writeCard(card, metrics)
  else if (withMetrics(card, metrics) !== card.text) outdated.push(`${policy}.md`)
}
if (outdated.length > 0) stop(`no longer what is measured: ${outdated.join(', ')}. \`npm run metrics -- --write\` brings it up to date.`, 1)
