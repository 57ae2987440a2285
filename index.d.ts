/// <reference lib="esnext.disposable" />
// The public contract of @oo/bandits. Hand-written and committed: the implementation in lib/ takes its types from here,
// and `npm run check:types` proves that what lib/ exports and what this file declares are the same.

/** The three policies. `egreedy-v1` is the active one unless configured otherwise. */
export type PolicyName = 'linucb-v1' | 'egreedy-v1' | 'egreedy-v2'

/** What {@link BanditError.code} can be. Codes are stable; messages are for people and may change. */
export type BanditErrorCode =
  /** An argument or option is wrong; the message names its path, e.g. `candidates[3].features.priority`. Fix the caller. */
  | 'ERR_INVALID_ARGUMENT'
  /** `candidates` is empty, or `mask` allows none: there is nothing to choose from. */
  | 'ERR_NO_CANDIDATES'
  /** `policy` is not one of {@link PolicyName}. */
  | 'ERR_UNKNOWN_POLICY'
  /** There is no decision to learn from (any more): `reason` says why. Drop the reaction. */
  | 'ERR_UNKNOWN_DECISION'
  /**
   * Too little was logged to answer honestly: `simulate()` below `minEffective`. The message says what there is. Log more decisions with a
   * `holdout`, or simulate more time.
   */
  | 'ERR_INSUFFICIENT_DATA'
  /** `promptVersion` is not a registered prompt. */
  | 'ERR_UNKNOWN_PROMPT_VERSION'
  /** Another process holds the state directory; the message names its pid. Retryable: it may let go. */
  | 'ERR_STATE_LOCKED'
  /**
   * A state file cannot be read as one, and the interaction log has nothing to put it together from; the message names it. It is
   * left as it is. `reset(userId)` sets it aside. From `open()`: `.policies.json` cannot be read as one. From `open()` and
   * `replay()`: a later release wrote the log.
   */
  | 'ERR_STATE_CORRUPT'
  /**
   * The state directory could not be read or written. `reward()`, `recommend()`, `feedback()`, `setPolicy()`, `reset()` and whatever
   * sees a user for the first time were not applied. `flush()` and `checkpoint()` reject with it while everything is kept and tried again. `erase()` is to be called again.
   * After `close()` what the interaction log has is recovered at the next open. Retryable; from `open()`, `replay()` and `simulate({ log })` only where
   * it may pass by itself (a full disk, too many open files), not for a path that is no directory or without rights.
   */
  | 'ERR_STATE_IO'
  /**
   * Too much is waiting to be written: over 64 MiB of the interaction log that no sync has covered, or as many users as
   * `maxHotUsers` allows. The call (`reward()`, `recommend()`, `feedback()`, `setPolicy()`, `reset()`, `erase()`) was not
   * applied. `generate()`, and what operators ask (`decisions()`, …): too many calls wait for their turn. Retryable, later.
   */
  | 'ERR_BACKPRESSURE'
  /** There is no NATS server (yet), or none that takes the message. Retryable, unless none was named or `start()` was not called. */
  | 'ERR_NATS_UNREACHABLE'
  /** The LLM proxy could not be reached, did not answer in time, or was down a moment ago and is not asked. Retryable. */
  | 'ERR_LLM_UNREACHABLE'
  /** The LLM proxy answered with an error status, or with an error that names one: see `status`. Retryable where that says so: 408, 429 and 5xx. */
  | 'ERR_LLM_STATUS'
  /** The model's replies could not be used, three times. Retryable: another time it may do better. */
  | 'ERR_LLM_INVALID_REPLY'
  /** The engine was closed. */
  | 'ERR_CLOSED'
  /** The native binary is missing or cannot be loaded, or this JavaScript runtime lacks what it needs; the message says what helps. */
  | 'ERR_UNSUPPORTED'
  /** A defect in this package: please report it. The process and the state are intact. */
  | 'ERR_INTERNAL'

/**
 * Why `feedback()` knows no decision to learn from:
 * - `invalid`: there is none with this id in this directory. Another directory's id, a mistake, a damaged line, a person who was erased, or
 *   `log/` was deleted.
 * - `expired`: it was made longer ago than `decisionTtlHours`, or the log was cut since (`logRetentionBytes`; `health().warnings` warns).
 * - `reset`: its user was reset since (or is being erased).
 * - `superseded`: it had a reaction, and the user reacted to `revisableDecisions` later decisions since: it cannot be revised any more. After
 *   a restart also one that had none, because that is not known any more.
 * - `otherUser`: it was not made for the `userId` that the call names.
 */
export type BanditErrorReason = 'invalid' | 'expired' | 'reset' | 'superseded' | 'otherUser'

/**
 * Every error that this package throws or rejects with. `instanceof` works where the package was loaded once; where it was loaded several times
 * (test runners load it for each file), `name` and `code` tell.
 */
export class BanditError extends Error {
  /** Made by the package; public so that tests can make one. `retryable` defaults to false. */
  constructor(code: BanditErrorCode, message: string, options?: { retryable?: boolean; status?: number; reason?: BanditErrorReason; cause?: unknown })
  /** Always `'BanditError'`. */
  readonly name: 'BanditError'
  /** What happened, for programs. */
  readonly code: BanditErrorCode
  /** True when the same call may succeed later although the caller changes nothing. */
  readonly retryable: boolean
  /** `ERR_LLM_STATUS` only: the HTTP status that the proxy answered with, or, of an error that came with 200, the one that it names. */
  readonly status?: number
  /** `ERR_UNKNOWN_DECISION` only: why. */
  readonly reason?: BanditErrorReason
}

