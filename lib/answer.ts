// From what native code has written into the frame to what callers get.

import { performance } from 'node:perf_hooks'
import { isId, prefix } from './check'
import { type CandidateSet, promptVersionsOf } from './candidate-set'
import { checkPromptVersion, refuseId } from './candidates'
import * as frame from './frame'
import { checkIntact } from './frame'
import { ASSIGNMENTS, Choice, Chosen, Decision, DecisionFlags, POLICIES, Request } from './generated/boundary'
import type { Candidates } from './request'
import { refuse } from './error'
import type { Candidate, Recommendation, ScoreResult } from '../index'

// Own constants: see request.ts.
const { words, halves, running, FIRST } = frame

/** What was read last of a chosen candidate besides its id. */
const chosen: { promptVersion: string | undefined } = { promptVersion: undefined }

/**
 * The id of the candidate that was chosen for the request at word `at`; {@link chosen} has its prompt version. An array's candidate is read
 * once more for that, which may run the caller's code; what was scored of it is not read again.
 */
export function chosenId(at: number, candidates: Candidates, number: number): string {
  const index = halves[2 * (at + Request.INDEX)]
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
  const flags = halves[2 * (at + Request.CHOICE)]
  return {
    tipId,
    score: words[at + Request.SCORE],
    policy: POLICIES[flags >> Choice.POLICY],
    index: halves[2 * (at + Request.INDEX)],
    exploring: (flags & Choice.EXPLORING) !== 0,
    propensity: words[at + Request.PROPENSITY],
  }
}

/** What was chosen from a set for the only request. */
export function answerOf(set: CandidateSet): ScoreResult {
  return answer(FIRST, set.ids[halves[2 * (FIRST + Request.INDEX)]])
}

/** What was decided about the candidates called `tipIds`. */
export function decision(tipIds: readonly string[], began: number): Recommendation {
  const at = FIRST + Request.WORDS
  const index = halves[2 * (at + Decision.INDEX)]
  const flags = halves[2 * (at + Decision.FLAGS)]
  const heldOut = (flags & DecisionFlags.HELD_OUT) !== 0
  const first = at + Decision.WORDS
  const end = first + Chosen.WORDS * halves[2 * (at + Decision.COUNT)]
  const shadows: Recommendation['shadows'] = []
  for (let other = first + Chosen.WORDS; other < end; other += Chosen.WORDS) {
    const own = halves[2 * (other + Chosen.INDEX)]
    const policy = POLICIES[halves[2 * (other + Chosen.CHOICE)] >> Choice.POLICY]
    shadows.push({ policy, tipId: tipIds[own], score: words[other + Chosen.SCORE], propensity: words[other + Chosen.PROPENSITY], agrees: own === index })
  }
  const how = halves[2 * (first + Chosen.CHOICE)]
  return {
    decisionId: `${words[at + Decision.EPOCH]}.${words[at + Decision.N]}`,
    tipId: tipIds[index],
    index,
    score: words[at + Decision.SCORE],
    policy: POLICIES[how >> Choice.POLICY],
    assigned: ASSIGNMENTS[flags >> DecisionFlags.ASSIGNED],
    propensity: words[at + Decision.PROPENSITY],
    exploring: (how & Choice.EXPLORING) !== 0 || heldOut,
    heldOut,
    shadows,
    latencyUs: (performance.now() - began) * 1000,
  }
}

// As in frame.ts.
export { chosen }
