// Options on their way to src/settings.rs, which checks everything that JSON can carry. What JSON would change is refused here.

import process from 'node:process'
import { BanditError, hintOf, refuse, shown } from './error'
import { checkKeys, isObject } from './check'
import { likelyKey } from './likely'
import { addon } from './native'
import { PATH_OPTIONS, PATH_VARIABLES, pathOf } from './paths'

const PROMPT_PARTS = ['version', 'description', 'created', 'text']
const REQUIRED_PARTS = ['version', 'text']

/** The options that never reach native code, as well as those of {@link addon.optionNames}. */
const OWN_OPTIONS = ['unknownKeys']

/** Options as JSON; of those that there are, `taken` are taken. */
export function optionsJson(options: unknown, taken: readonly string[] = addon.optionNames()): string {
  if (options === undefined) return '{}'
  if (!isObject(options)) refuse('options', 'an object', options)
  const known = addon.optionNames()
  const plain: [string, unknown][] = []
  for (const [key, given] of entries(options, known)) {
    if (given === undefined || given === null) continue
    if (!taken.includes(key)) refuseOption(key, taken)
    const value = PATH_OPTIONS.includes(key) ? pathOf(given, `options.${key}`) : given
    if (key === 'litellm.prompts') {
      plain.push([key, prompts(value)])
      continue
    }
    const ordinary = typeof value === 'string' ? value.isWellFormed() : typeof value === 'number' && Number.isFinite(value)
    if (!ordinary) refuse(`options.${key}`, 'a well-formed string or a finite number', value)
    plain.push([key, value])
  }
  return JSON.stringify(Object.fromEntries(plain))
}

/** Its value is not shown: it may be a password under a misspelt name. */
function refuseOption(key: string, taken: readonly string[]): never {
  const names = taken.length === addon.optionNames().length ? [...taken, ...OWN_OPTIONS] : taken
  const [group, ...rest] = key.split('.')
  const inGroup = rest.length > 0 ? names.filter((name) => name.startsWith(`${group}.`)) : []
  const listed = inGroup.length > 0 ? inGroup : [...new Set(names.map((name) => name.split('.', 1)[0]))]
  const meant = likelyKey(key, inGroup.length > 0 ? inGroup : names)
  throw new BanditError('ERR_INVALID_ARGUMENT', `options: no option ${shown(key)}; ${hintOf(meant, listed)}`)
}

/** The one option that is neither text nor number. */
function prompts(given: unknown): Record<string, string>[] {
  if (!Array.isArray(given)) refuse('options.litellm.prompts', 'an array', given)
  return given.map((prompt: unknown, i) => {
    const path = `options.litellm.prompts[${i}]`
    if (!isObject(prompt)) refuse(path, 'an object', prompt)
    checkKeys(prompt, PROMPT_PARTS, path, 'part')
    const parts = PROMPT_PARTS.filter((part) => prompt[part] !== undefined || REQUIRED_PARTS.includes(part))
    return Object.fromEntries(
      parts.map((part): [string, string] => {
        const text = prompt[part]
        if (typeof text !== 'string' || !text.isWellFormed()) refuse(`${path}.${part}`, 'a well-formed string', text)
        return [part, text]
      }),
    )
  })
}

/** The options, those of a group under `group.option`. */
function entries(options: Record<string, unknown>, known: string[]): [string, unknown][] {
  return Object.entries(options).flatMap(([key, value]): [string, unknown][] => {
    // A name with a dot is only how a group's option is called from here on.
    if (known.includes(key) && key.includes('.')) {
      const [group, name] = key.split('.')
      throw new BanditError('ERR_INVALID_ARGUMENT', `options: no option ${shown(key)}; write ${group}: { ${name}: … }`)
    }
    if (value === undefined || value === null || !known.some((name) => name.startsWith(`${key}.`))) return [[key, value]]
    if (!isObject(value)) refuse(`options.${key}`, 'an object', value)
    return Object.entries(value).map(([name, inner]) => [`${key}.${name}`, inner])
  })
}

/** The variables that settings are read from. */
export function environment(): string {
  const read = (name: string): unknown => (PATH_VARIABLES.includes(name) ? pathOf(process.env[name], name) : process.env[name])
  return JSON.stringify(Object.fromEntries(addon.environmentNames().map((name) => [name, read(name)])))
}