/** Options of {@link Bandits.open}. Each overrides its environment variable, which overrides the default. */
export interface BanditsOptions {
  /**
   * Directory of the state files and the interaction log; created (0700) when it does not exist. One process a directory. A `file:` URL is a
   * path, here as in every option that is one. A directory that others can write to opens with a warning; one of another user's in a place like
   * `/tmp`, where anybody can make one, is refused.
   * @default the environment's `STATE_DIR`, else `/tmp/oo-bandit-state` (with a warning: a `/tmp` may be emptied)
   */
  stateDir?: string | URL
  /**
   * The policy that decides, and that calls mean that name none; what `setPolicy()` said outranks it.
   * @default the environment's `ACTIVE_POLICY`, else `'egreedy-v1'`
   */
  activePolicy?: PolicyName
  /**
   * An integer from 0 to 2^53−1 that makes exploration reproducible: the same calls from an empty directory choose the same. What is drawn
   * follows from the seed, the number of the opening (`recovery.epoch`) and how many draws came before in it, so that a directory that goes
   * on never draws the same again.
   * @default drawn from the operating system
   */
  seed?: number
  /**
   * How many scored vectors `features()` remembers per user, 0 to 1,000. They stand in the user's state files.
   * @default 100
   */
  historySize?: number
  /**
   * About how many users are in memory at most, from 1: up to a quarter more while they wait to be written. Those not asked for
   * lately leave once they are written, and come back from their files at their next call.
   * @default 50000
   */
  maxHotUsers?: number
  /**
   * `'off'` appends nothing to the interaction log: what happened since the state files were last written (10 ms and more) is lost
   * with the process, `flush()` writes state files, and `recommend()` refuses. What an earlier engine has logged is recovered all the same. Meant for
   * measurements and throw-away engines.
   * @default 'on'
   */
  log?: 'on' | 'off'
  /**
   * Segments of the interaction log that were last written to so many days ago are removed, once the state files have all they tell.
   * @default 30
   */
  logRetentionDays?: number
  /**
   * The oldest segments are removed while the log has more bytes than this, once the state files have all they tell.
   * @default 1073741824 (1 GiB)
   */
  logRetentionBytes?: number
  /**
   * For how long reactions to a decision are learned from, in hours, from 1 to 24 times `logRetentionDays`.
   * @default 168 (7 days), or as long as the log is kept
   */
  decisionTtlHours?: number
  /**
   * Of how many decisions of a user, the last ones that were reacted to, a later reaction can replace an earlier one; 1 to 10,000. Each takes
   * 32 bytes of memory and about 30 of a state file, for each policy that is not off.
   * @default 64
   */
  revisableDecisions?: number
  /**
   * The largest reward that is learned from, in either direction: above 0, up to 1e12. When a reaction is revised, what is left of the former
   * reward in a user's sums is some 1e-16 of it: keep it near what your rewards are.
   * @default 1000000
   */
  maxReward?: number
  /** What actions are worth to `feedback()`, within `maxReward`. @default done 1, helpful 0.5, snooze 0, not_helpful -0.5, dismiss -1 */
  rewards?: Partial<Record<Action, number>>
  /**
   * What happens to a key that a call does not know, such as `isOverDue` for `isOverdue`, whose value would silently be the default. `'warn'`: the
   * call goes on; of each such key the process is warned once (`OO_BANDITS_UNKNOWN_KEY`, the first 32), and `health().warnings` counts. Of each kind of
   * call the first 64 are looked at, then one of 2,048, and of a call up to 64 (later 16) candidates; what only a getter or a proxy could tell, or a
   * prototype, is not looked at. `'refuse'`: every call is looked at whole, and refused with `ERR_INVALID_ARGUMENT`, the path, the value and the likely
   * key; this takes time for each candidate, and getters are asked twice. `'ignore'`: nobody looks. A candidate itself may carry other keys:
   * there, only what was likely meant for `features` or `promptVersion` is told of, and never refused. Keys whose value is undefined, symbols, and fields
   * of classes that are no misspelling are let be. Unknown options, queries, filters and changes of policies are refused whatever this says.
   * @default 'warn'
   */
  unknownKeys?: 'warn' | 'refuse' | 'ignore'
  /** The event bus. Without a URL there is none. */
  nats?: NatsOptions
  /** The LLM proxy, for `generate()`. */
  litellm?: LiteLlmOptions
}

/** One thing that could be shown. */
export interface Candidate {
  /** Identifies the candidate in results, 1 to 512 UTF-16 units. */
  id: string
  /** The text to show; not used for scoring. */
  content?: string
  /** Where it comes from, e.g. `todoist` or `llm`; not used for scoring. */
  source?: string
  /** Its id at the source; not used for scoring. */
  sourceId?: string | null
  /** What is known of it; what is missing takes its default. */
  features?: CandidateFeatures
  /** The prompt version that wrote it; set by `generate()`, logged. At most 128 UTF-16 units. */
  promptVersion?: string
}

/** What is known of a candidate. */
export interface CandidateFeatures {
  /** The task's due date has passed. @default false */
  isOverdue?: boolean
  /** Days since the task was made; clipped to 0–30. @default 0 */
  taskAgeDays?: number
  /** 1 (none) to 4 (most urgent), a whole number. @default 1 */
  priority?: number
}

/** The moment of the decision, in the user's time zone. */
export interface Context {
  /** 0–23, a whole number. @default 12 */
  hourOfDay?: number
  /** 0–6, a whole number. @default 0 */
  dayOfWeek?: number
}

/** The user's last 30 days, for `egreedy-v2`. `null` and missing both mean: not known. */
export interface ProfileFeatures {
  /** Share of tips done, clipped to 0–1. Not known: 0. */
  completionRate30d?: number | null
  /** Share of tips dismissed, clipped to 0–1. Not known: 0. */
  dismissRate30d?: number | null
  /** Mean time a tip was looked at, in ms, clipped to 10 minutes. Not known: 0. */
  meanDwellMs30d?: number | null
  /** The hour at which the user prefers to act. Not known: neither near nor far. */
  preferredHour?: number | null
  /** Tips shown, on a log scale up to 100. Not known: 0. */
  tipVolume30d?: number | null
  /** When the profile was computed (ISO 8601); logged, not a feature. At most 128 UTF-16 units. */
  computedAt?: string | null
}

/** Which user, which candidates, when. */
export interface ScoreRequest {
  /** 1 to 512 UTF-16 units, no lone surrogates. */
  userId: string
  /** 1 to 100,000 candidates, or a set made by `prepare()`. */
  candidates: readonly Candidate[] | CandidateSet
  /** @default noon on day 0 */
  context?: Context
  /** Used by `egreedy-v2`. @default not known */
  profileFeatures?: ProfileFeatures | null
  /** @default the active policy */
  policy?: PolicyName
  /**
   * One for each candidate, of a prepared set too: false where it may not be chosen. Probabilities are those of the rest. All false is
   * `ERR_NO_CANDIDATES`. @default all may
   */
  mask?: readonly boolean[]
}

/** What was chosen. */
export interface ScoreResult {
  /** The id of the chosen candidate. */
  tipId: string
  /** Its score under the policy. */
  score: number
  /** The policy that chose. */
  policy: PolicyName
  /** Its place in `candidates`. */
  index: number
  /** True when the choice was a uniformly random draw. */
  exploring: boolean
  /** The probability with which the policy chose this candidate of those that `mask` allows, in (0, 1]. */
  propensity: number
}

/** A person's reaction to a tip. */
export interface RewardRequest {
  /** 1 to 512 UTF-16 units. */
  userId: string
  /** The tip that was shown, 1 to 512 UTF-16 units; logged. */
  tipId: string
  /** +1 done, +0.5 helpful, 0 snooze, −0.5 not helpful, −1 dismissed; any number within `maxReward` is accepted. */
  reward: number
  /** The features that the tip was shown with, and the hour at which it was. */
  features: CandidateFeatures & { hourOfDay?: number }
  /** 0–6. @default 0 */
  dayOfWeek?: number
  /** Used by `egreedy-v2`. @default not known */
  profileFeatures?: ProfileFeatures | null
  /** The policy to train. @default the active policy */
  policy?: PolicyName
}

/** What a person did with a tip. */
export type Action = 'done' | 'helpful' | 'snooze' | 'not_helpful' | 'dismiss'

/** Which user, which candidates (1 to 1,000, all ids different), when; who decides is `setPolicy()`'s. */
export interface RecommendRequest extends Omit<ScoreRequest, 'policy'> {
  /** The share of decisions, 0 to 1, that show a uniformly random tip, whatever the policy says. @default 0 */
  holdout?: number
  /** Whether to say what the score is made of. @default false */
  explain?: boolean
}

