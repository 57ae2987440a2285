// Keys that nobody reads: a misspelt one (`isOverDue`) would be learned as its default, and nobody would know. Here is at which calls they
// are looked for, and what is said of them; look.ts looks.

import process from 'node:process'
import { refuse, refuseKey, shown } from './error'
import { meantBy, type Shape } from './keys'

/** What happens to unknown keys. */
export type UnknownKeys = 'warn' | 'refuse' | 'ignore'
const MODES: readonly unknown[] = ['warn', 'refuse', 'ignore']

/** Misspellings are systematic: of each kind of call all of the first ones are looked at, and then one of so many. */
const FIRST_CALLS = 64
const EVERY = 2048
const NEVER = 2 ** 30
/** Of how many candidates of a call, and requests of a batch, the keys are looked at: of the first calls, and of later ones. */
const FIRST_MOST = 64
const LATER_MOST = 16
/** How many different keys are told of. Callers may have made keys of their data. */
const MOST_KINDS = 32

/** At which calls of one kind the keys are looked at. Each call counts down `left`, and has them looked at when that falls below 0. */
export class Turns {
  left: number
  #looks = 0
  readonly #mode: UnknownKeys

  constructor(mode: UnknownKeys) {
    this.#mode = mode
    this.left = mode === 'ignore' ? NEVER : 0
  }

  /** A look begins: of so many parts, at which ones? */
  begin(): Sample {
    const looks = this.#looks++
    if (this.#mode === 'ignore') this.left = NEVER
    else this.left = this.#mode === 'refuse' || looks + 1 < FIRST_CALLS ? 0 : EVERY - 1
    if (this.#mode === 'refuse') return ALL
    return { most: looks < FIRST_CALLS ? FIRST_MOST : LATER_MOST, turn: looks }
  }
}

/** At which of many parts a look is had: at most so many, other ones at each turn. */
export interface Sample {
  most: number
  turn: number
}

const ALL: Sample = { most: Infinity, turn: 0 }

interface Kind {
  path: string
  meant: string | undefined
  call: string
  count: number
}

/** What one opener of an engine does about unknown keys, and what was found. */
export class KeyWatch {
  /** Every key of every call is looked at, and unknown ones are refused. */
  readonly refuses: boolean
  readonly isOff: boolean
  readonly score: Turns
  readonly scoreMany: Turns
  readonly prepare: Turns
  readonly recommend: Turns
  readonly feedback: Turns
  readonly reward: Turns
  readonly #kinds = new Map<string, Kind>()
  /** How often keys were found that there was no room to tell of. */
  #others = 0

  constructor(mode: UnknownKeys) {
    this.refuses = mode === 'refuse'
    this.isOff = mode === 'ignore'
    this.score = new Turns(mode)
    this.scoreMany = new Turns(mode)
    this.prepare = new Turns(mode)
    this.recommend = new Turns(mode)
    this.feedback = new Turns(mode)
    this.reward = new Turns(mode)
  }

  /** `key` is none of `of`; `path` is where it was written, `pattern` the same of all candidates and requests. */
  found(key: string, value: unknown, of: Shape, call: string, path: string, pattern: string): void {
    if (this.refuses && !of.isOpen) refuseKey(at(path, key), value, meantBy(key, of), [...of.keys])
    const place = at(pattern, key)
    const known = this.#kinds.get(place)
    if (known !== undefined) known.count++
    else if (this.#kinds.size < MOST_KINDS) this.#tell({ path: place, meant: meantBy(key, of), call, count: 1 })
    else if (this.#others++ === 0) warn(`more than ${MOST_KINDS} unknown keys were passed: no more of them are told. ${REMEDY}`)
  }

  /** A sentence for each key that was found. */
  warnings(): string[] {
    const kinds = [...this.#kinds.values()].map((kind) => `${sentence(kind)}: found ${kind.count} times in the calls that were looked at`)
    return this.#others === 0 ? kinds : [...kinds, `${this.#others} times there were other unknown keys`]
  }

  #tell(kind: Kind): void {
    this.#kinds.set(kind.path, kind)
    warn(`${sentence(kind)}. ${REMEDY}`)
  }
}

const REMEDY = "It has no effect. This is said once a key; health().warnings counts. Option unknownKeys: 'refuse' refuses such calls, 'ignore' says nothing."

function sentence({ path, meant, call }: Kind): string {
  return `${call} does not know ${path}${meant === undefined ? '' : ` (did you mean ${meant}?)`}`
}

function warn(message: string): void {
  process.emitWarning(message, { type: 'BanditsWarning', code: 'OO_BANDITS_UNKNOWN_KEY' })
}

/** The path of a key. One that could not be written like that is shown as a text. */
function at(path: string, key: string): string {
  if (!/^[A-Za-z_$][\w$]{0,63}$/.test(key)) return `${path}[${shown(key)}]`
  return path === '' ? key : `${path}.${key}`
}

/** The option. */
export function checkedMode(mode: unknown): UnknownKeys {
  if (mode === undefined || mode === null) return 'warn'
  return MODES.includes(mode) ? (mode as UnknownKeys) : refuse('options.unknownKeys', "'warn', 'refuse' or 'ignore'", mode)
}
