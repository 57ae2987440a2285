// Masks: one flag for each candidate, false where it may not be chosen.

import { prefix } from './check'
import { BanditError, refuse } from './error'
import * as frame from './frame'
import { Limit } from './generated/boundary'

// Own constants: see request.ts.
const { halves, running } = frame

/** How many words the mask of so many candidates takes. */
export function maskWords(candidates: number): number {
  return Math.ceil(candidates / Limit.MASK_BITS)
}

/** Packs the mask of the `n` candidates of request `number` at word `at`; returns how many it allows, or 0 when it allows all. */
export function packMask(mask: unknown, n: number, at: number, number: number): number {
  if (!Array.isArray(mask)) refuse(`${prefix(number)}mask`, 'an array of true and false', mask)
  checkMaskLength(mask.length, n, number)
  // Reading it may run the caller's code.
  running.extent = at + maskWords(n)
  let allowed = 0
  let bits = 0
  for (let i = 0; i < n; i++) {
    const may = flag(mask[i], i, number)
    allowed += Number(may)
    bits |= Number(may) << (i % Limit.MASK_BITS)
    if (i % Limit.MASK_BITS === Limit.MASK_BITS - 1 || i + 1 === n) {
      halves[2 * (at + Math.floor(i / Limit.MASK_BITS))] = bits
      bits = 0
    }
  }
  if (allowed === 0) refuseAll(number)
  return allowed === n ? 0 : allowed
}

/** A copy of a mask of at most `most` flags. */
export function checkedMask(mask: unknown, most: number, number: number): boolean[] {
  if (!Array.isArray(mask)) refuse(`${prefix(number)}mask`, 'an array of true and false', mask)
  if (mask.length > most) refuse(`${prefix(number)}mask`, `an array of at most ${most}`, mask.length)
  return Array.from(mask, (may: unknown, i) => flag(may, i, number))
}

export function checkMaskLength(length: unknown, n: number, number: number): void {
  if (length !== n) refuse(`${prefix(number)}mask`, `an array of ${n}, one for each candidate`, length)
}

export function refuseAll(number: number): never {
  throw new BanditError('ERR_NO_CANDIDATES', `${prefix(number)}mask: no candidate may be shown`)
}

/** Holes are no flags. */
function flag(may: unknown, i: number, number: number): boolean {
  return typeof may === 'boolean' ? may : refuse(`${prefix(number)}mask[${i}]`, 'true or false', may)
}
