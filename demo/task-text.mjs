// @ts-check
// The CONTENT cell as a person reads it: labels taken out, markdown reduced to its text, nothing that a terminal would obey.
import { stripVTControlCharacters } from 'node:util'

/** A label stands alone: `@home`, `@waiting/for`, not the `@` of an e-mail address or of "Nov 3 @ 18:00". */
const LABEL = /(^|\s)@([^\s@,;]+)/gu

/** @param {string} content @returns {{ title: string, labels: string[] }} */
export function readContent(content) {
  const text = plainText(content)
  const labels = [...text.matchAll(LABEL)].map((match) => match[2] ?? '')
  const title = text.replace(LABEL, '$1').replace(/\s+/gu, ' ').trim()
  // "@home" alone is a task that is called so.
  return { title: title === '' ? text : title, labels }
}

/** One line without markdown and control characters. @param {string} text */
export function plainText(text) {
  return stripVTControlCharacters(text)
    .replace(/!?\[([^\]]*)\]\(([^)\s]*)[^)]*\)/gu, (_, label, url) => label || url)
    .replace(/(\*\*|__|~~)(?=\S)(.+?)(?<=\S)\1/gu, '$2')
    .replace(/`([^`]+)`/gu, '$1')
    .replace(/(?<![\p{L}\p{N}*])\*(?=\S)([^*]+)(?<=\S)\*(?![\p{L}\p{N}*])/gu, '$1')
    .replace(/[\p{Cc}\p{Zl}\p{Zp}\s]+/gu, ' ')
    // Direction overrides would turn the rest of the line round.
    .replace(/[\u202a-\u202e\u2066-\u2069\ufeff]/gu, '')
    .trim()
}
