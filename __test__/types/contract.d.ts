// The contract that this package was ordered with, verbatim below the line: fixture of assignability.ts, which proves that
// ../../index.d.ts has all of it. Four of its names are described there in prose only; they are ours.
// In a declaration file everything at the top level counts as exported.
import type { BanditsOptions, BusEvent, EventFilter, Health } from '../../index'

// ---------------------------------------------------------------------------------------------------------------------
export type PolicyName = 'linucb-v1' | 'egreedy-v1' | 'egreedy-v2'

export class Bandits {
  /** Opens (and recovers) a state directory. Synchronous; the network is touched only by start() and generate(). */
  static open(options?: BanditsOptions): Bandits
  /** The same off the JS thread; can wait for another process to release the directory (rolling deploys). */
  static openAsync(options?: BanditsOptions & { lockTimeoutMs?: number; signal?: AbortSignal }): Promise<Bandits>
  score(request: ScoreRequest): ScoreResult
  reward(request: RewardRequest): { ok: true }
  stats(userId: string, policy?: PolicyName): PolicyStats
  features(userId: string): { userId: string; history: FeatureRecord[] }
  reset(userId: string): { ok: true }
  erase(userId: string): Promise<void>   // removes a person from state files and log segments
  generate(request: GenerateRequest, options?: { signal?: AbortSignal }): Promise<GenerateResult>
  events(filter?: EventFilter): BusEvent[]
  health(): Health
  start(): Promise<void>          // NATS consumers; a no-op without NATS_URL
  flush(): Promise<void>          // everything acknowledged so far survives power loss (one group-committed log sync)
  checkpoint(): Promise<void>     // flush, and every state file is up to date and synced
  close(): Promise<void>          // drain, checkpoint, release the lock; idempotent; Symbol.asyncDispose too
}
// The same calls as functions on one default engine, opened from the environment at the first call:
export function score(request: ScoreRequest): ScoreResult   // likewise reward, stats, features, reset,
                                                            // generate, events, health, start, flush,
                                                            // checkpoint, close

interface ScoreRequest  { userId: string; candidates: Candidate[]; context?: Context;
                          profileFeatures?: ProfileFeatures | null; policy?: PolicyName }
interface Candidate     { id: string; content?: string; source?: string; sourceId?: string | null;
                          features?: CandidateFeatures; promptVersion?: string /* set by generate(), logged */ }
interface CandidateFeatures { isOverdue?: boolean /*false*/; taskAgeDays?: number /*0*/; priority?: number /*1*/ }
interface Context       { hourOfDay?: number /*12*/; dayOfWeek?: number /*0*/ }
interface ProfileFeatures { completionRate30d?: number | null; dismissRate30d?: number | null;
                            meanDwellMs30d?: number | null; preferredHour?: number | null; tipVolume30d?: number | null;
                            computedAt?: string | null /* logged, for staleness; not a feature */ }
interface ScoreResult   { tipId: string; score: number; policy: PolicyName; index: number; exploring: boolean; propensity: number }
interface RewardRequest { userId: string; tipId: string; reward: number;
                          features: CandidateFeatures & { hourOfDay?: number }; dayOfWeek?: number;
                          profileFeatures?: ProfileFeatures | null; policy?: PolicyName }
interface PolicyStats   { userId: string; policy: PolicyName; pulls: number; rewardCount: number; cumulativeReward: number;
                          estimatedMeanReward: number; explorationRate: number; theta: number[];
                          featureLabels: string[]; lastUpdated: string | null }
interface FeatureRecord { ts: string; policy: PolicyName; tipId: string; score: number; exploring: boolean;
                          features: { hourOfDay: number; isOverdue: boolean; taskAgeDays: number; priority: number; dayOfWeek?: number } }
interface GenerateRequest { userId: string; context?: { tasks?: Record<string, unknown>[]; hourOfDay?: number; dayOfWeek?: number;
                            extra?: Record<string, unknown> }; n?: number /*3*/; promptVersion?: string; profileFeatures?: ProfileFeatures | null }
interface GenerateResult { candidates: { id: string; content: string; source: 'llm'; rationale: string | null; promptVersion: string }[];
                           model: string; promptVersion: string; promptTokens: number; completionTokens: number }
