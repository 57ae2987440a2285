// Looks for unknown keys in what callers hand in, before it is read. A look runs no code of the caller's: what a getter or a proxy would have
// to be asked for is not looked at, and neither is what is inherited. With `unknownKeys: 'refuse'` it is: then getters are asked twice.

import { types } from 'node:util'
import { ALONE, prefix } from './check'
import { meantBy, type Shape, SHAPES } from './keys'
import type { KeyWatch, Sample, Turns } from './unknown-keys'

/** Who looks, in which call, and at how much of it. */
class Look {
  readonly #watch: KeyWatch
  readonly #call: string
  readonly sample: Sample

  constructor(watch: KeyWatch, call: string, sample: Sample) {
    this.#watch = watch
    this.#call = call
    this.sample = sample
  }

  /** Looks at an object's keys. `pattern` is where it stands in request `number`, with `[]` for candidate `i`. */
  at(value: unknown, of: Shape, pattern: string, number: number, i = 0): void {
    if (!this.#isSeen(value)) return
    for (const key of Object.keys(value)) if (!of.keys.has(key)) this.#unknown(value, key, of, pattern, number, i)
  }

  /** What an object has under a key. */
  of(value: unknown, key: string | number): unknown {
    if (this.#watch.refuses) return (value as Partial<Record<string | number, unknown>> | null | undefined)?.[key]
    if (typeof value !== 'object' || value === null || types.isProxy(value)) return undefined
    return Object.getOwnPropertyDescriptor(value, key)?.value
  }

  /** Calls `each` for parts of an array, as many as are looked at. */
  some(array: unknown, each: (part: unknown, i: number) => void): void {
    if (!Array.isArray(array) || !(this.#watch.refuses || !types.isProxy(array))) return
    const { length } = array
    // A proxy's can be anything.
    if (!Number.isSafeInteger(length) || length > LONGEST) return
    const { most, turn } = this.sample
    const step = Math.max(1, Math.ceil(length / most))
    for (let i = turn % step; i < length; i += step) each(this.of(array, i), i)
  }

  #isSeen(value: unknown): value is object {
    return typeof value === 'object' && value !== null && !Array.isArray(value) && (this.#watch.refuses || !types.isProxy(value))
  }

  #unknown(value: object, key: string, of: Shape, pattern: string, number: number, i: number): void {
    const own = Object.getOwnPropertyDescriptor(value, key)
    // Undefined is not given.
    if (own === undefined || ('value' in own && own.value === undefined)) return
    if (of.isOpen || !isPlain(value)) {
      // An instance of a class has fields of its own, such as the one behind a getter.
      const [meant] = meantBy(key, of)?.split('.', 1) ?? []
      if (meant === undefined || meant in value) return
    }
    const before = number === ALONE ? '' : 'requests[].'
    const place = (all: string): string => (all === '' && number !== ALONE ? 'requests[]' : before + all)
    const path = number === ALONE ? pattern : pattern === '' ? `requests[${number}]` : prefix(number) + pattern
    this.#watch.found(key, own.value, of, this.#call, path.replace('candidates[]', `candidates[${i}]`), place(pattern))
  }
}

/** No prototype but that of all objects, whichever realm made it. */
function isPlain(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === null || Object.getPrototypeOf(prototype) === null
}

/** Longer arrays are refused by whoever reads them. */
const LONGEST = 100_000

const { score, recommend, reward, feedback, context, profile, candidate, features, rewardFeatures } = SHAPES

function lookAtCandidates(look: Look, candidates: unknown, number: number): void {
  look.some(candidates, (one, i) => {
    look.at(one, candidate, 'candidates[]', number, i)
    look.at(look.of(one, 'features'), features, 'candidates[].features', number, i)
  })
}

function lookAtChoice(look: Look, request: unknown, of: Shape, number: number): void {
  look.at(request, of, '', number)
  look.at(look.of(request, 'context'), context, 'context', number)
  look.at(look.of(request, 'profileFeatures'), profile, 'profileFeatures', number)
  lookAtCandidates(look, look.of(request, 'candidates'), number)
}

const begin = (watch: KeyWatch, turns: Turns, call: string): Look => new Look(watch, call, turns.begin())

export function lookAtScore(watch: KeyWatch, request: unknown): void {
  lookAtChoice(begin(watch, watch.score, 'score()'), request, score, ALONE)
}

export function lookAtScoreMany(watch: KeyWatch, requests: unknown): void {
  const look = begin(watch, watch.scoreMany, 'scoreMany()')
  look.some(requests, (request, number) => lookAtChoice(look, request, score, number))
}

export function lookAtPrepare(watch: KeyWatch, candidates: unknown): void {
  lookAtCandidates(begin(watch, watch.prepare, 'prepare()'), candidates, ALONE)
}

export function lookAtRecommend(watch: KeyWatch, request: unknown): void {
  lookAtChoice(begin(watch, watch.recommend, 'recommend()'), request, recommend, ALONE)
}

export function lookAtFeedback(watch: KeyWatch, request: unknown): void {
  begin(watch, watch.feedback, 'feedback()').at(request, feedback, '', ALONE)
}

export function lookAtReward(watch: KeyWatch, request: unknown): void {
  const look = begin(watch, watch.reward, 'reward()')
  look.at(request, reward, '', ALONE)
  look.at(look.of(request, 'features'), rewardFeatures, 'features', ALONE)
  look.at(look.of(request, 'profileFeatures'), profile, 'profileFeatures', ALONE)
}

const WHOLE: Sample = { most: Infinity, turn: 0 }

/** Seldom called, so always looked at; likewise the next one. */
export function lookAtGenerate(watch: KeyWatch, request: unknown, options: unknown): void {
  if (watch.isOff) return
  const look = new Look(watch, 'generate()', WHOLE)
  look.at(request, SHAPES.generate, '', ALONE)
  look.at(look.of(request, 'context'), SHAPES.generateContext, 'context', ALONE)
  look.at(look.of(request, 'profileFeatures'), profile, 'profileFeatures', ALONE)
  look.at(options, SHAPES.generateOptions, 'options', ALONE)
}

export function lookAtReadOptions(watch: KeyWatch, call: string, options: unknown): void {
  if (!watch.isOff) new Look(watch, call, WHOLE).at(options, SHAPES.readOptions, 'options', ALONE)
}
