// The one error class, and how errors from native code become it.

import type { BanditErrorCode, BanditErrorReason, BanditError as Contract } from '../index'

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

/** Native errors carry `code|retryable|status|reason|message` (src/node/error.rs); what does not is a defect of this package. */
export function fromNative(error: unknown): BanditError {
  if (error instanceof BanditError) return error
  const text = error instanceof Error ? error.message : String(error)
  const [, code, retryable, status, reason, message] = /^(ERR_[A-Z_]+)\|([01])\|(\d*)\|([a-zA-Z]*)\|(.*)$/s.exec(text) ?? []
  if (code === undefined) return new BanditError('ERR_INTERNAL', text, { cause: error })
  const details = { retryable: retryable === '1', cause: error, ...(status && { status: Number(status) }), ...(reason && { reason: reason as BanditErrorReason }) }
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
      return value.length > 60 ? `${JSON.stringify(value.slice(0, 60))}… (${value.length} characters)` : JSON.stringify(value)
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

/** Refuses an argument: `path` is where the caller wrote it. */
export function refuse(path: string, expected: string, value: unknown): never {
  throw new BanditError('ERR_INVALID_ARGUMENT', `${path}: must be ${expected}, got ${shown(value)}`)
}

/** Calls a listener of the caller's. What it throws is the process's to know, as with an EventEmitter nobody wraps; whoever calls goes on. */
export function callListener(call: () => void): void {
  try {
    call()
  } catch (error) {
    queueMicrotask(() => {
      throw error
    })
  }
}
