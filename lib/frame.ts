// The frame: the block of doubles that JavaScript and native code both see, and the calls on what stands in it. The places are
// those of src/boundary.json, as in src/node/frame.rs, and loading fails when the two differ. What is written there: `request.ts`; what is read from there: `answer.ts`.
//
// The block never changes, so that V8 compiles its address into the code that writes to it; for that each file has to have `words` and
// `halves` as constants of its own.
//
// Reading a caller's objects can run the caller's code (getters, proxies), which may call back into an engine. Whoever reads is `busy`; a
// call that comes in between goes through `nested`, which puts the outer call's part of the block aside.

import { BanditError, native } from './error'
import { Control, LAYOUT, Request, STATUSES } from './generated/boundary'
import { addon } from './native'

const DONE = STATUSES.indexOf('done')

/** Where the first request of a call stands. */
const FIRST = Control.WORDS

const boundary = new addon.Boundary()
if (boundary.layout !== LAYOUT) {
  throw new BanditError('ERR_UNSUPPORTED', 'the native binary of @oo/bandits is of another version than its JavaScript: install again')
}

const words = boundary.frame()
/** The same as halves of words: whole numbers stand in lower halves, number n in half 2n. */
const halves = new Int32Array(words.buffer, words.byteOffset, 2 * words.length)

/** The call that is being carried out. */
const running = {
  /** The caller's objects are being read: a call that comes in has to go through {@link nested}. */
  busy: false,
  /** Where the call's words end. */
  extent: FIRST,
  /** A number that changes when a call is nested in another one. */
  nestings: 0,
  /** What the call had written could not be put back. */
  spoilt: false,
}

/** How deep getters may call engines that read getters that call engines … */
const DEEPEST = 16
let depth = 0

/** Runs a call within the one that is busy. */
export function nested<T>(call: () => T): T {
  if (depth >= DEEPEST) throw new BanditError('ERR_INVALID_ARGUMENT', `getters call engines more than ${DEEPEST} levels deep`)
  const { extent, spoilt } = running
  const outer = words.slice(0, extent)
  running.busy = false
  running.nestings++
  depth++
  try {
    return call()
  } finally {
    depth--
    running.busy = true
    running.extent = extent
    // At the end of the stack set() throws, and the caller's code may catch that.
    running.spoilt = true
    words.set(outer)
    running.spoilt = spoilt
  }
}

/** The caller's code has run: is what was written still there? */
export function checkIntact(): void {
  if (!running.spoilt) return
  running.spoilt = false
  throw new RangeError('Maximum call stack size exceeded')
}

/** Says whose the request at word `at` is. */
export function setUser(at: number, user: number, meta: number): void {
  halves[2 * (at + Request.USER)] = user
  setMeta(at, meta)
}

/** Says what else is known of it. */
export function setMeta(at: number, meta: number): void {
  halves[2 * (at + Request.META)] = meta
}

/** The next native call is about so many requests from word `at` on. */
export function setRequests(at: number, count: number): void {
  halves[2 * Control.START] = at
  halves[2 * Control.COUNT] = count
}

// Native calls on what stands in the frame; `channel` is the engine's. Each has its own place where it is called: V8 compiles a call well
// that always meets the same function.

const chooseFrame = boundary.chooseFunction()
const pullFrame = boundary.pullFunction()
const pullsFrame = boundary.pullsFunction()
const scoreSetFrame = boundary.scoreSetFunction()
const rewardFrame = boundary.rewardFunction()
const recommendFrame = boundary.recommendFunction()
const foreseeFrame = boundary.foreseeFunction()
const feedbackFrame = boundary.feedbackFunction()

// Halves of the only request, as the code below has them at hand.
const ONLY_USER = 2 * (FIRST + Request.USER)
const ONLY_META = 2 * (FIRST + Request.META)

/** Says whose the only request is, for the next call. */
export function setOnly(user: number, meta: number): void {
  halves[2 * Control.START] = FIRST
  halves[2 * Control.COUNT] = 1
  halves[ONLY_USER] = user
  halves[ONLY_META] = meta
}

/** Chooses for the only request in the frame. */
export function chooseOnly(channel: number, user: number, meta: number): void {
  setOnly(user, meta)
  choose(channel)
}

/** Chooses for the requests in the frame. */
export function choose(channel: number): void {
  halves[2 * Control.CHANNEL] = channel
  chooseFrame()
  if (halves[2 * Control.STATUS] !== DONE) throwError()
}

/** Says that a request of this user comes next. */
export function foresee(channel: number, user: number): void {
  halves[2 * Control.CHANNEL] = channel
  halves[2 * Control.START] = FIRST
  halves[ONLY_USER] = user
  foreseeFrame()
}

/** Remembers what was chosen for the request in the frame. */
export function pull(channel: number, id: string, computedAt: string | undefined, promptVersion: string | undefined): void {
  halves[2 * Control.CHANNEL] = channel
  // What is not there is not passed either.
  if (computedAt === undefined && promptVersion === undefined) pullFrame(id)
  else pullFrame(id, computedAt ?? promptVersion, promptVersion)
  if (halves[2 * Control.STATUS] !== DONE) throwError()
}

/** The same for several requests, with the texts of one behind those of the other. */
export function pulls(channel: number, texts: readonly string[]): void {
  halves[2 * Control.CHANNEL] = channel
  pullsFrame(...texts)
  if (halves[2 * Control.STATUS] !== DONE) throwError()
}

/** Chooses from the prepared set that the only request names, and remembers what was chosen. */
export function scoreSet(channel: number, user: number, meta: number, computedAt: string | undefined): void {
  setOnly(user, meta)
  halves[2 * Control.CHANNEL] = channel
  if (computedAt === undefined) scoreSetFrame()
  else scoreSetFrame(computedAt)
  if (halves[2 * Control.STATUS] !== DONE) throwError()
}

/** Learns from the reward in the frame. */
export function reward(channel: number, tipId: string, computedAt: string | undefined): void {
  halves[2 * Control.CHANNEL] = channel
  rewardFrame(tipId, computedAt)
  if (halves[2 * Control.STATUS] !== DONE) throwError()
}

/** Decides on the request in the frame. */
export function recommend(channel: number, ids: readonly string[], computedAt: string | undefined, promptVersions: string | undefined): void {
  halves[2 * Control.CHANNEL] = channel
  recommendFrame(computedAt, promptVersions, ...ids)
  if (halves[2 * Control.STATUS] !== DONE) throwError()
}

/** Learns from the reaction to a decision in the frame. */
export function react(channel: number, userId: string | undefined): void {
  halves[2 * Control.CHANNEL] = channel
  halves[2 * Control.START] = FIRST
  if (userId === undefined) feedbackFrame()
  else feedbackFrame(userId)
  if (halves[2 * Control.STATUS] !== DONE) throwError()
}

/** Throws what the last call failed of. */
function throwError(): never {
  native(() => boundary.throwError())
  throw new BanditError('ERR_INTERNAL', 'a call failed of nothing')
}

// Not where they are declared: what is exported there is looked up at each use, here too.
export { boundary, FIRST, halves, running, words }
