// prepare(): needs no engine, because a set belongs to the thread.

import type { Candidate, CandidateSet as Contract } from '../index'
import { makeSet } from './candidate-set'
import { native } from './error'
import { boundary, cross, isBusy, nested, packed, packSet, shrink } from './frame'

export function prepare(candidates: readonly Candidate[]): Contract {
  if (isBusy()) return nested(() => prepare(candidates))
  const ids = packSet(candidates)
  let number = 0
  native(() => {
    cross(() => {
      number = boundary.prepare()
    }, packed.end, undefined)
  })
  shrink()
  // The contract's class differs in that it cannot be constructed.
  return makeSet(number, ids, (released) => boundary.release(released)) as unknown as Contract
}
