// scoreMany(): requests are packed one behind the other as long as there is room, and chosen for. Where there is no more room, of those
// only their words stay. When all are chosen for, the choices are remembered; until then nothing has changed.

import type { ScoreRequest, ScoreResult } from '../index'
import * as answers from './answer'
import { answer, chosenId } from './answer'
import { ID, isId, isObject } from './check'
import { refuse } from './error'
import * as frame from './frame'
import { choose, pulls, setMeta, setRequests, setUser } from './frame'
import { Limit, Request } from './generated/boundary'
import * as request from './request'
import { packScoreAt, withPromptVersion } from './request'

// Own constants: see request.ts.
const { words, running, FIRST } = frame
const { LARGEST_REQUEST, packed } = request
const { chosen } = answers

const LARGEST_CANDIDATES = 1_000_000
/** How many texts a request has at most. */
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

/** A request that is packed. */
interface Entry {
  /** Its first word. */
  at: number
  userId: string
  meta: number
  candidates: request.Candidates
  computedAt: string | undefined
  /** What is said of the chosen candidate. */
  id: string
  promptVersion: string | undefined
}

export function scoreBatch(requests: readonly ScoreRequest[], n: number, caller: Caller): ScoreResult[] {
  const entries = chooseAll(requests, n, caller)
  const { nestings } = running
  for (let i = 0; i < n; i++) {
    const entry = entries[i]
    entry.id = chosenId(entry.at, entry.candidates, i)
    entry.promptVersion = chosen.promptVersion
  }
  caller.check()
  if (nestings !== running.nestings) numberAll(entries, 0, caller)
  const results: ScoreResult[] = []
  let texts: string[] = []
  let first = 0
  for (let i = 0; i < n; i++) {
    const { at, meta, id, computedAt, promptVersion } = entries[i]
    texts.push(id)
    if (computedAt !== undefined) texts.push(computedAt)
    if (promptVersion !== undefined) {
      setMeta(at, withPromptVersion(meta))
      texts.push(promptVersion)
    }
    if (texts.length > Limit.MOST_TEXTS - TEXTS_PER_REQUEST || i + 1 === n) {
      setRequests(entries[first].at, i + 1 - first)
      pulls(caller.place, texts)
      texts = []
      first = i + 1
    }
    results.push(answer(at, id))
  }
  return results
}

function numberAll(entries: readonly Entry[], first: number, caller: Caller): void {
  for (let i = first; i < entries.length; i++) {
    const { at, userId, meta } = entries[i]
    setUser(at, caller.number(userId), meta)
  }
}

function chooseAll(requests: readonly ScoreRequest[], n: number, caller: Caller): Entry[] {
  const entries: Entry[] = []
  let first = 0
  let at = FIRST
  let candidatesInAll = 0
  for (let i = 0; i < n; i++) {
    if (at + LARGEST_REQUEST > words.length) {
      chooseFor(entries, first, caller)
      at = withoutLanes(entries)
      first = i
    }
    const entry = packAt(requests, i, at)
    entries.push(entry)
    if (Array.isArray(entry.candidates)) candidatesInAll += packed.count
    if (candidatesInAll > LARGEST_CANDIDATES) refuse('requests', `of at most ${LARGEST_CANDIDATES} candidates in all`, candidatesInAll)
    at = packed.end
  }
  if (n > 0) chooseFor(entries, first, caller)
  if (first > 0) {
    // Where one call is not enough for all texts, the next one begins in the midst of them: their words have to stand side by side. And
    // numbering may have started afresh before a later portion.
    withoutLanes(entries)
    numberAll(entries, 0, caller)
  }
  return entries
}

function packAt(requests: readonly ScoreRequest[], i: number, at: number): Entry {
  running.extent = at
  running.spoilt = false
  running.busy = true
  try {
    const asked: unknown = requests[i]
    if (!isObject(asked)) refuse(`requests[${i}]`, 'an object', asked)
    const { userId, candidates, mask } = asked as unknown as ScoreRequest
    const meta = packScoreAt(asked, candidates, mask, at, undefined, i)
    // Before the first user is looked up, which may be loading it.
    if (!isId(userId)) refuse(`requests[${i}].userId`, ID, userId)
    return { at, userId, meta, candidates, computedAt: packed.computedAt, id: '', promptVersion: undefined }
  } finally {
    running.busy = false
  }
}

/** Chooses for the entries from number `first` on. */
function chooseFor(entries: readonly Entry[], first: number, caller: Caller): void {
  caller.check()
  caller.boundNumbering()
  numberAll(entries, first, caller)
  setRequests(entries[first].at, entries.length - first)
  choose(caller.place)
}

/** Leaves only the requests' own words in the frame; returns where they end. */
function withoutLanes(entries: readonly Entry[]): number {
  let to = FIRST
  for (const entry of entries) {
    request.moveWithoutLanes(entry.at, to)
    entry.at = to
    to += Request.WORDS
  }
  running.extent = to
  return to
}