/** What was decided. The log has it, with every candidate and probability, before the caller does. */
export interface Recommendation {
  /** For `feedback()`. */
  decisionId: string
  /** What to show. */
  tipId: string
  /** Its place in `candidates`. */
  index: number
  /** Its score under the policy that decides. */
  score: number
  /** The policy that decides. */
  policy: PolicyName
  /** Why it is that one: the user's own, its share of users, made active by `setPolicy()`, or by options and environment. */
  assigned: 'user' | 'share' | 'registry' | 'default'
  /** The probability of showing this tip, over holdout, mask and exploration. */
  propensity: number
  /** True when chance chose. */
  exploring: boolean
  /** True when the tip is one of the holdout. */
  heldOut: boolean
  /** What the other policies that are not off would have chosen; it counts as their pull. */
  shadows: { policy: PolicyName; tipId: string; score: number; propensity: number; agrees: boolean }[]
  /** From the call to the answer, in microseconds. */
  latencyUs: number
  /** With `explain`. */
  explanation?: {
    /** θᵢxᵢ for each feature, in the order of `stats().featureLabels`. */
    contributions: number[]
    /** √(xᵀA⁻¹x): how little is known of such a tip; falls with every reward. */
    uncertainty: number
    /** The best of the others. */
    runnerUp: { tipId: string; index: number; score: number } | null
  }
}

/** A person's reaction to a decision: an action, or a reward, or both (the reward counts then). */
export interface FeedbackRequest {
  /** What `recommend()` gave. */
  decisionId: string
  action?: Action
  /** Any number within `maxReward`. @default what `options.rewards` says of the action */
  reward?: number
  /**
   * When it happened, between the decision and now (five minutes either way): of several reactions to one decision the latest counts.
   * @default now; the same reward again is no other reaction
   */
  at?: Moment
  /** Whose decision it has to be: one of another user is refused (`otherUser`). Pass it where ids come from clients. @default any user's */
  userId?: string
}

/** What became of a reaction. */
export interface FeedbackResult {
  ok: true
  /** False: it is the same as, or older than, what was learned before, and changes nothing. */
  applied: boolean
  /** It replaced an earlier reaction to the same decision. */
  revision: boolean
  /** The policies that learn from this decision: fixed by its first reaction; in the order of {@link PolicyName}. */
  policies: PolicyName[]
}

/** What one policy does. */
export interface PolicyRole {
  name: PolicyName
  /** `active`: its choice is shown; `shadow`: it chooses and learns unseen; `off`: neither. */
  mode: 'active' | 'shadow' | 'off'
  /** Who said so. */
  source: 'registry' | 'option' | 'environment' | 'default'
  /** The share of users for whom it decides although it is not the active one, and its salt. */
  share: number | null
  salt: string | null
  /** Users for whom it decides. */
  users: string[]
}

/** A change of what a policy does. */
export interface PolicyChange {
  /** `default` takes back what was changed. */
  mode: 'active' | 'shadow' | 'off' | 'default'
  /** With `active`: for this share of the users only, 0 to 1, always the same ones. 0 ends it. */
  share?: number
  /** Deals users out anew; shares under one salt do not overlap. At most 64 UTF-16 units. @default '' */
  salt?: string
  /** With `active` or `default`: for this user only. */
  userId?: string
}

/** For what operators ask: {@link Bandits.decisions}, {@link Bandits.analytics} and the others. */
export interface ReadOptions {
  /** Ends the work; the call rejects with `signal.reason`. */
  signal?: AbortSignal
  /**
   * Called now and then while the work goes on, never after the promise has settled, with how many parts are done and of how many; before the
   * promise resolves, once with all of them.
   */
  onProgress?: (done: number, of: number) => void
}

/**
 * A time: a Date, an ISO 8601 text (a date, which begins at 00:00 UTC, or date and time with `Z` or an offset), or milliseconds since 1970.
 * The log's clock may be up to 10 ms behind `Date.now()`: with `since: Date.now()` the decision made right after may be missing.
 * What would be a time from 2001 to 2100 in seconds or microseconds is refused, and the message says so.
 */
export type Moment = Date | string | number

/** Which decisions; without anything the last 100. */
export interface DecisionQuery {
  /** This user's alone. */
  userId?: string
  /** Only those that this policy decided. */
  policy?: PolicyName
  /** From then on. */
  since?: Moment
  /** Before then. */
  until?: Moment
  /** How many at most, 1 to 500. @default 100 */
  limit?: number
  /** The id of a decision: only those before it. Take the `next` of the page before: pages have what was written before the first one. */
  after?: string
}

/** Decisions, newest first. */
export interface DecisionPage {
  decisions: Decision[]
  /** Where the next page begins; null when this is the last one. */
  next: string | null
}

/** What was shown, why, and what became of it. */
export interface Decision {
  decisionId: string
  /** ISO 8601 to the millisecond, UTC. */
  at: string
  userId: string
  tipId: string
  /** The policy that decided. */
  policy: PolicyName
  /** Why it was that one. */
  assigned: Recommendation['assigned']
  /** The policy's score of the tip; null where the holdout showed something else than the policy's choice. */
  score: number | null
  /** The probability of showing this tip, over holdout, mask and exploration. */
  propensity: number
  /** True when chance chose. */
  exploring: boolean
  /** True when the tip was one of the holdout. */
  heldOut: boolean
  /** Of the tip that was shown, as given (defaults where not given). */
  features: { hourOfDay: number; dayOfWeek: number; isOverdue: boolean; taskAgeDays: number; priority: number }
  /** The prompt version that wrote it. */
  promptVersion: string | null
  /** How many there were to choose from, masked ones among them. */
  candidates: number
  /** What the other policies would have chosen. */
  shadows: { policy: PolicyName; tipId: string; score: number; agrees: boolean }[]
  /** How long native code took up to the decision's line in the log, in microseconds; null in lines of earlier releases. */
  latencyUs: number | null
  /** What the person did: the reaction that counts. `action` is null where `feedback()` was given a number. */
  feedback: { action: string | null; reward: number; at: string } | null
}

/** What was read to answer. */
export interface LogRead {
  /** Segments of the log. */
  segments: number
  /** Intact lines in them. */
  lines: number
  /** Segments whose last line is not whole; the one that is being written may be among them. */
  tornLines: number
  /** Places that are no line, and lines that cannot be understood: they are not in the answer. */
  damagedLines: number
}

/** Which decisions, and how they are grouped. */
export interface AnalyticsQuery {
  /** Decisions from then on; reactions count whenever they came. @default all that the log has */
  since?: Moment
  /** Decisions before then. */
  until?: Moment
  /** What groups are made by; days are UTC. `action`: decisions without a reaction are in no group. @default 'day' */
  by?: 'day' | 'policy' | 'promptVersion' | 'action'
}

/** What came of some decisions. */
export interface RewardSummary {
  decisions: number
  /** Of these, with a reaction. */
  feedback: number
  /** The mean reward of these; null without any. */
  meanReward: number | null
  /** Where that mean is with 95 % (normal approximation); null under two reactions. */
  ci95: [number, number] | null
  /** How often each action; a reaction that was a number has none. */
  actions: Record<string, number>
}

/** A weighted mean, and how far it can be trusted. */
export interface Estimate {
  /** Σwr / Σw. */
  mean: number
  /** Where it is with 95 % (normal approximation); null under two rewards with a weight over 0. */
  ci95: [number, number] | null
  /** Rewards that it is made of. */
  samples: number
  /** (Σw)² / Σw²: so many rewards of equal weight would say as much. */
  effectiveSampleSize: number
  /** The largest weight as a share of all: near 1, one decision says it all. */
  largestShare: number
}

