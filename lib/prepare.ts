// prepare(): needs no engine, because a set belongs to the thread.

import type { Candidate, CandidateSet as Contract } from '../index'
import { makeSet } from './candidate-set'
import { native } from './error'
import { boundary, cross, isBusy, nested, packed, packSet, shrink } from './frame'

export function prepare(candidates: readonly Candidate[]): Contract {
  if (isBusy()) return nested(() => prepare(candidates))
  const ids = packSet(candidates)
  const { end, promptVersions } = packed
  let number = 0
  native(() => {
    const prepareFrame = (): void => {
      number = boundary.prepare()
    }
    cross(prepareFrame, end, undefined, undefined, undefined)
  })
  shrink()
  // The contract's class differs in that it cannot be constructed.
  return makeSet(number, ids, promptVersions, (released) => boundary.release(released)) as unknown as Contract
}
