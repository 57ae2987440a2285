// The one error class, and how errors from native code become it.

import { setImmediate } from 'node:timers'
import type { BanditErrorCode, BanditErrorReason, BanditError as Contract } from '../index'
import { isNamed, messageOf } from './realm'

export class BanditError extends Error implements Contract {
  declare readonly name: 'BanditError'
  readonly code: BanditErrorCode
  readonly retryable: boolean
  declare readonly status?: number
  declare readonly reason?: BanditErrorReason

  static {
    Object.defineProperty(this.prototype, 'name', { value: 'BanditError', configurable: true, writable: true })
  }

  constructor(code: BanditErrorCode, message: string, options: { retryable?: boolean; status?: number; reason?: BanditErrorReason; cause?: unknown } = {}) {
    super(message, 'cause' in options ? { cause: options.cause } : undefined)
    this.code = code
    this.retryable = options.retryable ?? false
    if (options.status !== undefined) this.status = options.status
    if (options.reason !== undefined) this.reason = options.reason
  }
}

/**
 * Native errors carry `code|retryable|status|reason|message` (src/node/error.rs), and nothing else: they are no `cause`, which would be printed as
 * the same message once more. What carries something else is a defect of this package, and is the cause.
 */
export function fromNative(error: unknown): BanditError {
  if (isNamed(error, 'BanditError')) return error as BanditError
  const text = messageOf(error)
  const [, code, retryable, status, reason, message] = /^(ERR_[A-Z_]+)\|([01])\|(\d*)\|([a-zA-Z]*)\|(.*)$/s.exec(text) ?? []
  if (code === undefined) return new BanditError('ERR_INTERNAL', text, { cause: error })
  const details = { retryable: retryable === '1', ...(status && { status: Number(status) }), ...(reason && { reason: reason as BanditErrorReason }) }
  return new BanditError(code as BanditErrorCode, message ?? '', details)
}

/** Runs a native call. */
export function native<T>(call: () => T): T {
  try {
    return call()
  } catch (error) {
    throw fromNative(error)
  }
}

/** A value in a message: short, on one line, whatever it is. */
export function shown(value: unknown): string {
  switch (typeof value) {
    case 'string':
      return value.length > 60 ? `${quoted(value.slice(0, 60))}… (${value.length} characters)` : quoted(value)
    case 'number':
      return Object.is(value, -0) ? '-0' : String(value)
    case 'boolean':
    case 'undefined':
      return String(value)
    case 'bigint':
      return 'a bigint'
    case 'symbol':
      return 'a symbol'
    case 'function':
      return 'a function'
    default:
      return value === null ? 'null' : Array.isArray(value) ? 'an array' : 'an object'
  }
}

/** As JSON; what JSON leaves of what a terminal obeys, and what turns the rest of a line round, is escaped, too. */
function quoted(text: string): string {
  return JSON.stringify(text).replace(/[\u007f-\u009f\u200e\u200f\u2028-\u202e\u2066-\u2069]/g, escaped)
}

function escaped(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`
}

/** Refuses an argument: `path` is where the caller wrote it. */
export function refuse(path: string, expected: string, value: unknown): never {
  throw new BanditError('ERR_INVALID_ARGUMENT', `${path}: must be ${expected}, got ${shown(value)}`)
}

/** Refuses a key at `path`, which means nothing there; `meant` is what was likely meant by it. */
export function refuseKey(path: string, value: unknown, meant: string | undefined, known: readonly string[]): never {
  throw new BanditError('ERR_INVALID_ARGUMENT', `${path}: no such key, got ${shown(value)}; ${hintOf(meant, known)}`)
}

/** What helps against an unknown key. */
export function hintOf(meant: string | undefined, known: readonly string[]): string {
  return meant === undefined ? `known: ${known.join(', ')}` : `did you mean ${meant}?`
}

/** Calls a listener of the caller's. What it throws is the process's to know, as with an EventEmitter nobody wraps; whoever calls goes on. */
export function callListener(call: () => void): void {
  try {
    call()
  } catch (error) {
    setImmediate(() => {
      throw error
    })
  }
}
