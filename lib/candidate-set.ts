// Candidates validated and packed once. Their numbers, and a copy of the ids, are native.

import { BanditError } from './error'

const secret = Symbol('made by prepare()')
/** Frees the native side of sets that nobody holds any more. Installed by `prepare.ts`. */
let collected: FinalizationRegistry<number>
let numberOf: (set: CandidateSet) => number
let versionsOf: (set: CandidateSet) => readonly (string | undefined)[] | undefined
let isSet: (value: object) => boolean

export class CandidateSet {
  readonly #number: number
  readonly #promptVersions: readonly (string | undefined)[] | undefined
  readonly ids: readonly string[]

  static {
    numberOf = (set) => set.#number
    versionsOf = (set) => set.#promptVersions
    isSet = (value) => #number in value
  }

  constructor(key?: unknown, number?: number, ids?: readonly string[], promptVersions?: readonly (string | undefined)[]) {
    if (key !== secret) throw new BanditError('ERR_INVALID_ARGUMENT', 'candidate sets are made by prepare(candidates)')
    this.#number = number as number
    this.#promptVersions = promptVersions
    this.ids = Object.freeze(ids as readonly string[])
    Object.freeze(this)
  }

  get length(): number {
    return this.ids.length
  }
}

/** Whether it was made by {@link makeSet}; a proxy or an heir of one was not. */
export function isCandidateSet(value: unknown): value is CandidateSet {
  return typeof value === 'object' && value !== null && isSet(value)
}

/** The number under which native code knows the set. */
export function setNumber(set: CandidateSet): number {
  return numberOf(set)
}

/** The prompt versions of its candidates, where one has one. */
export function promptVersionsOf(set: CandidateSet): readonly (string | undefined)[] | undefined {
  return versionsOf(set)
}

/** Makes a set; `release` is called with its number when it is collected. */
export function makeSet(
  number: number,
  ids: readonly string[],
  promptVersions: readonly (string | undefined)[] | undefined,
  release: (number: number) => void,
): CandidateSet {
  collected ??= new FinalizationRegistry(release)
  const set = new CandidateSet(secret, number, ids, promptVersions)
  collected.register(set, number)
  return set
}
