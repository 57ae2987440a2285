// From what native code has written into the frame to what callers get.

import { performance } from 'node:perf_hooks'
import { isId, POLICIES, prefix } from './check'
import { type CandidateSet, promptVersionsOf } from './candidate-set'
import { checkPromptVersion, refuseId } from './candidates'
import * as frame from './frame'
import { checkIntact } from './frame'
import type { Candidates } from './request'
import { refuse } from './error'
import type { Candidate, Recommendation, ScoreResult } from '../index'

// Own constants: see request.ts.
const { words, halves, running, FIRST, REQUEST_WORDS } = frame

// Words of a request.
const INDEX = 4
const CHOICE = 5
const SCORE = 6
const PROPENSITY = 7

// Words of a decision's answer.
const DECISION_EPOCH = 0
const DECISION_N = 1
const DECISION_INDEX = 2
const DECISION_SCORE = 3
const DECISION_PROPENSITY = 4
const DECISION_FLAGS = 5
const DECISION_COUNT = 6
const DECISION_CHOICES = 7
/** Each like a request's INDEX, CHOICE, SCORE, PROPENSITY. */
const CHOICE_WORDS = 4

/** In the order of their numbers. */
const ASSIGNED = ['user', 'share', 'registry', 'default'] as const

/** What was read last of a chosen candidate besides its id. */
const chosen: { promptVersion: string | undefined } = { promptVersion: undefined }

/**
 * The id of the candidate that was chosen for the request at word `at`; {@link chosen} has its prompt version. An array's candidate is read
 * once more for that, which may run the caller's code; what was scored of it is not read again.
 */
export function chosenId(at: number, candidates: Candidates, number: number): string {
  const index = halves[2 * (at + INDEX)]
  if (!Array.isArray(candidates)) return idOf(candidates as unknown as CandidateSet, index)
  running.spoilt = false
  running.busy = true
  try {
    const candidate: Candidate | null | undefined = candidates[index]
    if (candidate === null || candidate === undefined) refuse(`${prefix(number)}candidates[${index}]`, 'an object', candidate)
    const { id, promptVersion } = candidate
    if (!isId(id)) refuseId(candidate, id, index, number)
    if (promptVersion !== undefined) checkPromptVersion(promptVersion, index, number)
    if (running.spoilt) checkIntact()
    chosen.promptVersion = promptVersion
    return id
  } finally {
    running.busy = false
  }
}

function idOf(set: CandidateSet, index: number): string {
  chosen.promptVersion = promptVersionsOf(set)?.[index]
  return set.ids[index]
}

/** What was chosen for the request at word `at`. */
export function answer(at: number, tipId: string): ScoreResult {
  const flags = halves[2 * (at + CHOICE)]
  return {
    tipId,
    score: words[at + SCORE],
    policy: POLICIES[flags >> 1],
    index: halves[2 * (at + INDEX)],
    exploring: (flags & 1) !== 0,
    propensity: words[at + PROPENSITY],
  }
}

/** What was chosen from a set for the only request. */
export function answerOf(set: CandidateSet): ScoreResult {
  return answer(FIRST, set.ids[halves[2 * (FIRST + INDEX)]])
}

/** What was decided about the candidates called `tipIds`. */
export function decision(tipIds: readonly string[], began: number): Recommendation {
  const at = FIRST + REQUEST_WORDS
  const index = halves[2 * (at + DECISION_INDEX)]
  const flags = halves[2 * (at + DECISION_FLAGS)]
  const heldOut = (flags & 1) !== 0
  const first = at + DECISION_CHOICES
  const end = first + CHOICE_WORDS * halves[2 * (at + DECISION_COUNT)]
  const shadows: Recommendation['shadows'] = []
  for (let other = first + CHOICE_WORDS; other < end; other += CHOICE_WORDS) {
    const own = halves[2 * other]
    const policy = POLICIES[halves[2 * other + 2] >> 1]
    shadows.push({ policy, tipId: tipIds[own], score: words[other + 2], propensity: words[other + 3], agrees: own === index })
  }
  const how = halves[2 * first + 2]
  return {
    decisionId: `${words[at + DECISION_EPOCH]}.${words[at + DECISION_N]}`,
    tipId: tipIds[index],
    index,
    score: words[at + DECISION_SCORE],
    policy: POLICIES[how >> 1],
    assigned: ASSIGNED[flags >> 1],
    propensity: words[at + DECISION_PROPENSITY],
    exploring: (how & 1) !== 0 || heldOut,
    heldOut,
    shadows,
    latencyUs: (performance.now() - began) * 1000,
  }
}

// As in frame.ts.
export { chosen }
