// What lib/ exports is what index.d.ts declares, in both directions: nothing promised that is not there, nothing there that is
// not promised. Only the private parts of the classes are left out.
import type * as built from '../../lib/index'
import type * as declared from '../../index'
import type { Assignable, None, Proves, Same } from './compare'

type Built = typeof built
type Declared = typeof declared
type Classes = 'BanditError' | 'Bandits' | 'CandidateSet'
type Functions = Exclude<keyof Declared, Classes>

export type Names = [
  Proves<None<Exclude<keyof Declared, keyof Built>>>,
  Proves<None<Exclude<keyof Built, keyof Declared>>>,
]

/** Without private members, which make a class unlike anything else. */
type Public<T> = { [K in keyof T]: T[K] }
type Call = (...args: never[]) => unknown
type Alike<A extends Call, B extends Call> = [
  Same<Parameters<A>, Parameters<B>>,
  Same<Public<Awaited<ReturnType<A>>>, Public<Awaited<ReturnType<B>>>>,
  Assignable<ReturnType<A>, ReturnType<B>>,
] extends [true, true, true]
  ? true
  : false
/** The names under which `A` and `B` have something else; one by one, so that an error names them. */
type Different<A, B> = {
  [K in keyof A & keyof B]: (
    A[K] extends Call ? (B[K] extends Call ? Alike<A[K], B[K]> : false) : Same<A[K], B[K]>
  ) extends true
    ? never
    : K
}[keyof A & keyof B]

export type Calls = [Proves<None<Different<Pick<Built, Functions>, Pick<Declared, Functions>>>>]

export type Instances = [
  Proves<Same<keyof built.Bandits, keyof declared.Bandits>>,
  Proves<Same<keyof built.CandidateSet, keyof declared.CandidateSet>>,
  Proves<Same<keyof built.BanditError, keyof declared.BanditError>>,
  Proves<None<Different<built.Bandits, declared.Bandits>>>,
  Proves<None<Different<built.CandidateSet, declared.CandidateSet>>>,
  Proves<None<Different<built.BanditError, declared.BanditError>>>,
  Proves<Assignable<built.Bandits, declared.Bandits>>,
  Proves<Assignable<built.CandidateSet, declared.CandidateSet>>,
  Proves<Assignable<built.BanditError, declared.BanditError>>,
]

type Statics<T> = Omit<T, 'prototype'>
export type Constructors = [
  Proves<Same<keyof Built['Bandits'], keyof Declared['Bandits']>>,
  Proves<Same<keyof Built['CandidateSet'], keyof Declared['CandidateSet']>>,
  Proves<None<Different<Pick<Statics<Built['Bandits']>, 'open'>, Pick<Statics<Declared['Bandits']>, 'open'>>>>,
  Proves<Same<Parameters<Built['Bandits']['openAsync']>, Parameters<Declared['Bandits']['openAsync']>>>,
  Proves<Same<ConstructorParameters<Built['BanditError']>, ConstructorParameters<Declared['BanditError']>>>,
]
