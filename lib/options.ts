// Options on their way to src/settings.rs, which checks them. JSON has no NaN, functions or bigints: they cross as what they are
// called, so that the error can say what was given.

import { refuse, shown } from './error'
import { isObject } from './check'
import { addon } from './native'

function plain(_key: string, value: unknown): unknown {
  if (typeof value === 'number' && !Number.isFinite(value)) return `the number ${value}`
  if (typeof value === 'bigint' || typeof value === 'function' || typeof value === 'symbol') return shown(value)
  return value
}

export function optionsJson(options: unknown): string {
  if (options === undefined) return '{}'
  if (!isObject(options) || Array.isArray(options)) refuse('options', 'an object', options)
  return JSON.stringify({ ...options }, plain)
}

/** The variables that settings are read from. */
export function environment(): string {
  return JSON.stringify(Object.fromEntries(addon.environmentNames().map((name) => [name, process.env[name]])))
}
