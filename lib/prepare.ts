// prepare(): needs no engine, because a set belongs to the thread.

import type { Candidate, CandidateSet as Contract } from '../index'
import { makeSet } from './candidate-set'
import { oneText } from './candidates'
import { native } from './error'
import { boundary, nested, running } from './frame'
import { lookAtPrepare } from './look'
import { packed, packLengths, packSet } from './request'
import { KeyWatch } from './unknown-keys'

/** There is no engine to say otherwise. */
const watch = new KeyWatch('warn')

export function prepare(candidates: readonly Candidate[]): Contract {
  return prepareWatched(candidates, watch)
}

/** The same for an engine's opener. */
export function prepareWatched(candidates: readonly Candidate[], keys: KeyWatch): Contract {
  if (running.busy) return nested(() => prepareWatched(candidates, keys))
  if (--keys.prepare.left < 0) lookAtPrepare(keys, candidates)
  const ids = packSet(candidates)
  const { end, promptVersions } = packed
  packLengths(end, ids)
  const versions = promptVersions === undefined ? [] : Array.from(ids, (_id, i) => promptVersions[i])
  const number = native(() => boundary.prepare(oneText(ids), versions))
  // The contract's class differs in that it cannot be constructed.
  return makeSet(number, ids, promptVersions, (released) => boundary.release(released)) as unknown as Contract
}
