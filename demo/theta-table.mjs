// @ts-check
// How θ moved: each weight at the start, at the end, and in between as a small curve.
import { cell, cellRight, signed } from './terminal.mjs'

/** @import { Terminal } from './terminal.mjs' */

const LEVELS = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█']

/**
 * @param {readonly string[]} labels
 * @param {readonly number[][]} thetaByDay
 * @param {Terminal} terminal
 * @returns {string[]} lines
 */
export function thetaTable(labels, thetaByDay, { width, colors }) {
  const labelWidth = Math.max(...labels.map((label) => label.length))
  const curveWidth = Math.max(8, Math.min(40, width - labelWidth - 24))
  const start = thetaByDay[0] ?? []
  const end = thetaByDay.at(-1) ?? []
  const widest = Math.max(1e-9, ...thetaByDay.flat().map(Math.abs))
  const header = `  ${cell('weight', labelWidth)}  ${cellRight('start', 6)}  ${cellRight('end', 6)}  day by day`
  const rows = labels.map((label, i) => {
    const curve = sparkline(thetaByDay.map((theta) => theta[i] ?? 0), widest, curveWidth)
    const value = cellRight(signed(end[i] ?? 0), 6)
    const colour = (end[i] ?? 0) < 0 ? colors.red : colors.green
    return `  ${cell(label, labelWidth)}  ${cellRight(signed(start[i] ?? 0), 6)}  ${colour(value)}  ${colors.dim(curve)}`
  })
  return [colors.dim(header), ...rows, colors.dim(`  scale: ${LEVELS[0]} ${signed(-widest)} to ${LEVELS.at(-1)} ${signed(widest)}`)]
}

/** @param {readonly number[]} values @param {number} widest the scale reaches from −widest to widest @param {number} width */
export function sparkline(values, widest, width) {
  const columns = Math.min(width, values.length)
  return Array.from({ length: columns }, (_, column) => {
    const value = values[columns === 1 ? values.length - 1 : Math.round((column * (values.length - 1)) / (columns - 1))] ?? 0
    const level = Math.round(((value / widest + 1) / 2) * (LEVELS.length - 1))
    return LEVELS[Math.min(LEVELS.length - 1, Math.max(0, level))]
  }).join('')
}
