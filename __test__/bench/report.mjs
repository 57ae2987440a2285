// @ts-check
// Turns the answers of all processes into a summary (what the JSON file has) and the summary into text.
import { median, medianInterval } from './statistics.mjs'

/** @typedef {import('./scenarios.mjs').Scenario} Scenario */
/** @typedef {import('./measure.mjs').Answer} Answer */
/** @typedef {ReturnType<typeof summarise>} Summary */

/** @param {number} ns */
export function time(ns) {
  if (ns < 1000) return `${ns.toFixed(0)} ns`
  if (ns < 1e6) return `${(ns / 1e3).toPrecision(3)} µs`
  return `${(ns / 1e6).toPrecision(3)} ms`
}

/** @param {number} ratio */
const plainRatio = (ratio) => (ratio >= 1000 ? Math.round(ratio).toLocaleString('en') : ratio >= 100 ? ratio.toFixed(0) : ratio >= 10 ? ratio.toFixed(1) : ratio.toFixed(2))

/** @param {Scenario} scenario @param {string} subject @param {Answer[]} answers one of each process */
export function summarise(scenario, subject, answers) {
  const opponents = scenario.opponents.map((name) => {
    const floor = scenario.floors[name]
    const ratio = medianInterval(answers.map((answer) => answer.ratios[name]))
    const ns = median(answers.map((answer) => answer.ns[name]))
    return { name, ns, ratio, ...(floor === undefined ? {} : { floor, met: ratio.median >= floor }) }
  })
  return { group: scenario.group, id: scenario.id, processes: answers.length, subjectNs: median(answers.map((answer) => answer.ns[subject])), opponents }
}

/** @param {Summary['opponents'][number]} opponent */
function cell({ ratio, floor, met }) {
  const mark = floor === undefined ? '' : met ? ` ✓${floor}` : ` ✗${floor}`
  return `${plainRatio(ratio.median)} (${plainRatio(ratio.low)}–${plainRatio(ratio.high)})${mark}`
}

/** @param {string[][]} rows the first is the heading */
function table(rows) {
  const widths = rows[0].map((_, column) => Math.max(...rows.map((row) => [...row[column]].length)))
  return rows.map((row) => `  ${row.map((text, column) => text + ' '.repeat(widths[column] - [...text].length)).join('   ')}`.trimEnd()).join('\n')
}

/** @param {Summary[]} summaries @param {string} subject */
export function tables(summaries, subject) {
  return [...new Set(summaries.map(({ group }) => group))]
    .map((group) => {
      const members = summaries.filter((summary) => summary.group === group)
      const head = ['', subject, ...members[0].opponents.map(({ name }) => name)]
      return `${group}\n${table([head, ...members.map(({ id, subjectNs, opponents }) => [id, time(subjectNs), ...opponents.map(cell)])])}`
    })
    .join('\n\n')
}

/** The floors once more, all in one place. @param {Summary[]} summaries */
export function floors(summaries) {
  const judged = summaries.flatMap(({ group, id, opponents }) =>
    opponents.flatMap(({ name, floor, ratio }) => {
      if (floor === undefined) return []
      const verdict = ratio.median >= floor ? (ratio.low >= floor ? 'met' : 'met by the median') : ratio.high >= floor ? 'missed by the median' : 'MISSED'
      return [[verdict, `${group}: ${id}`, `vs ${name}`, `${plainRatio(ratio.median)} (${plainRatio(ratio.low)}–${plainRatio(ratio.high)})`, `floor ${floor}`]]
    }),
  )
  const met = judged.filter(([verdict]) => verdict.startsWith('met')).length
  return judged.length === 0 ? '' : `Floors: ${met} of ${judged.length} met\n${table(judged)}`
}