/** What decisions earned. */
export interface Analytics {
  by: 'day' | 'policy' | 'promptVersion' | 'action'
  /**
   * In the order of their keys; `key` is null, and last, where there is no prompt version, or no action. All past the first 1,000 versions
   * are one group, `(other)`.
   */
  groups: (RewardSummary & { key: string | null })[]
  totals: RewardSummary
  /** How the policies compare. */
  policies: {
    policy: PolicyName
    /** What came of its choices where they were shown, without the holdout. */
    shown: RewardSummary
    /** Decisions that it chose in, as the one that decides or as a shadow. */
    evaluated: number
    /**
     * What its choices would have earned on average, from all decisions with a reaction but those of `withoutOverlap` (SNIPS); null where
     * none can tell.
     */
    estimate: Estimate | null
    /**
     * Decisions with a reaction that cannot tell, because there was but one candidate to choose, or because what was shown was certain and
     * another policy chose it. Estimates where this differs are about different decisions.
     */
    withoutOverlap: number
    /** How often, as a shadow, it chose what was shown; null where it never was one. */
    shadow: { decisions: number; agreed: number; share: number | null } | null
  }[]
  /** What came of the uniformly random tips of the holdout. */
  heldOut: RewardSummary
  found: LogRead
}

/** Which decisions the data's quality is asked of. */
export interface DataQualityQuery {
  /** Decisions from then on. @default all that the log has */
  since?: Moment
}

/** How often something happened, and how often it should have. */
export interface Frequency {
  /** Decisions that can tell. */
  decisions: number
  /** In so many it happened. */
  observed: number
  /** The sum of its probabilities. */
  expected: number
  /**
   * The difference in standard deviations; beyond ±4 the logged probabilities are wrong. Null where less than a variance of 10 was left to
   * chance, Σp(1 − p): what was certain has none. Then compare `observed` with `expected`, which are equal where nothing was left to chance.
   */
  z: number | null
}

/** Whether the data can be trusted. */
export interface DataQuality {
  decisions: number
  /** Of these, with a reaction. */
  feedback: number
  /** The one by the other. */
  joinRate: number | null
  /**
   * Of the tips shown. `missing`: the share of decisions without the feature; null for those that have a default. `atDefault`: the share
   * with the default's value, given or not: the upper bound of what is missing; null for those that have none.
   */
  features: { feature: string; missing: number | null; atDefault: number | null }[]
  /** From the decision to the reaction: median and 90 % quantile, in ms. `negative`: reactions said to be older than their decision. */
  delay: { medianMs: number | null; p90Ms: number | null; negative: number }
  /** Decisions without a profile, with one that does not say when it was computed (`computedAt`; a time after the decision is none), and with one of over 24 hours; all as a share. */
  profiles: { withoutProfile: number; withoutTime: number; stale: number; staleShare: number | null }
  /**
   * Day by day (UTC, `YYYY-MM-DD`), from the first with a decision or a gap to the last; empty ones between them, too. `gaps` and
   * `droppedPulls`: what the log says is missing from it.
   */
  days: { day: string; decisions: number; feedback: number; gaps: number; droppedPulls: number }[]
  /** For each policy how often it chose its best candidate, and how often it explored, against the logged probabilities. */
  calibration: { policy: PolicyName; greedy: Frequency; exploring: Frequency }[]
  /** How often the holdout was drawn. */
  holdout: Frequency
  found: LogRead
}

/** Which users; without anything the first 100. */
export interface UserQuery {
  /** How many at most, 1 to 1,000. @default 100 */
  limit?: number
  /** Only users after this one. Take the `next` of the page before; the user need not exist. */
  after?: string
}

/** Users, in an order that stays as it is. */
export interface UserPage {
  users: {
    userId: string
    /** When a policy last scored for the user or learned; ISO 8601 to the second, UTC. */
    lastUpdated: string | null
    /** Those that know the user. One whose state file cannot be read is left out. */
    policies: { policy: PolicyName; pulls: number; rewardCount: number; cumulativeReward: number; lastUpdated: string | null }[]
  }[]
  /** Where the next page begins; null when this is the last one. */
  next: string | null
}

/** What is simulated. */
export interface SimulateQuery {
  /** Which policy; it begins knowing nobody and learns as it goes. */
  policy: PolicyName
  /**
   * The directory of a log, `<stateDir>/log` of whatever engine; one without a segment is refused. With it `simulate()` works on an engine
   * whose own `log` is 'off'. @default this engine's
   */
  log?: string | URL
  /** Under this effective sample size, at least 1, no value is told. @default 100 */
  minEffective?: number
  /** Decisions from then on. @default all that the log has */
  since?: Moment
  /** Decisions before then. */
  until?: Moment
}

/** What a policy would have earned. */
export interface Simulation {
  policy: PolicyName
  /** Decisions that were played to it. */
  decisions: number
  /** In so many it would have shown what was shown. */
  agreed: number
  /** The one by the other. */
  agreement: number | null
  /** Decisions in which every candidate might have been shown, and there was more than one: only these can be accepted. */
  randomised: number
  /** Those that count. */
  accepted: number
  /** Of these, without a reaction: neither learned from nor part of the value. */
  withoutFeedback: number
  /** That of `value`. */
  effectiveSampleSize: number
  /** Its mean reward. */
  value: Estimate
  found: LogRead
}

/** Where one user stands under one policy. */
export interface PolicyStats {
  userId: string
  policy: PolicyName
  /** How often the policy scored for this user. */
  pulls: number
  /** How many rewards it learned from. */
  rewardCount: number
  /** Their sum. */
  cumulativeReward: number
  /** Their mean; 0 before the first. */
  estimatedMeanReward: number
  /** Share of pulls that explored. */
  explorationRate: number
  /** θ = A⁻¹b, in the order of `featureLabels`. */
  theta: number[]
  /** What each entry of `theta` weighs. */
  featureLabels: string[]
  /** ISO 8601 to the second, UTC; null for a user never seen. */
  lastUpdated: string | null
}

/** One scored vector, as `features()` returns it. */
export interface FeatureRecord {
  /** ISO 8601 to the second, UTC. */
  ts: string
  policy: PolicyName
  tipId: string
  score: number
  exploring: boolean
  /** The raw inputs of the chosen candidate; `dayOfWeek` only where the policy uses it. */
  features: { hourOfDay: number; isOverdue: boolean; taskAgeDays: number; priority: number; dayOfWeek?: number }
}

/** What to write candidates for. */
export interface GenerateRequest {
  /** Whom the tips are for, 1 to 512 UTF-16 units. Not sent to the model. */
  userId: string
  /** What the model is told. It is data for it, never instructions. */
  context?: {
    /**
     * The user's open tasks, as plain data, the important ones first. The model sees the first 50 of them,
     * each with its first 30 entries; texts are cut at 300 characters. At most 256 KiB as JSON. Leave out what it need not know.
     */
    tasks?: Record<string, unknown>[]
    /** 0–23, a whole number. @default the model is not told */
    hourOfDay?: number
    /** 0–6, a whole number; 0 is Sunday, as `Date.getDay()` has it. @default the model is not told */
    dayOfWeek?: number
    /** Whatever else the model should know, as plain data, up to 4,096 bytes as JSON; texts are cut at 300 characters. */
    extra?: Record<string, unknown>
  }
  /** How many candidates to ask for, 1 to 20. Models do not always count well: there may be fewer, or more. @default 3 */
  n?: number
  /** Which prompt. @default as `litellm.promptVersion` says */
  promptVersion?: string
  /** For symmetry with `score()`; prompts do not use it. */
  profileFeatures?: ProfileFeatures | null
}

