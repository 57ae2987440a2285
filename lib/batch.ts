// scoreMany(): requests are packed one behind the other as long as there is room; then is chosen for all of them, and of each only its
// words stay. When all are chosen for, the choices are remembered. Until then nothing has changed.

import type { ScoreRequest, ScoreResult } from '../index'
import { answer, chosen, chosenId } from './answer'
import { checkId, isObject } from './check'
import { refuse } from './error'
import * as frame from './frame'
import { choose, pulls, setRequests } from './frame'
import { type Candidates, LARGEST_REQUEST, packed, packScoreAt, setUser, withPromptVersion } from './request'

// Own constants: see request.ts.
const { boundary, words, running, FIRST, REQUEST_WORDS } = frame

const LARGEST_CANDIDATES = 1_000_000
/** How many texts cross in one call, and how many a request has at most. */
const MOST_TEXTS = boundary.mostTexts
const TEXTS_PER_REQUEST = 3

/** The engine, to a batch. */
export interface Caller {
  /** What its channel is called in the frame. */
  readonly place: number
  /** The caller's code has run: goes on, or throws. */
  check(): void
  /** Before users are numbered for a native call; numbers that were given before may be void afterwards. */
  boundNumbering(): void
  /** The number of a user. */
  number(userId: string): number
}

interface Entry {
  userId: string
  meta: number
  candidates: Candidates
  computedAt: string | undefined
}

export function scoreBatch(requests: readonly ScoreRequest[], n: number, caller: Caller): ScoreResult[] {
  const entries = chooseAll(requests, n, caller)
  const ids: string[] = []
  const promptVersions: (string | undefined)[] = []
  for (let i = 0; i < n; i++) {
    ids.push(chosenId(wordOf(i), entries[i].candidates, i))
    promptVersions.push(chosen.promptVersion)
  }
  caller.check()
  let texts: string[] = []
  let first = 0
  for (let i = 0; i < n; i++) {
    const { userId, meta, computedAt } = entries[i]
    const promptVersion = promptVersions[i]
    setUser(wordOf(i), caller.number(userId), promptVersion === undefined ? meta : withPromptVersion(meta))
    texts.push(ids[i])
    if (computedAt !== undefined) texts.push(computedAt)
    if (promptVersion !== undefined) texts.push(promptVersion)
    if (texts.length > MOST_TEXTS - TEXTS_PER_REQUEST || i + 1 === n) {
      setRequests(wordOf(first), i + 1 - first)
      pulls(caller.place, texts)
      texts = []
      first = i + 1
    }
  }
  return ids.map((id, i) => answer(wordOf(i), id))
}

/** Where the words of request `i` stand when it is chosen for. */
function wordOf(i: number): number {
  return FIRST + i * REQUEST_WORDS
}

function chooseAll(requests: readonly ScoreRequest[], n: number, caller: Caller): Entry[] {
  const entries: Entry[] = []
  let starts: number[] = []
  let at = FIRST
  let candidatesInAll = 0
  for (let i = 0; i < n; i++) {
    if (at + LARGEST_REQUEST > words.length) {
      chooseFor(entries, starts, caller)
      starts = []
      at = wordOf(i)
    }
    starts.push(at)
    const entry = packAt(requests, i, at)
    entries.push(entry)
    if (Array.isArray(entry.candidates)) candidatesInAll += packed.count
    if (candidatesInAll > LARGEST_CANDIDATES) refuse('requests', `of at most ${LARGEST_CANDIDATES} candidates in all`, candidatesInAll)
    at = packed.end
  }
  if (n > 0) chooseFor(entries, starts, caller)
  return entries
}

function packAt(requests: readonly ScoreRequest[], i: number, at: number): Entry {
  running.extent = at
  running.busy = true
  try {
    const request: unknown = requests[i]
    if (!isObject(request)) refuse(`requests[${i}]`, 'an object', request)
    const { userId, candidates } = request as unknown as ScoreRequest
    const meta = packScoreAt(request as unknown as ScoreRequest, candidates, at, undefined, i)
    checkId(userId, `requests[${i}].userId`)
    return { userId, meta, candidates, computedAt: packed.computedAt }
  } finally {
    running.busy = false
  }
}

/** Chooses for the last ones of these, which stand at `starts`, and leaves their words where {@link wordOf} says. */
function chooseFor(entries: readonly Entry[], starts: readonly number[], caller: Caller): void {
  caller.check()
  caller.boundNumbering()
  const first = entries.length - starts.length
  for (const [i, at] of starts.entries()) {
    const { userId, meta } = entries[first + i]
    setUser(at, caller.number(userId), meta)
  }
  setRequests(starts[0], starts.length)
  choose(caller.place)
  for (const [i, at] of starts.entries()) words.copyWithin(wordOf(first + i), at, at + REQUEST_WORDS)
  running.extent = wordOf(entries.length)
}
