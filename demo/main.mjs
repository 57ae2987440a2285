// @ts-check
// `npm run demo [-- tasks.csv]`: reads a Todoist export and lets a simulated person live with its tasks for a month.
import { BanditChooser, RandomChooser } from './choosers.mjs'
import { CleanUp } from './clean-up.mjs'
import { DemoError, EXIT_FAILURE } from './demo-error.mjs'
import { readExportFile } from './export-file.mjs'
import { HELP, parseOptions } from './options.mjs'
import { startProgress } from './progress.mjs'
import { introduction, shownDays, summary, timingLines } from './report.mjs'
import { simulate } from './simulation.mjs'
import { terminalOf } from './terminal.mjs'
import { parseTodoistCsv } from './todoist-csv.mjs'

/** @import { Options } from './options.mjs' */

const USER = 'robin'

const cleanUp = new CleanUp()
cleanUp.onSignals()
// `npm run demo | head` closes the pipe early: no reason for a stack.
process.stdout.on('error', (error) => {
  if (/** @type {NodeJS.ErrnoException} */ (error).code !== 'EPIPE') throw error
})
try {
  const options = parseOptions(process.argv.slice(2))
  if (options.help) process.stdout.write(HELP)
  else await run(options)
} catch (error) {
  if (!cleanUp.interrupted) process.exitCode = explain(error)
} finally {
  await cleanUp.run()
}

/** @param {Options} options */
async function run(options) {
  const source = parseTodoistCsv(readExportFile(options.file), options.startDay, options.fileLabel)
  const terminal = terminalOf(process.stdout)
  print(introduction(source, options, terminal))

  const { Bandits } = await loadPackage()
  const bandits = Bandits.open({ stateDir: cleanUp.temporaryDirectory('oo-bandits-demo-'), seed: options.seed, activePolicy: options.policy })
  cleanUp.defer(() => bandits.close())
  const scenario = { tasks: source.tasks, startDay: options.startDay, days: options.days, seed: options.seed }

  const chooser = new BanditChooser(bandits, USER)
  print([''])
  const progress = startProgress(options.days)
  cleanUp.defer(progress.stop)
  const policy = await simulate(scenario, chooser, (day, month) => progress.step(day, month.decisions.length, month.rewardByDay[day] ?? 0))
  progress.stop()
  const random = await simulate(scenario, new RandomChooser(options.seed))

  const stats = chooser.stats()
  print(shownDays(policy, options, stats.featureLabels, terminal))
  print(summary({ policy, random, stats, history: chooser.history() }, terminal))
  print(timingLines(chooser.timings, terminal))
}

async function loadPackage() {
  try {
    return await import('@oo/bandits')
  } catch (error) {
    const { code } = /** @type {NodeJS.ErrnoException} */ (error)
    if (code !== 'ERR_MODULE_NOT_FOUND' && code !== 'MODULE_NOT_FOUND') throw error
    throw new DemoError('@oo/bandits is not built yet: run npm run build first, or start the demo by npm run demo.')
  }
}

/** @param {readonly string[]} lines */
function print(lines) {
  process.stdout.write(`${lines.join('\n')}\n`)
}

/** One sentence for what was expected, the stack for what was not. @param {unknown} error @returns {number} the exit code */
function explain(error) {
  if (error instanceof DemoError) {
    process.stderr.write(`demo: ${error.message}\n`)
    return error.exitCode
  }
  // The engine's own errors explain themselves as well (say, more tasks than it takes at a time).
  if (error instanceof Error && error.name === 'BanditError') process.stderr.write(`demo: ${error.message}\n`)
  else process.stderr.write(`demo: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`)
  return EXIT_FAILURE
}
