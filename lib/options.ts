// Options on their way to src/settings.rs, which checks everything that JSON can carry. What JSON would change is refused here.

import { refuse } from './error'
import { isObject } from './check'
import { addon } from './native'

export function optionsJson(options: unknown): string {
  if (options === undefined) return '{}'
  if (!isObject(options)) refuse('options', 'an object', options)
  const plain: [string, string | number][] = []
  for (const [key, value] of Object.entries(options)) {
    if (value === undefined || value === null) continue
    if (!addon.optionNames().includes(key)) {
      plain.push([key, 0])
      continue
    }
    const ordinary = typeof value === 'string' ? value.isWellFormed() : typeof value === 'number' && Number.isFinite(value)
    if (!ordinary) refuse(`options.${key}`, 'a well-formed string or a finite number', value)
    plain.push([key, value as string | number])
  }
  return JSON.stringify(Object.fromEntries(plain))
}

/** The variables that settings are read from. */
export function environment(): string {
  return JSON.stringify(Object.fromEntries(addon.environmentNames().map((name) => [name, process.env[name]])))
}