/** One candidate that a model has written. `score()` takes it as it is. */
export interface GeneratedCandidate {
  /** The model's, where it gave one that is not taken; else made here, and never the same twice. */
  id: string
  /** The text to show: 1 to 1,000 UTF-16 units without control characters. It is a model's: escape it like a user's. */
  content: string
  source: 'llm'
  /** Why, in the model's words; `null` when it gave no usable reason. */
  rationale: string | null
  /** The prompt that it was written for; `score()` writes it to the interaction log. */
  promptVersion: string
}

/** Something in a reply that was not used. */
export interface DroppedReply {
  /** The item's place in the reply, from 0; `null` when it is about the reply as a whole. */
  index: number | null
  /**
   * What was not used: the whole item (also the one at which the token limit cut the list), or its id (another was made) or rationale
   * only; `count`: not as many as asked for.
   */
  what: 'item' | 'id' | 'rationale' | 'count'
  /** Why, for people. */
  reason: string
}

/** Candidates written by a model. */
export interface GenerateResult {
  /** In the model's order. Empty when the model had nothing to say. */
  candidates: GeneratedCandidate[]
  /** The model, as the proxy names it. */
  model: string
  /** The prompt that was used. */
  promptVersion: string
  /** Summed over all replies that this call took. */
  promptTokens: number
  completionTokens: number
  /** What was in the last reply and not used. */
  dropped: DroppedReply[]
  /** How many requests this call took. */
  attempts: number
}

/** A prompt of the registry. */
export interface Prompt {
  /** 1 to 64 of `A-Z a-z 0-9 . _ -`. */
  version: string
  /** What is special about it, in a sentence. */
  description: string
  /** When it was written, `YYYY-MM-DD`. */
  created: string | null
  /** `sha256:` and the first 16 hexadecimal digits of the text's SHA-256. */
  hash: string
  /** Who brought it: the package, `litellm.prompts` or `litellm.promptsDir`. */
  source: 'package' | 'option' | 'directory'
}

/** A prompt of your own. */
export interface PromptOptions {
  /** 1 to 64 of `A-Z a-z 0-9 . _ -`, and not one that the package has. */
  version: string
  description?: string
  /** `YYYY-MM-DD`. */
  created?: string
  /**
   * What the model is told, in the form of a prompt file without its header: the system message, a line `--- user ---`, and the user's
   * message with the places `{{tasks}}`, `{{extra}}`, `{{hour}}`, `{{day}}` and `{{n}}` to be filled in. See docs/generate.md.
   */
  text: string
}

/** The LLM proxy, for `generate()`. Who we are appears in no error, log or `health()`. */
export interface LiteLlmOptions {
  /** `http://` or `https://`, with a path where the proxy has one. Default: `LITELLM_URL`, else `http://localhost:4000`. */
  url?: string
  /** The bearer token. Default: `LITELLM_MASTER_KEY`, else `sk-oo-dev`. */
  masterKey?: string
  /**
   * The prompt of requests that name none: one version, or several with commas between, one of which is drawn uniformly for each
   * request. Default: `TIP_PROMPT_VERSION`, else `DEFAULT_PROMPT_VERSION`, else `v1`.
   */
  promptVersion?: string
  /** Prompts of your own, beside the package's. */
  prompts?: readonly PromptOptions[]
  /** A directory with prompts of your own, one a file (`*.txt`). Read at open. */
  promptsDir?: string | URL
  /** How many requests are under way at most, 1 to 1,000; other calls wait for their turn. @default 16 */
  maxConcurrent?: number
  /** How long one request may take, 1 to 600,000 ms. @default 30000 */
  timeoutMs?: number
  /** How long one call may take, all requests and waits together, 1 to 3,600,000 ms. @default 90000 */
  deadlineMs?: number
  /** PEM of the certificate authorities that are trusted, instead of the system's. Default: `LITELLM_CA`. */
  caFile?: string | URL
}

/** How the LLM proxy does. */
export interface LiteLlmHealth {
  /** Where it is. */
  url: string
  /** The prompts of requests that name none. */
  promptVersions: string[]
  /** Calls since open, and how they ended; the rest are under way. */
  calls: number
  succeeded: number
  failed: number
  aborted: number
  /** Requests sent. */
  attempts: number
  /** Of these: because a reply could not be used; because of a status, a connection, or an answer that was no completion. */
  retriedReplies: number
  retriedFailures: number
  /** Requests under way, and calls that wait for their turn. */
  inFlight: number
  waiting: number
  /** Tokens, as the proxy counts them. */
  promptTokens: number
  completionTokens: number
  /**
   * `open`: the proxy failed five times in a row; calls are answered at once with `ERR_LLM_UNREACHABLE`. `probing`: one call is let
   * through to see whether it is back.
   */
  breaker: 'closed' | 'open' | 'probing'
  /** While the breaker is open: when the next call is let through. */
  retryAt: string | null
  /** The last call that failed; kept after recovery. */
  lastError: { ts: string; code: BanditErrorCode; message: string } | null
}

/** Where NATS is and how it is used. Who we are stands in the URL or in a file; neither appears in an error, a log or `health()`. */
export interface NatsOptions {
  /**
   * One URL or several with commas between: `nats://` or `tls://`, `user:password@` or `token@` before the host, port 4222 unless
   * given. Default: `NATS_URL`. Empty: no consumers.
   */
  url?: string
  /** What names of durable consumers begin with: 1 to 64 of `A-Z a-z 0-9 - _`. Default: `NATS_DURABLE_PREFIX`, else `oo-bandits`. */
  durablePrefix?: string
  /** So often a message is delivered whose handling fails, 1 to 1,000; then it is given up. Default: `NATS_MAX_DELIVER`, else 5. */
  maxDeliver?: number
  /** A `.creds` file (JWT and key). Default: `NATS_CREDS`. */
  credentialsFile?: string | URL
  /** PEM of the certificate authorities that are trusted, instead of the system's. Default: `NATS_CA`. */
  caFile?: string | URL
}

/** Which bus events to list. */
export interface EventFilter {
  /** A NATS subject; `*` stands for one token, a last `>` for one or more. */
  subject?: string
  /** About this user. */
  userId?: string
  /** Only events with a greater `seq`: pass the last one you have seen. */
  sinceSeq?: number
  /** At most so many, 1 to 500: with `sinceSeq` the oldest of them, so that you go on from there, else the newest. Default 500. */
  limit?: number
}

/** One delivery of one message from the bus, as this process saw it. */
export interface BusEvent {
  /** Number among the events of this process, from 1. */
  seq: number
  subject: string
  /** Whom it is about; `null` where that could not be read, or nobody asked. */
  userId: string | null
  /** When the server took the message. */
  ts: string
  receivedAt: string
  /** The stream that has the message, and its number there. */
  stream: string
  streamSeq: number
  /** Which delivery of the message this was: 1, or more when it came again. */
  deliveries: number
  /**
   * - `handled`: it did what it is for.
   * - `stale`: a newer event of the user's was there already; nothing changed.
   * - `ignored`: a subject that nothing is known of.
   * - `retried`: handling failed for now; it comes again.
   * - `dead`: given up: it can never be handled, or failed `maxDeliver` times.
   */
  outcome: 'handled' | 'stale' | 'ignored' | 'retried' | 'dead'
  /** Why it was retried or given up. */
  problem?: string
  /** The first 2,048 bytes of it. */
  payload: string
  payloadBytes: number
}

