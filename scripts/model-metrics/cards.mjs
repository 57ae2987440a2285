// @ts-check
// The model cards: what stands between their markers is written by the script, the rest by people.
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

const BEGIN = '<!-- metrics -->'
const END = '<!-- /metrics -->'

/** A card that cannot be used, in a sentence. */
export class CardError extends Error {}

/** @typedef {{ path: string, text: string, before: string, after: string }} Card */

/** Refuses a card that has no place for metrics. @param {string} directory @param {string} policy @returns {Card} */
export function readCard(directory, policy) {
  const path = join(directory, `${policy}.md`)
  const text = readFileSync(path, 'utf8')
  const [before = '', ...others] = text.split(BEGIN)
  const [, ...after] = (others[0] ?? '').split(END)
  if (others.length !== 1 || after.length !== 1) throw new CardError(`${policy}.md needs one line ${BEGIN} and one ${END} after it.`)
  return { path, text, before, after: after[0] ?? '' }
}

/** The card's text with these metrics. @param {Card} card @param {string} metrics */
export function withMetrics({ before, after }, metrics) {
  return `${before}${BEGIN}\n\n${metrics}\n\n${END}${after}`
}

/** @param {Card} card @param {string} metrics */
export function writeCard(card, metrics) {
  writeFileSync(card.path, withMetrics(card, metrics))
}
