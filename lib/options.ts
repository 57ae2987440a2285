// Options on their way to src/settings.rs, which checks everything that JSON can carry. What JSON would change is refused here.

import { BanditError, refuse, shown } from './error'
import { isObject } from './check'
import { addon } from './native'

export function optionsJson(options: unknown): string {
  if (options === undefined) return '{}'
  if (!isObject(options)) refuse('options', 'an object', options)
  const known = addon.optionNames()
  const plain: [string, string | number][] = []
  for (const [key, value] of entries(options, known)) {
    if (value === undefined || value === null) continue
    if (!known.includes(key)) {
      plain.push([key, 0])
      continue
    }
    const ordinary = typeof value === 'string' ? value.isWellFormed() : typeof value === 'number' && Number.isFinite(value)
    if (!ordinary) refuse(`options.${key}`, 'a well-formed string or a finite number', value)
    plain.push([key, value as string | number])
  }
  return JSON.stringify(Object.fromEntries(plain))
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
  return JSON.stringify(Object.fromEntries(addon.environmentNames().map((name) => [name, process.env[name]])))
}
