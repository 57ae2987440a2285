// @ts-check
// Progress on stderr: a bar where one can be drawn, plain lines where not (a file, a pipe, CI).
import { SingleBar } from 'cli-progress'
import { setImmediate, setTimeout } from 'node:timers/promises'
import { signed, isInteractive } from './terminal.mjs'

/** The simulation itself takes milliseconds; with a bar to look at, a month is stretched to about this long. */
const STRETCHED_MS = 1200
const PLAIN_LINES = 3
/** Below this the bar stands alone. */
const NARROW = 64

/** @typedef {{ step: (day: number, decisions: number, reward: number) => Promise<void>, stop: () => void }} Progress */

/**
 * @param {number} days
 * @param {NodeJS.WriteStream} [stream]
 * @returns {Progress}
 */
export function startProgress(days, stream = process.stderr) {
  return isInteractive(stream) ? bar(days, stream) : plainLines(days, stream)
}

/** @param {number} days @param {NodeJS.WriteStream} stream @returns {Progress} */
function bar(days, stream) {
  const columns = stream.columns || 80
  const isNarrow = columns < NARROW
  const width = Math.max(4, Math.min(40, columns - (isNarrow ? 20 : 52)))
  const details = isNarrow ? '' : ' · {decisions} decisions · reward {reward}'
  const progress = new SingleBar({
    stream,
    barsize: width,
    barCompleteChar: '█',
    barIncompleteChar: '░',
    format: `{bar} day {value}/{total}${details}`,
    hideCursor: true,
    linewrap: null,
  })
  progress.start(days, 0, { decisions: 0, reward: signed(0, 1) })
  return {
    async step(day, decisions, reward) {
      progress.update(day, { decisions, reward: signed(reward, 1) })
      await setTimeout(STRETCHED_MS / days)
    },
    stop: () => progress.stop(),
  }
}

/** @param {number} days @param {NodeJS.WriteStream} stream @returns {Progress} */
function plainLines(days, stream) {
  const every = Math.ceil(days / PLAIN_LINES)
  return {
    async step(day, decisions, reward) {
      if (day % every === 0 || day === days) stream.write(`day ${day} of ${days}: ${decisions} decisions, reward ${signed(reward, 1)}\n`)
      // Lets Ctrl-C be heard.
      await setImmediate()
    },
    stop() {},
  }
}
