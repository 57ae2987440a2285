// What is checked of single values. Each check returns what it found, or refuses and names the path.

import { BanditError, hintOf, refuse, shown } from './error'
import { Limit, Meta, POLICIES } from './generated/boundary'
import { likelyKey } from './likely'
import { isDate, isSignal } from './realm'
import type { PolicyName } from '../index'

/** What an id has to be. */
export const ID = `a string of 1 to ${Limit.LONGEST_ID} UTF-16 units without lone surrogates`

/** What such a text has to be. */
export const TEXT = `a string of at most ${Limit.LONGEST_TEXT} UTF-16 units without lone surrogates`

export function isId(value: unknown): value is string {
  return typeof value === 'string' && value.isWellFormed() && value.length > 0 && value.length <= Limit.LONGEST_ID
}

export function checkId(value: unknown, path: string): asserts value is string {
  if (!isId(value)) refuse(path, ID, value)
}

/** In place of a number in a batch: the request is the only one. */
export const ALONE = -1

/**
 * What goes before a path in a message about request `number` of a batch. Checks are given the number: putting the text together
 * for each would cost more than the checks.
 */
export function prefix(number: number): string {
  return number === ALONE ? '' : `requests[${number}].`
}

/** The length of an array; a proxy's can be anything. */
export function checkLength(length: unknown, most: number, path: string, of: string): asserts length is number {
  if (!isWhole(length, most)) refuse(path, `an array of at most ${most} ${of}`, length)
}

/** An object that can hold named values, which an array is not meant to. */
export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** An object's keys, of which there are no others; `what` they are called. */
export function checkKeys(value: object, known: readonly string[], path: string, what: string): void {
  const unknown = Object.keys(value).find((key) => !known.includes(key))
  if (unknown !== undefined) throw new BanditError('ERR_INVALID_ARGUMENT', `${path}: no ${what} ${shown(unknown)}; ${hintOf(likelyKey(unknown, known), known)}`)
}

/** What META says of a policy; where the caller named none, native code takes the active one. `number` is that of the request. */
export function policyBits(policy: PolicyName | undefined, number: number): number {
  return policy === undefined ? 0 : Meta.NAMES_POLICY | (policyNumber(policy, number) << Meta.POLICY)
}

/** The number of a policy that was named. */
export function policyNumber(policy: PolicyName, number: number): number {
  const place = POLICIES.indexOf(policy)
  return place < 0 ? unknownPolicy(policy, prefix(number)) : place
}

/** A policy that has to be given. */
export function checkPolicy(policy: unknown): asserts policy is PolicyName {
  if (policy === undefined || policy === null) refuse('policy', 'a policy', policy)
  policyNumber(policy as PolicyName, ALONE)
}

function unknownPolicy(policy: unknown, before: string): never {
  if (typeof policy !== 'string') refuse(`${before}policy`, 'a string', policy)
  throw new BanditError('ERR_UNKNOWN_POLICY', `${before}policy: no policy ${shown(policy)}; known: ${POLICIES.join(', ')}`)
}

/** A whole number from 0 to `most`. As short as it is, V8 inlines it everywhere. */
export function isWhole(value: unknown, most: number): value is number {
  return typeof value === 'number' && value >>> 0 === value && value <= most
}

/** What an hour has to be, and a day of the week. */
export const HOURS = 'a whole number from 0 to 23'
export const DAYS = 'a whole number from 0 to 6'

/** An hour, noon where it is missing. */
export function hour(value: unknown, path: string): number {
  if (value === undefined) return 12
  return isWhole(value, 23) ? value : refuse(path, HOURS, value)
}

/** A day of the week, 0 where it is missing. */
export function day(value: unknown, path: string): number {
  if (value === undefined) return 0
  return isWhole(value, 6) ? value : refuse(path, DAYS, value)
}

export function finite(value: unknown, path: string): number {
  if (typeof value !== 'number' || !Number.isFinite(value)) refuse(path, 'a finite number', value)
  return value
}

export function checkWhole(value: unknown, least: number, most: number, path: string): asserts value is number {
  if (typeof value !== 'number' || !Number.isInteger(value) || value < least || value > most) refuse(path, `a whole number from ${least} to ${most}`, value)
}

export function checkSignal(signal: unknown): asserts signal is AbortSignal | undefined {
  if (signal !== undefined && !isSignal(signal)) refuse('options.signal', 'an AbortSignal', signal)
}

/** The last time that a Date can have, in milliseconds since 1970. */
const LAST_MS = 8.64e15

/** Milliseconds since 1970, at most `last`, of a time in any of the forms in which callers may give one. */
export function moment(at: unknown, path: string, last = LAST_MS): number | undefined {
  if (at === undefined) return undefined
  const ms = isDate(at) ? at.getTime() : typeof at === 'string' ? parsed(at) : at
  if (typeof ms !== 'number' || !Number.isFinite(ms) || ms < 0 || ms > last) {
    const hint = typeof ms === 'number' && isLikely(ms / 1e6) ? ' (nanoseconds?)' : ''
    refuse(path, `a time: a Date, an ISO 8601 date, or date and time with Z or an offset, or milliseconds since 1970${hint}`, at)
  }
  return Math.floor(ms)
}

/** The same, of a question: in another unit it would be answered with everything, or with nothing. */
export function askedMoment(at: unknown, path: string): number | undefined {
  const ms = moment(at, path)
  if (ms === undefined || typeof at === 'string') return ms
  const unit = isLikely(ms * 1000) ? 'seconds' : isLikely(ms / 1000) ? 'microseconds' : undefined
  if (unit !== undefined) refuse(path, `in milliseconds since 1970 (${unit}?)`, Number(at))
  return ms
}

/** From 2001 to 2100. */
function isLikely(ms: number): boolean {
  return ms >= 1e12 && ms < 4_102_444_800_000
}

/** Date.parse() alone takes `tip 5` for a day in May, the 31st of November for the 1st of December, and a time without a zone for this machine's. */
function parsed(text: string): number {
  const [, year, month, date] = /^(\d{4})-(\d\d)-(\d\d)(?:T\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:\d\d))?$/.exec(text) ?? []
  const isDay = year !== undefined && new Date(Date.UTC(Number(year), Number(month) - 1, Number(date))).getUTCDate() === Number(date)
  return isDay ? Date.parse(text) : NaN
}