/** What the last `signals.task.synced` of a user said. */
export interface SyncState {
  v: 1
  userId: string
  /** When the sync happened: the event's `ts`, else when the server took the message. */
  ts: string
  subject: string
  stream: string
  streamSeq: number
  /** The event's own id. */
  eventId: string | null
  /** What it carried: of an envelope `data`, of a flat payload all but `user_id`, `ts`, `id`. */
  data: Record<string, unknown>
}

/** How one of the consumers does. */
export interface ConsumerHealth {
  /** Which subjects it takes. */
  subject: string
  /** The stream and the durable consumer it reads; `null` until they are found. */
  stream: string | null
  durable: string | null
  /** Other streams that take some of the subjects: they are not read, and `health().warnings` says so. */
  streamsNotRead: string[]
  /** When the server took the last message that was seen. */
  lastMsgTs: string | null
  /** Messages that are done with; those of unknown subjects count under `ignored`, too. */
  processed: number
  ignored: number
  /** Deliveries that failed. */
  errors: number
  /** Deliveries that were not the first of their message. */
  redelivered: number
  /** Messages that were given up. */
  terminated: number
  /** Of these: messages whose `ts` is none, or cannot be right; `health().warnings` has why the last one cannot. */
  refusedTs: number
  /** Messages that the server had not yet sent when it sent the last one. */
  pending: number | null
  /** Why it does not consume at the moment. */
  problem: string | null
}

/** A message that was given up. The stream still has it, until its own limits remove it. */
export interface DeadLetter {
  ts: string
  subject: string
  stream: string
  streamSeq: number
  deliveries: number
  userId: string | null
  problem: string
}

/** How the event bus does. */
export interface NatsHealth {
  /** A URL is given. */
  enabled: boolean
  /** `stopped`: `start()` was not called, or the engine is closed. */
  state: 'stopped' | 'connecting' | 'connected' | 'reconnecting'
  /** The servers as they were given, without who we are. */
  servers: string[]
  /** The one that we are connected to. */
  server: string | null
  /** Why we are not. */
  problem: string | null
  /** How often the connection was lost. */
  reconnects: number
  consumers: Partial<Record<'signals' | 'feedback', ConsumerHealth>>
  /** Messages given up since open, and the last ten of them. */
  dead: number
  deadLetters: DeadLetter[]
}

/** How long publishing may take. */
export interface PublishOptions {
  /** Milliseconds for all of it: until a server is connected, and a stream has the message. Whole, 1 to 600,000. Default 5,000. */
  timeoutMs?: number | undefined
  signal?: AbortSignal | undefined
}

/** Where a published message is. */
export interface Published {
  stream: string
  streamSeq: number
  /** The server had it already, by its `Nats-Msg-Id`. */
  duplicate: boolean
}

/** What opening a directory found in the interaction log, and what was done about it. */
export interface RecoveryReport {
  /** The epoch that began. It rises with every engine that opens the directory. */
  epoch: number
  durationMs: number
  /** Segments read. 0 after a clean close. */
  segments: number
  /** Changes that lines about users tell of, one for each policy, beyond what was known to be in the state files. */
  lines: number
  /** Of these: applied to a user's state. */
  applied: number
  /** Of these: already in the user's state file. */
  alreadyInFiles: number
  /** Of these: read twice. */
  duplicates: number
  /** Users whose state was behind the log. */
  users: number
  /**
   * Users (the first 100) who had a state file that is gone, as after a reset by the Python service: what the log has since the
   * last low-water mark was applied to a new state.
   */
  ambiguousUsers: string[]
  /** Segments whose last line is not whole: it was being written when the process died, and nobody was told that it was written. */
  tornLines: number
  /** Places in segments that cannot be read, and segments that are missing or cut. What they told is lost unless a state file has it. */
  damagedLines: number
  /**
   * Where these are, the first 100, torn ones among them; 0 bytes of a segment that is missing; of one that was cut, where it ends
   * and how many bytes are gone (0 where that is not known).
   */
  damage: { segment: string; offset: number; bytes: number }[]
  /**
   * Segments (the first 100) that are shorter than they were, because something emptied or truncated them: their bytes now and
   * before (`null` where that is not known). Every open looks at all segments for this, not only at those that it reads. Missing
   * where there are none.
   */
  cutSegments?: { segment: string; has: number; had: number | null }[]
  /**
   * Files whose number is far above all others of the directory, so that they are none of its own: a segment, which was moved to
   * `set-aside/`, or `.epoch`, which was written anew. Missing where there are none.
   */
  foreignFiles?: { file: string; problem: string }[]
}

/** What {@link replay} found. */
export interface ReplayReport {
  /**
   * The log has everything from its first line to a clean end: the state files equal the originals of all users that the log
   * knows. False also while an engine is at work on it, and after a kill: pulls of the last 10 ms may be in files and in no line.
   */
  complete: boolean
  /** Why not. */
  reasons: string[]
  /** Users whose files were written. */
  users: number
  /** Lines applied. */
  records: number
  /**
   * Segments (the first 100) that are gone (`has` is `null`) or shorter than they were: their bytes now and before (`null` where that is
   * not known). Missing where there are none.
   */
  missing?: { segment: string; has: number | null; had: number | null }[]
}

/** How the engine is doing, for a health route and for people at 3 a.m. A snapshot; cheap. */
export interface Health {
  /** False when something needs a person: `warnings` says what. */
  ok: boolean
  /** The version of this package. */
  version: string
  /** One sentence for each thing that needs a person or that one should know. */
  warnings: string[]
  /** Where the state is and how the setting was found. */
  stateDir: { path: string; source: 'option' | 'environment' | 'default' }
  /** The active policy and how the setting was found. */
  activePolicy: { name: PolicyName; source: 'registry' | 'option' | 'environment' | 'default' }
  /** Users in memory. */
  users: number
  /** Users that left memory since open, to make room. */
  evictedUsers: number
  /** What is on its way to the state files. */
  writer: {
    /** Users changed since their files were last written. */
    dirtyUsers: number
    /** State files written since open. */
    filesWritten: number
    /** Writes that failed since open; each is tried again. */
    errors: number
    /** The last failure, or null. Kept after recovery. */
    lastError: string | null
    /** True while the last attempt failed: nothing reaches the disk. */
    failing: boolean
    /** Files of ours that somebody else had replaced while we had the directory; each was set aside. */
    foreignWrites: number
  }
  /** The interaction log. */
  log: {
    enabled: boolean
    epoch: number
    /** Segments on disk as of the last look (at open, and when a segment begins), and their bytes with what came since. */
    segments: number
    bytes: number
    /**
     * For how long the log reaches back once it is full, at the rate at which it grows; null where it is not on, or too little was written to
     * tell (less than an hour, and less than a tenth of `logRetentionBytes`). Below `decisionTtlHours` there is a warning.
     */
    lastsHours: number | null
    /** All up to this `[epoch, n]` is in the state files, synced. */
    lowWater: [number, number]
    /** Bytes of lines that no sync has covered: what power loss would cost now, with the pulls of the last 10 ms. */
    unsyncedBytes: number
    /**
     * Pulls that are in no line, because nothing could be written for too long or memory was full. They are counted in `stats()`
     * unless memory was.
     */
    droppedPulls: number
    /** Appends and syncs that failed since open. */
    errors: number
    /** The last failure, or null. Kept after recovery. */
    lastError: string | null
    /** True while appending or syncing fails. While appending does, `reward()` and `reset()` try each time, and throw. */
    failing: boolean
  }
  /** Rewards and reactions that were refused since open for what they say. Each was thrown to its caller, too. */
  refused: {
    /** Past `maxReward`. */
    reward: number
    /** An `at` that is not between the decision and now. */
    at: number
    /** `ERR_UNKNOWN_DECISION`, by its {@link BanditErrorReason}. */
    invalid: number
    expired: number
    reset: number
    superseded: number
    otherUser: number
    /** The message of the last of all these. */
    last: string | null
  }
  /** What opening the directory found in the log. */
  recovery: RecoveryReport
  /** State files (the first 100) that could not be read since open. Each was moved to `set-aside/` and put together again from the log. */
  damagedFiles: {
    /** What was wrong; names the file. */
    problem: string
    userId: string
    policy: PolicyName
    /** `complete`: nothing is missing. `partial`: what the log has of the user; something may be missing. */
    rebuilt: 'complete' | 'partial'
  }[]
  /** The event bus. */
  nats: NatsHealth
  /** The LLM proxy. */
  litellm: LiteLlmHealth
}

