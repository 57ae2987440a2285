// @ts-check
// Figures and tables as Markdown. Three significant digits: fewer than what another machine's rounding could change.

/** @import { Estimate } from './statistics.mjs' */

const DIGITS = 3
const MOST_DECIMALS = 5

/** @param {number} value */
export function figure(value) {
  return fixed(value, decimalsFor(value))
}

/** A figure and its half width, with the decimals that the larger of the two asks for. @param {Estimate} estimate */
export function estimate({ value, half }) {
  if (value === 0 && half === 0) return '0'
  const usual = decimalsFor(Math.max(Math.abs(value), half))
  // An interval is never nothing: show its first digit at least.
  const decimals = half > 0 && Number(half.toFixed(usual)) === 0 ? Math.min(MOST_DECIMALS, -Math.floor(Math.log10(half))) : usual
  return `${fixed(value, decimals)} ± ${half.toFixed(decimals)}`
}

/** A difference that should be nothing but rounding. @param {number} value */
export function residue(value) {
  return value === 0 ? '0' : value < 1e-12 ? '< 1e-12' : value.toExponential(1)
}

/** @param {number} value */
export function count(value) {
  return value.toLocaleString('en-US')
}

/**
 * @param {readonly string[]} header
 * @param {readonly (readonly string[])[]} rows
 */
export function table(header, rows) {
  const line = (/** @type {readonly string[]} */ cells) => `| ${cells.join(' | ')} |`
  return [line(header), line(header.map((_cell, i) => (i === 0 ? '---' : '--:'))), ...rows.map(line)].join('\n')
}

/** @param {number} value */
function decimalsFor(value) {
  const magnitude = value === 0 ? 0 : Math.floor(Math.log10(Math.abs(value)))
  return Math.min(MOST_DECIMALS, Math.max(0, DIGITS - 1 - magnitude))
}

/** @param {number} value @param {number} decimals */
function fixed(value, decimals) {
  const text = value.toFixed(decimals)
  // "−0.000" is a zero, and a true minus is wider than a hyphen.
  return Number(text) === 0 ? text.replace('-', '') : text.replace('-', '−')
}
