// Types that compare types. Assignability alone misses two things: a method's parameters are compared in both directions,
// and an optional member may be missing altogether.

/** Compiles only for `true`. */
export type Proves<_Claims extends true> = never

/** True when a `Source` can be used as a `Target`. */
export type Assignable<Source, Target> = [Source] extends [Target] ? true : false

/** True when each can be used as the other. */
export type Same<A, B> = Assignable<A, B> extends true ? Assignable<B, A> : false

/** True when there is nothing in it. */
export type None<T> = [T] extends [never] ? true : false

/** `T` with each method as a function, whose parameters are compared strictly. */
export type Strict<T> = {
  [K in keyof T]: T[K] extends (...args: infer A) => infer R ? (...args: A) => R : T[K]
}

type Leaf = string | number | boolean | bigint | symbol | null | undefined | ((...args: never[]) => unknown)
type KeyOf<T> = T extends unknown ? keyof T : never
type At<T, K> = T extends unknown ? (K extends keyof T ? NonNullable<T[K]> : never) : never
type Item<T> = T extends readonly (infer I)[] ? I : never

/** The paths of the members, at any depth, that `Wanted` has and `Found` has not. */
export type Missing<Wanted, Found, Path extends string = ''> = Wanted extends Leaf
  ? never
  : Wanted extends readonly (infer I)[]
    ? Missing<I, Item<Found>, `${Path}[]`>
    : {
        [K in keyof Wanted & string]-?: K extends KeyOf<Found>
          ? Missing<NonNullable<Wanted[K]>, At<Found, K>, `${Path}.${K}`>
          : `${Path}.${K}`
      }[keyof Wanted & string]
