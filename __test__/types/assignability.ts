// The contract is a subset of index.d.ts: who programs against the contract can use this package.
import type * as contract from './contract.d.ts'
import type * as ours from '../../index'
import type { Assignable, Missing, None, Proves, Same, Strict } from './compare'

// What a caller passes may be passed to us, and we know every member of it.
export type Inputs = [
  Proves<Assignable<contract.ScoreRequest, ours.ScoreRequest>>,
  Proves<Assignable<contract.Candidate, ours.Candidate>>,
  Proves<Assignable<contract.CandidateFeatures, ours.CandidateFeatures>>,
  Proves<Assignable<contract.Context, ours.Context>>,
  Proves<Assignable<contract.ProfileFeatures, ours.ProfileFeatures>>,
  Proves<Assignable<contract.RewardRequest, ours.RewardRequest>>,
  Proves<Assignable<contract.GenerateRequest, ours.GenerateRequest>>,
  Proves<None<Missing<contract.ScoreRequest, ours.ScoreRequest>>>,
  Proves<None<Missing<contract.Candidate, ours.Candidate>>>,
  Proves<None<Missing<contract.CandidateFeatures, ours.CandidateFeatures>>>,
  Proves<None<Missing<contract.Context, ours.Context>>>,
  Proves<None<Missing<contract.ProfileFeatures, ours.ProfileFeatures>>>,
  Proves<None<Missing<contract.RewardRequest, ours.RewardRequest>>>,
  Proves<None<Missing<contract.GenerateRequest, ours.GenerateRequest>>>,
]

// What we return is what a caller expects, and has every member of it.
export type Outputs = [
  Proves<Assignable<ours.ScoreResult, contract.ScoreResult>>,
  Proves<Assignable<ours.PolicyStats, contract.PolicyStats>>,
  Proves<Assignable<ours.FeatureRecord, contract.FeatureRecord>>,
  Proves<Assignable<ours.GenerateResult, contract.GenerateResult>>,
  Proves<None<Missing<contract.ScoreResult, ours.ScoreResult>>>,
  Proves<None<Missing<contract.PolicyStats, ours.PolicyStats>>>,
  Proves<None<Missing<contract.FeatureRecord, ours.FeatureRecord>>>,
  Proves<None<Missing<contract.GenerateResult, ours.GenerateResult>>>,
]

export type Names = [Proves<Same<ours.PolicyName, contract.PolicyName>>]

// An engine: every method, its parameters compared strictly, and the two ways to open one. (Ours has no public constructor.)
type Methods = keyof contract.Bandits
type Openers = 'open' | 'openAsync'
export type Engine = [
  Proves<None<Exclude<Methods, keyof ours.Bandits>>>,
  Proves<Assignable<Pick<Strict<ours.Bandits>, Methods>, Strict<contract.Bandits>>>,
  Proves<Assignable<Strict<Pick<typeof ours.Bandits, Openers>>, Strict<Pick<typeof contract.Bandits, Openers>>>>,
]

// The functions on the default engine: the one that the contract writes out, and those that it lists as alike.
type Listed = 'score' | 'reward' | 'stats' | 'features' | 'reset' | 'generate' | 'events' | 'health' | 'start' | 'flush' | 'checkpoint' | 'close'
export type Functions = [
  Proves<None<Exclude<Listed, keyof typeof ours>>>,
  Proves<Assignable<typeof ours.score, typeof contract.score>>,
  Proves<Assignable<Pick<Strict<typeof ours>, Listed>, Pick<Strict<contract.Bandits>, Listed>>>,
]
