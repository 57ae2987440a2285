// Candidates, read and checked on the way into the frame. This loop is most of what a decision costs (docs/performance.md): it is
// written for what V8 11 makes of it, and `npm run bench` says what a change does to it.

import { refuse } from './error'
import { ID, LONGEST_ID, LONGEST_TEXT, prefix, TEXT } from './check'
import * as frame from './frame'
import type { Candidate } from '../index'

// Own constants: see request.ts.
const { words } = frame
const LONGEST = LONGEST_ID

/** In the order of the candidates; those without a version may be missing. */
export type PromptVersions = readonly (string | undefined)[]

/**
 * Packs `n` candidates into three lanes from word `at`, each `stride` words long. `names`, where it is given, takes their ids, and prompt
 * versions are returned then, if one has one. Each property is read once.
 */
export function packCandidates(
  candidates: readonly Candidate[],
  n: number,
  at: number,
  stride: number,
  names: string[] | undefined,
  number: number,
): PromptVersions | undefined {
  const age = at + stride
  const level = age + stride
  let versions: (string | undefined)[] | undefined
  for (let i = 0; i < n; i++) {
    const candidate = candidates[i]
    // Whoever has properties is as good as an object: a full test would be a tenth of the loop. What has no id is refused.
    if (candidate === null || candidate === undefined) refuse(`${prefix(number)}candidates[${i}]`, 'an object', candidate)
    // First what calls a function: what the compiler knows of an object's shape does not outlive a call.
    const id = candidate.id
    if (typeof id !== 'string' || id.isWellFormed() !== true || (id.length - 1) >>> 0 >= LONGEST) refuseId(candidate, id, i, number)
    const { content, source, sourceId, features, promptVersion } = candidate
    if (typeof content !== 'string' && content !== undefined) refuse(`${prefix(number)}candidates[${i}].content`, 'a string', content)
    if (typeof source !== 'string' && source !== undefined) refuse(`${prefix(number)}candidates[${i}].source`, 'a string', source)
    if (typeof sourceId !== 'string' && sourceId !== undefined && sourceId !== null) {
      refuse(`${prefix(number)}candidates[${i}].sourceId`, 'a string or null', sourceId)
    }
    if (promptVersion !== undefined) {
      checkPromptVersion(promptVersion, i, number)
      if (names !== undefined) (versions ??= [])[i] = promptVersion
    }
    if (names !== undefined) names[i] = id
    let overdue = 0
    let days = 0
    let urgency = 1
    if (features !== undefined) {
      if (features === null) refuse(`${prefix(number)}candidates[${i}].features`, 'an object', features)
      const { isOverdue, taskAgeDays, priority } = features
      // Neither here nor in the next line a branch that depends on the answer: it would be guessed wrong for every third candidate, and a
      // wrong guess costs as much as the rest of the candidate.
      overdue = Number(isOverdue === true)
      if ((overdue | Number(isOverdue === false)) === 0 && isOverdue !== undefined) {
        refuse(`${prefix(number)}candidates[${i}].features.isOverdue`, 'true or false', isOverdue)
      }
      if (taskAgeDays !== undefined) {
        // The difference is NaN for NaN and for both infinities.
        if (typeof taskAgeDays !== 'number' || taskAgeDays - taskAgeDays !== 0) {
          refuse(`${prefix(number)}candidates[${i}].features.taskAgeDays`, 'a finite number', taskAgeDays)
        }
        days = taskAgeDays
      }
      if (priority !== undefined) {
        if (typeof priority !== 'number' || priority !== (priority & 7) || (priority - 1) >>> 0 >= 4) {
          refuse(`${prefix(number)}candidates[${i}].features.priority`, '1, 2, 3 or 4', priority)
        }
        urgency = priority
      } else if (isOverdue === undefined && taskAgeDays === undefined && (typeof features !== 'object' || Array.isArray(features))) {
        refuse(`${prefix(number)}candidates[${i}].features`, 'an object', features)
      }
    }
    words[at + i] = overdue
    words[age + i] = days
    words[level + i] = urgency
  }
  return versions
}

/** Reads the id of the candidate that was chosen once more. What was scored of it is not read again. */
export function readId(candidates: readonly Candidate[], i: number, number: number): string {
  const candidate = candidates[i]
  if (candidate === null || candidate === undefined) refuse(`${prefix(number)}candidates[${i}]`, 'an object', candidate)
  const { id } = candidate
  if (typeof id !== 'string' || id.isWellFormed() !== true || (id.length - 1) >>> 0 >= LONGEST) refuseId(candidate, id, i, number)
  return id
}

/** Reads its prompt version likewise. */
export function readPromptVersion(candidates: readonly Candidate[], i: number, number: number): string | undefined {
  const promptVersion = candidates[i]?.promptVersion
  if (promptVersion !== undefined) checkPromptVersion(promptVersion, i, number)
  return promptVersion
}

function checkPromptVersion(promptVersion: unknown, i: number, number: number): asserts promptVersion is string {
  if (typeof promptVersion !== 'string' || promptVersion.length > LONGEST_TEXT || !promptVersion.isWellFormed()) {
    refuse(`${prefix(number)}candidates[${i}].promptVersion`, TEXT, promptVersion)
  }
}

function refuseId(candidate: unknown, id: unknown, i: number, number: number): never {
  if (typeof candidate !== 'object' || Array.isArray(candidate)) refuse(`${prefix(number)}candidates[${i}]`, 'an object', candidate)
  refuse(`${prefix(number)}candidates[${i}].id`, ID, id)
}
