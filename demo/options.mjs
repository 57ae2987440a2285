// @ts-check
// The command line: which export, which policy, how long, which seed.
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { parseIsoDay } from './calendar.mjs'
import { DemoError, EXIT_USAGE } from './demo-error.mjs'

/** @import { PolicyName } from '@oo/bandits' */

/**
 * @typedef {object} Options
 * @property {boolean} help
 * @property {string} file path of the export
 * @property {string} fileLabel what the report calls it
 * @property {PolicyName} policy
 * @property {number} seed
 * @property {number} days
 * @property {number} startDay days since 1970-01-01
 * @property {number} show how many first and last days to print in full
 */

/** @type {readonly PolicyName[]} */
const POLICIES = ['egreedy-v1', 'egreedy-v2', 'linucb-v1']
const SAMPLE = new URL('./sample-todoist.csv', import.meta.url)
/** The day on which the sample was exported: its dates make sense from here on. */
const SAMPLE_START = '2026-03-02'
const MS_PER_DAY = 86_400_000

export const HELP = `Usage: npm run demo [-- [options] [tasks.csv]]

Reads a Todoist export, lets a simulated person live with its tasks for a month, and shows what the bandit
picked and why, the rewards it earned beside those of a random chooser, and how its theta moved.

  tasks.csv          a CSV from Todoist: "Export as a template", or one file of an unpacked backup
                     (default: the sample that ships with the demo)

  --policy <name>    egreedy-v1 (default), egreedy-v2 or linucb-v1
  --seed <n>         a whole number from 0 (default 1); the same seed gives the same month
  --days <n>         1 to 3650 (default 30)
  --start <date>     first day, YYYY-MM-DD (default: today; for the sample ${SAMPLE_START})
  --show <n>         print the first n and the last n days in full, 0 to 30 (default 1)
  --help             this text

Exit code: 0 done, 1 the export cannot be used, 2 wrong usage.
`

/**
 * @param {string[]} argv the arguments without node and script
 * @param {() => number} [now] the clock, in ms; for the default of `--start`
 * @returns {Options}
 */
export function parseOptions(argv, now = Date.now) {
  const { values, positionals } = parse(argv)
  if (positionals.length > 1) throw usage(`one export at a time, please: got ${positionals.length} (${positionals.join(', ')})`)
  const [file] = positionals
  if (file === '') throw usage('the path of the export is empty')
  return {
    help: values.help,
    file: file ?? fileURLToPath(SAMPLE),
    fileLabel: file ?? 'demo/sample-todoist.csv',
    policy: policyName(values.policy),
    seed: wholeNumber('--seed', values.seed, 0, Number.MAX_SAFE_INTEGER),
    days: wholeNumber('--days', values.days, 1, 3650),
    startDay: startDay(values.start, file === undefined, now),
    show: wholeNumber('--show', values.show, 0, 30),
  }
}

/** @param {string[]} argv */
function parse(argv) {
  try {
    return parseArgs({
      args: argv,
      allowPositionals: true,
      options: {
        help: { type: 'boolean', short: 'h', default: false },
        policy: { type: 'string', default: 'egreedy-v1' },
        seed: { type: 'string', default: '1' },
        days: { type: 'string', default: '30' },
        start: { type: 'string' },
        show: { type: 'string', default: '1' },
      },
    })
  } catch (error) {
    // node:util explains in two sentences how to pass a file that starts with a dash; the first is enough here.
    throw usage((/** @type {Error} */ (error)).message.split('. ')[0] ?? 'the arguments cannot be read')
  }
}

/** @param {string} text @returns {PolicyName} */
function policyName(text) {
  const policy = POLICIES.find((name) => name === text)
  if (policy === undefined) throw usage(`--policy must be one of ${POLICIES.join(', ')}, not "${text}"`)
  return policy
}

/**
 * @param {string} option
 * @param {string} text
 * @param {number} least
 * @param {number} most
 */
function wholeNumber(option, text, least, most) {
  const value = /^\d+$/.test(text) ? Number(text) : Number.NaN
  if (!(value >= least && value <= most)) throw usage(`${option} must be a whole number from ${least} to ${most}, not "${text}"`)
  return value
}

/** @param {string | undefined} text @param {boolean} isSample @param {() => number} now */
function startDay(text, isSample, now) {
  if (text === undefined && !isSample) {
    const today = new Date(now())
    return Math.floor((today.getTime() - today.getTimezoneOffset() * 60_000) / MS_PER_DAY)
  }
  const day = parseIsoDay(text ?? SAMPLE_START)
  if (day === undefined) throw usage(`--start must be a date such as ${SAMPLE_START}, not "${text}"`)
  return day
}

/** @param {string} message */
function usage(message) {
  return new DemoError(`${message} (npm run demo -- --help shows the usage)`, EXIT_USAGE)
}
