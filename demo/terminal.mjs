// @ts-check
// What the output stream can show: how wide it is, and whether colours are welcome.
import pc from 'picocolors'
import stringWidth from 'string-width'

/**
 * @typedef {object} Terminal
 * @property {number} width usable columns
 * @property {ReturnType<typeof pc.createColors>} colors
 */

/** @typedef {{ isTTY?: boolean, columns?: number }} Stream */

const DEFAULT_WIDTH = 80
const NARROWEST = 40
const WIDEST = 110

/**
 * @param {Stream} stream
 * @param {NodeJS.ProcessEnv} [env]
 * @returns {Terminal}
 */
export function terminalOf(stream, env = process.env) {
  const width = stream.columns || DEFAULT_WIDTH
  return { width: Math.min(WIDEST, Math.max(NARROWEST, width)), colors: pc.createColors(wantsColors(stream, env)) }
}

/** NO_COLOR wins (no-color.org), then FORCE_COLOR; else only a terminal that can. @param {Stream} stream @param {NodeJS.ProcessEnv} env */
function wantsColors(stream, env) {
  if (env.NO_COLOR) return false
  if (env.FORCE_COLOR) return env.FORCE_COLOR !== '0'
  return isInteractive(stream, env)
}

/** Whether a bar may be redrawn in place. @param {Stream} stream @param {NodeJS.ProcessEnv} [env] */
export function isInteractive(stream, env = process.env) {
  return stream.isTTY === true && env.TERM !== 'dumb'
}

const graphemes = new Intl.Segmenter(undefined, { granularity: 'grapheme' })

/** Cuts plain text at the right, by columns rather than characters (一 takes two). @param {string} text @param {number} width */
export function truncate(text, width) {
  if (stringWidth(text) <= width) return text
  let cut = ''
  for (const { segment } of graphemes.segment(text)) {
    if (stringWidth(cut + segment) >= width) break
    cut += segment
  }
  return `${cut.trimEnd()}…`
}

/** Cuts or fills to exactly `width` columns. @param {string} text @param {number} width */
export function cell(text, width) {
  const cut = truncate(text, width)
  return cut + ' '.repeat(Math.max(0, width - stringWidth(cut)))
}

/** Fills at the left. @param {string} text @param {number} width */
export function cellRight(text, width) {
  return ' '.repeat(Math.max(0, width - stringWidth(text))) + text
}

/** Joins words into lines of at most `width` columns. @param {readonly string[]} words @param {number} width @param {string} separator @returns {string[]} */
export function wrapWords(words, width, separator) {
  /** @type {string[]} */
  const lines = []
  for (const word of words) {
    const last = lines.at(-1)
    const longer = last === undefined ? word : last + separator + word
    if (last !== undefined && stringWidth(longer) <= width) lines[lines.length - 1] = longer
    else lines.push(word)
  }
  return lines
}

/** A signed number with a real minus sign: `+0.40`, `−0.12`, `0.00`. @param {number} value @param {number} [digits] */
export function signed(value, digits = 2) {
  const text = Math.abs(value).toFixed(digits)
  if (Number(text) === 0) return text
  return (value < 0 ? '−' : '+') + text
}
