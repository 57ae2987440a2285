// What the package exports; documented in ../index.d.ts.

export { Bandits } from './bandits'
export { CandidateSet } from './candidate-set'
export * from './default-engine'
export { BanditError } from './error'
export { prepare } from './prepare'
export { replay } from './replay'
