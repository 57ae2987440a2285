// @ts-check
// The cumulative reward, day by day, of the policy and of the random chooser.
import { plot } from 'simple-ascii-chart'
import { signed } from './terminal.mjs'

/** @import { Terminal } from './terminal.mjs' */

const HEIGHT = 14
const LABELS_WIDTH = 8
/** The chart library colours each curve; the second one is redrawn with dots, to be told apart without colours too. */
// oxlint-disable-next-line no-control-regex -- these are the colours that the library writes
const SECOND_CURVE = /\u001b\[34m(.)\u001b\[0m/gu
// oxlint-disable-next-line no-control-regex -- likewise
const FIRST_CURVE = /\u001b\[32m(.)\u001b\[0m/gu

/**
 * @param {{ name: string, rewardByDay: readonly number[] }} policy
 * @param {{ name: string, rewardByDay: readonly number[] }} random
 * @param {Terminal} terminal
 * @returns {string[]} lines
 */
export function rewardChart(policy, random, { width, colors }) {
  const curves = [random, policy].map(({ rewardByDay }) => rewardByDay.map((reward, day) => /** @type {[number, number]} */ ([day, reward])))
  const rewards = [...policy.rewardByDay, ...random.rewardByDay]
  const days = policy.rewardByDay.length - 1
  const chart = plot(curves, {
    width: width - LABELS_WIDTH,
    height: HEIGHT,
    color: ['ansiBlue', 'ansiGreen'],
    customXAxisTicks: ticks(0, days, Math.floor((width - LABELS_WIDTH) / 8)),
    customYAxisTicks: ticks(Math.min(...rewards), Math.max(...rewards), 5),
    formatter: (value, { axis }) => (axis === 'y' ? signed(value, 0) : value),
  })
  const lines = chart
    .replace(SECOND_CURVE, (_, glyph) => colors.blue(glyph === ' ' ? ' ' : '·'))
    .replace(FIRST_CURVE, (_, glyph) => colors.green(glyph))
    .split('\n')
    .map((line) => line.trimEnd())
    .filter((line) => line !== '')
  const legend = [`${colors.green('━━')} ${policy.name} ${signed(last(policy.rewardByDay), 1)}`, `${colors.blue('··')} ${random.name} ${signed(last(random.rewardByDay), 1)}`]
  return [...lines, `  ${legend.join('    ')}`]
}

/** Round numbers from least to most, at most `count` steps. @param {number} least @param {number} most @param {number} count */
function ticks(least, most, count) {
  const raw = Math.max(1, (most - least) / Math.max(1, count))
  const magnitude = 10 ** Math.floor(Math.log10(raw))
  const step = ([1, 2, 5, 10].find((factor) => factor * magnitude >= raw) ?? 10) * magnitude
  const result = []
  for (let tick = Math.ceil(least / step) * step; tick <= most; tick += step) result.push(tick)
  return result
}

/** @param {readonly number[]} values */
function last(values) {
  return values.at(-1) ?? 0
}