/**
 * Candidates validated and packed once, by `prepare()`. An immutable snapshot: changing the objects afterwards does not
 * change it. Accepted wherever `candidates` is, by every engine of the same thread.
 */
export class CandidateSet {
  private constructor()
  /** How many candidates it holds. */
  readonly length: number
  /** Their ids, in order. */
  readonly ids: readonly string[]
}

/** An engine on one state directory. Methods work without the object, too: `const { recommend, feedback } = bandits`. */
export class Bandits {
  private constructor()
  /**
   * Opens a state directory, and brings up to date what a process that was killed has left behind (see `recovery`). Worker threads
   * that open the same directory share one engine; another process is refused with `ERR_STATE_LOCKED`.
   * @example
   * const bandits = Bandits.open({ stateDir: '/var/lib/tips' })
   */
  static open(options?: BanditsOptions): Bandits
  /**
   * The same off the JS thread; waits up to `lockTimeoutMs` (default 0) for another process to let go of the directory.
   * Aborting rejects with `signal.reason`.
   */
  static openAsync(options?: BanditsOptions & { lockTimeoutMs?: number; signal?: AbortSignal }): Promise<Bandits>
  /**
   * Chooses one candidate. Counts as a pull of the policy, is remembered in `features()` and stands in the interaction log within
   * about 10 ms. Works on while nothing can be written.
   */
  score(request: ScoreRequest): ScoreResult
  /**
   * Scores a batch with one crossing into native code; all of it or, when one request is refused, nothing. At most 10,000 requests
   * with 1,000,000 candidates in all (those of prepared sets do not count).
   */
  scoreMany(requests: readonly ScoreRequest[]): ScoreResult[]
  /** Validates and packs candidates once, for APIs that score the same tasks again and again. */
  prepare(candidates: readonly Candidate[]): CandidateSet
  /**
   * Learns from a reaction. When it returns, the reaction survives the end of the process, `kill -9` included; when a `flush()`
   * after it resolves, power loss, too. When it throws, nothing was learned.
   */
  reward(request: RewardRequest): { ok: true }
  /**
   * Decides what to show: the policy that decides for this user chooses, all that are not off choose beside it, and the log has the
   * whole decision before this returns. Needs the log.
   * @example
   * const { decisionId, tipId } = bandits.recommend({ userId, candidates, context: { hourOfDay: 9 } })
   */
  recommend(request: RecommendRequest): Recommendation
  /**
   * Learns from a reaction to a decision, once: the same reaction twice counts once, a later one replaces an earlier one. All policies
   * that are not off learn, from the features that were decided on. Survives what a `reward()` survives. Throws
   * `ERR_UNKNOWN_DECISION` where there is no decision to learn from, with a {@link BanditErrorReason}.
   * @example
   * bandits.feedback({ decisionId, action: 'done', userId })
   */
  feedback(request: FeedbackRequest): FeedbackResult
  /** What each policy does. */
  policies(): PolicyRole[]
  /**
   * Changes what a policy does, from the next decision on, for good: it outranks options and environment until set back to `default`. The
   * former active policy becomes a shadow. Shares and single users concern `recommend()`; `score()` and `reward()` without a policy
   * mean the active one.
   */
  setPolicy(policy: PolicyName, change: PolicyChange): void
  /**
   * The recommendation log: what was shown to whom, why, how long it took, and what became of it, newest first, page by page. This and the
   * next four are what operators ask: answered off the JS thread from the log and the state files (docs/operations.md says how), two at a
   * time; 16 wait, more are refused with `ERR_BACKPRESSURE`. They reject with `ERR_INVALID_ARGUMENT` without a log, but for `users()`, and with
   * `ERR_CLOSED` when the engine is closed meanwhile.
   * @example
   * for (let after: string | undefined; ; ) {
   *   const { decisions, next } = await bandits.decisions({ userId, since: '2026-11-01T00:00:00Z', after })
   *   console.table(decisions)
   *   if (next === null) break
   *   after = next
   * }
   */
  decisions(query?: DecisionQuery, options?: ReadOptions): Promise<DecisionPage>
  /** What decisions earned, by day, policy, prompt version or action, and how the policies compare. Reads the log from `since` on. */
  analytics(query?: AnalyticsQuery, options?: ReadOptions): Promise<Analytics>
  /** Whether the data can be trusted: what is missing, late or stale, and whether logged probabilities are what chance did. */
  dataQuality(query?: DataQualityQuery, options?: ReadOptions): Promise<DataQuality>
  /** The users that have a state, in memory or on disk, page by page. Reads the files of the page's users. */
  users(query?: UserQuery, options?: ReadOptions): Promise<UserPage>
  /**
   * What a policy would have earned on the randomised share of logged decisions, by replaying them with rejection sampling: the step
   * before `setPolicy()`. Rejects with `ERR_INSUFFICIENT_DATA` where too little can tell.
   * @example
   * const { agreement, value } = await bandits.simulate({ policy: 'egreedy-v2', since: '2026-11-01T00:00:00Z' })
   */
  simulate(query: SimulateQuery, options?: ReadOptions): Promise<Simulation>
  /** Where a user stands. @param policy default: the active policy */
  stats(userId: string, policy?: PolicyName): PolicyStats
  /** The user's last scored vectors, oldest first, all policies together. They survive a restart. */
  features(userId: string): { userId: string; history: FeatureRecord[] }
  /** Puts a user back to the start, under all policies, and clears the history. Survives what a `reward()` survives. */
  reset(userId: string): { ok: true }
  /**
   * Removes a person: memory, state files, what was set aside of them, and every line of the interaction log. Resolves when the
   * removal is on disk; a rejected one is to be called again, one that the process did not live to see is finished by the next open.
   * Takes as long as reading the log, and writing the segments that name the person, in the background: no other call waits for it but
   * `close()`. Does not reach copies.
   */
  erase(userId: string): Promise<void>
  /**
   * Has a model write candidates, through the LLM proxy. Repeats what failed for now, within `litellm.deadlineMs`: at most two replies
   * that cannot be used, and two failures. Aborting ends the request under way and rejects with `signal.reason`. Rejects with
   * `ERR_LLM_UNREACHABLE`, `ERR_LLM_STATUS`, `ERR_LLM_INVALID_REPLY`, `ERR_UNKNOWN_PROMPT_VERSION` or `ERR_BACKPRESSURE`.
   * @example
   * const { candidates } = await bandits.generate({ userId, context: { tasks, hourOfDay: 9 } })
   * const { tipId } = bandits.score({ userId, candidates: [...candidates, ...ownCandidates], context: { hourOfDay: 9 } })
   */
  generate(request: GenerateRequest, options?: { signal?: AbortSignal }): Promise<GenerateResult>
  /** The prompts that `generate()` knows, the package's first. */
  prompts(): Prompt[]
  /** What was seen on the bus: of the last 500 deliveries those that are meant, oldest first. Cheap enough to poll. */
  events(filter?: EventFilter): BusEvent[]
  /**
   * Has `listener` called for every delivery from now on; what is returned ends that, and so does `close()`. Listening neither holds the process open nor
   * holds up the consumers: a listener that is late by more than 500 events misses some, and sees it by a gap in `seq`.
   * @example
   * const stop = bandits.onEvent(({ subject, userId, outcome }) => console.log(subject, userId, outcome))
   */
  onEvent(listener: (event: BusEvent) => void): () => void
  /**
   * Publishes to the bus and resolves when a stream has the message: to send a signal again, say. A string or bytes go as they
   * are, anything else as JSON. Waits for a server until `options.timeoutMs` are over, then rejects with `ERR_NATS_UNREACHABLE`, and so it
   * does where no stream takes the subject or says in time that it has the message, which may have arrived all the same. Rejects with
   * `ERR_INVALID_ARGUMENT` where the payload is larger than the server or the stream takes (`max_payload`, `max_msg_size`): trying again is
   * no use. When `options.signal` aborts, it rejects with its reason, and what was not sent is not sent any more.
   */
  publish(subject: string, payload: unknown, options?: PublishOptions): Promise<Published>
  /** What the last `signals.task.synced` of a user said; `null` when there was none. */
  syncState(userId: string): SyncState | null
  /** What opening the directory found in the interaction log; also in `health()`. */
  readonly recovery: RecoveryReport
  /** How the engine is doing. */
  health(): Health
  /**
   * Starts the NATS consumers; does nothing without a URL, or when they run. Resolves when they do, whether or not a server is
   * there: they look for one until `close()`, and `health().nats` says how it goes. Rejects with `ERR_INVALID_ARGUMENT` when the
   * credentials or certificates cannot be read.
   */
  start(): Promise<void>
  /** Resolves when everything acknowledged so far survives power loss: one sync of the log, shared by all who wait for it. */
  flush(): Promise<void>
  /** `flush()`, and every state file is up to date and synced. */
  checkpoint(): Promise<void>
  /** Writes what is left (a checkpoint), releases the directory. Idempotent. Afterwards every other call throws `ERR_CLOSED`. */
  close(): Promise<void>
  /** True once `close()` was called. */
  readonly closed: boolean
  /** `await using bandits = Bandits.open()` closes it at the end of the block. */
  [Symbol.asyncDispose](): Promise<void>
}

