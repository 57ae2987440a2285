// Candidates' texts: what is checked of them, and how they cross.

import { refuse } from './error'
import { ID, prefix, TEXT } from './check'
import { Limit } from './generated/boundary'

/** In the order of the candidates; those without a version may be missing. */
export type PromptVersions = readonly (string | undefined)[]

/** These ids, one behind the other. V8 puts the parts together when native code reads them: a quarter of what join() costs. */
export function oneText(ids: readonly string[]): string {
  let all = ''
  for (let i = 0; i < ids.length; i++) all += ids[i]
  return all
}

/** A version that was given. */
export function checkPromptVersion(promptVersion: unknown, i: number, number: number): asserts promptVersion is string {
  if (typeof promptVersion !== 'string' || promptVersion.length > Limit.LONGEST_TEXT || !promptVersion.isWellFormed()) {
    refuse(`${prefix(number)}candidates[${i}].promptVersion`, TEXT, promptVersion)
  }
}

/** Names what is wrong with a candidate whose id is no id. */
export function refuseId(candidate: unknown, id: unknown, i: number, number: number): never {
  if (typeof candidate !== 'object' || Array.isArray(candidate)) refuse(`${prefix(number)}candidates[${i}]`, 'an object', candidate)
  refuse(`${prefix(number)}candidates[${i}].id`, ID, id)
}
