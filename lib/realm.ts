// What a value is, whichever realm made it. In Jest, in vitest's vm pools and in any other vm context the classes that this code sees are not
// those of the caller or of native code, and `instanceof` says no to a Date that is one. So: by internal slots where Node tells, else by shape.

import { types } from 'node:util'

export const { isDate, isMap, isSet, isUint8Array } = types

/** Also one of jsdom, or of a library: it is enough that it says whether it was aborted, and when it is. */
export function isSignal(value: unknown): value is AbortSignal {
  if (typeof value !== 'object' || value === null) return false
  const { aborted, addEventListener, removeEventListener } = value as Partial<AbortSignal>
  return typeof aborted === 'boolean' && typeof addEventListener === 'function' && typeof removeEventListener === 'function'
}

/** What an error says; anything can be thrown. */
export function messageOf(error: unknown): string {
  const message: unknown = typeof error === 'object' && error !== null ? (error as Partial<Error>).message : undefined
  return typeof message === 'string' ? message : String(error)
}

/** Whether it is an error of this name. */
export function isNamed(error: unknown, name: string): boolean {
  return typeof error === 'object' && error !== null && (error as Partial<Error>).name === name
}