/**
 * Makes, in an empty directory, the state files that follow from a log alone: for audits, to see whether a log is complete, and to
 * get back single users. `logDir` is the `log` directory itself; it is only read, and may be a running engine's. `stateDir` is made
 * where it does not exist. `historySize` (default 100) and `revisableDecisions` (default 64) as of the engine that wrote the log.
 * @example
 * const { complete, reasons } = await replay('/var/lib/tips/log', '/tmp/replayed')
 */
export function replay(logDir: string | URL, stateDir: string | URL, options?: { historySize?: number; revisableDecisions?: number }): Promise<ReplayReport>

/** {@link Bandits.score} on the default engine, which the first call opens from the environment. */
export function score(request: ScoreRequest): ScoreResult
/** {@link Bandits.scoreMany} on the default engine. */
export function scoreMany(requests: readonly ScoreRequest[]): ScoreResult[]
/** {@link Bandits.prepare}; needs no engine, and treats unknown keys as `unknownKeys: 'warn'` does, without a line in `health()`. */
export function prepare(candidates: readonly Candidate[]): CandidateSet
/** {@link Bandits.reward} on the default engine. */
export function reward(request: RewardRequest): { ok: true }
/** {@link Bandits.recommend} on the default engine. */
export function recommend(request: RecommendRequest): Recommendation
/** {@link Bandits.feedback} on the default engine. */
export function feedback(request: FeedbackRequest): FeedbackResult
/** {@link Bandits.policies} on the default engine. */
export function policies(): PolicyRole[]
/** {@link Bandits.setPolicy} on the default engine. */
export function setPolicy(policy: PolicyName, change: PolicyChange): void
/** {@link Bandits.decisions} on the default engine. */
export function decisions(query?: DecisionQuery, options?: ReadOptions): Promise<DecisionPage>
/** {@link Bandits.analytics} on the default engine. */
export function analytics(query?: AnalyticsQuery, options?: ReadOptions): Promise<Analytics>
/** {@link Bandits.dataQuality} on the default engine. */
export function dataQuality(query?: DataQualityQuery, options?: ReadOptions): Promise<DataQuality>
/** {@link Bandits.users} on the default engine. */
export function users(query?: UserQuery, options?: ReadOptions): Promise<UserPage>
/** {@link Bandits.simulate} on the default engine. */
export function simulate(query: SimulateQuery, options?: ReadOptions): Promise<Simulation>
/** {@link Bandits.stats} on the default engine. */
export function stats(userId: string, policy?: PolicyName): PolicyStats
/** {@link Bandits.features} on the default engine. */
export function features(userId: string): { userId: string; history: FeatureRecord[] }
/** {@link Bandits.reset} on the default engine. */
export function reset(userId: string): { ok: true }
/** {@link Bandits.erase} on the default engine. */
export function erase(userId: string): Promise<void>
/** {@link Bandits.generate} on the default engine. */
export function generate(request: GenerateRequest, options?: { signal?: AbortSignal }): Promise<GenerateResult>
/** {@link Bandits.prompts} on the default engine. */
export function prompts(): Prompt[]
/** {@link Bandits.events} on the default engine. */
export function events(filter?: EventFilter): BusEvent[]
/** {@link Bandits.onEvent} on the default engine. */
export function onEvent(listener: (event: BusEvent) => void): () => void
/** {@link Bandits.publish} on the default engine. */
export function publish(subject: string, payload: unknown, options?: PublishOptions): Promise<Published>
/** {@link Bandits.syncState} on the default engine. */
export function syncState(userId: string): SyncState | null
/** {@link Bandits.health} on the default engine. */
export function health(): Health
/** {@link Bandits.start} on the default engine. */
export function start(): Promise<void>
/** {@link Bandits.flush} on the default engine. */
export function flush(): Promise<void>
/** {@link Bandits.checkpoint} on the default engine. */
export function checkpoint(): Promise<void>
/** Closes the default engine; the next call opens a new one. Does nothing when none is open. */
export function close(): Promise<void>
