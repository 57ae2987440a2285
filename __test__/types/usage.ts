// index.d.ts as a caller meets it: what must compile, and what must not. Compiled, never run.
import {
  type BanditErrorCode,
  type BanditErrorReason,
  BanditError,
  Bandits,
  type Candidate,
  type CandidateSet,
  type Health,
  type PolicyName,
  type RecoveryReport,
  type ReplayReport,
  type ScoreResult,
  close,
  features,
  generate,
  health,
  prepare,
  replay,
  reset,
  reward,
  score,
  scoreMany,
  stats,
} from '../../index'

const candidates: Candidate[] = [
  { id: 'a' },
  { id: 'b', content: 'Water the plants', source: 'todoist', sourceId: null, features: { isOverdue: true, taskAgeDays: 3, priority: 4 } },
]

// --- must compile

export const result: ScoreResult = score({ userId: 'u', candidates })
export const numbers: [number, number, number] = [result.score, result.index, result.propensity]
export const flags: boolean = result.exploring
score({ userId: 'u', candidates: prepare(candidates), context: { hourOfDay: 8 }, profileFeatures: null, policy: 'egreedy-v2' })
score({ userId: 'u', candidates: candidates as readonly Candidate[], context: undefined, policy: undefined })
score({ userId: 'u', candidates: [{ id: 'a' }] as const })
score({ userId: 'u', candidates: prepare(candidates), mask: [true, false] as const })
score({ userId: 'u', candidates: [{ id: 'a', promptVersion: 'v2' }], profileFeatures: { computedAt: null } })
export const many: ScoreResult[] = scoreMany([{ userId: 'u', candidates }])
export const done: true = reward({ userId: 'u', tipId: 'a', reward: -0.5, features: { hourOfDay: 8, priority: 1 }, dayOfWeek: 6 }).ok
reward({ userId: 'u', tipId: 'a', reward: 1, features: {}, profileFeatures: { completionRate30d: null, computedAt: '2026-01-01T00:00:00Z' } })
export const theta: number[] = stats('u', 'linucb-v1').theta
export const lastUpdated: string | null = stats('u').lastUpdated
export const hour: number | undefined = features('u').history.at(-1)?.features.hourOfDay
export const reply: Promise<string[]> = generate({ userId: 'u', n: 3 }, { signal: AbortSignal.timeout(1000) }).then(({ candidates: written }) =>
  // What generate() returns can be scored as it is.
  [score({ userId: 'u', candidates: written }).tipId],
)
reset('u')

export async function engines(): Promise<void> {
  const bandits = Bandits.open({ stateDir: 'state', activePolicy: 'linucb-v1', seed: 7, historySize: 0, unknownKeys: 'refuse' })
  const set: CandidateSet = bandits.prepare(candidates)
  const ids: readonly string[] = set.ids
  bandits.score({ userId: ids[0] ?? 'u', candidates: set })
  if (!bandits.closed) await bandits.checkpoint()
  await bandits.erase('u')
  await bandits.close()
  await using other = await Bandits.openAsync({ lockTimeoutMs: 100, signal: new AbortController().signal })
  const { ok, warnings }: { ok: boolean; warnings: string[] } = other.health()
  console.log(ok, warnings, health().writer.lastError)
  await close()
}

export async function logs(): Promise<void> {
  const bandits = Bandits.open({ maxHotUsers: 1000, log: 'off', logRetentionDays: 7, logRetentionBytes: 1e9 })
  const recovery: RecoveryReport = bandits.recovery
  const places: { segment: string; offset: number; bytes: number }[] = recovery.damage
  const { log, damagedFiles, evictedUsers, recovery: same }: Health = bandits.health()
  const [epoch, n]: [number, number] = log.lowWater
  const lost: string[] = damagedFiles.filter(({ rebuilt }) => rebuilt === 'partial').map(({ userId, policy, problem }) => `${userId} ${policy} ${problem}`)
  const failure: string | null = log.lastError
  console.log(places, same.epoch === epoch, n + log.droppedPulls + evictedUsers, lost, failure, recovery.ambiguousUsers.join())
  const report: ReplayReport = await replay('state/log', 'copy', { historySize: 5 })
  const { complete, reasons } = await replay('state/log', 'other')
  console.log(report.users + report.records, complete ? '' : reasons.join())
}

export function handle(error: unknown): BanditErrorCode | 'other' {
  if (!(error instanceof BanditError)) return 'other'
  const name: 'BanditError' = error.name
  console.log(name, error.message, error.cause, error.retryable)
  switch (error.code) {
    case 'ERR_INVALID_ARGUMENT':
    case 'ERR_NO_CANDIDATES':
      return error.code
    case 'ERR_UNKNOWN_DECISION':
      console.log(because(error.reason ?? 'invalid'))
      return error.code
    default:
      return error.code
  }
}
/** A switch over the reasons is complete with five. */
function because(reason: BanditErrorReason): string {
  switch (reason) {
    case 'invalid':
    case 'expired':
    case 'reset':
    case 'superseded':
    case 'otherUser':
      return reason
  }
}
export const unknown: Error = new BanditError('ERR_UNKNOWN_DECISION', 'decisionId: …', { reason: 'expired' })
export const made: Error = new BanditError('ERR_BACKPRESSURE', 'later', { retryable: true, cause: new Error('full') })

/** A switch over the policies is complete with three. */
export function dimensions(policy: PolicyName): number {
  switch (policy) {
    case 'linucb-v1':
      return 5
    case 'egreedy-v1':
      return 7
    case 'egreedy-v2':
      return 12
  }
}

// --- must not compile

// @ts-expect-error no such policy
score({ userId: 'u', candidates, policy: 'thompson-v1' })
// @ts-expect-error a policy is not any string
score({ userId: 'u', candidates, policy: 'linucb-v1' as string })
// @ts-expect-error no user
score({ candidates })
// @ts-expect-error no candidates
score({ userId: 'u' })
// @ts-expect-error the HTTP service's name
score({ user_id: 'u', candidates })
// @ts-expect-error a user's id is a string
score({ userId: 1, candidates })
// @ts-expect-error a candidate has an id
score({ userId: 'u', candidates: [{ content: 'a' }] })
// @ts-expect-error a candidate's features have known names
score({ userId: 'u', candidates: [{ id: 'a', features: { overdue: true } }] })
// @ts-expect-error an hour is a number
score({ userId: 'u', candidates, context: { hourOfDay: '8' } })
// @ts-expect-error the context may be missing, not null
score({ userId: 'u', candidates, context: null })
// @ts-expect-error no reward
reward({ userId: 'u', tipId: 'a', features: {} })
// @ts-expect-error no features
reward({ userId: 'u', tipId: 'a', reward: 1 })
// @ts-expect-error the day of a reward stands beside its features
reward({ userId: 'u', tipId: 'a', reward: 1, features: { dayOfWeek: 1 } })
// @ts-expect-error no user
stats()
// @ts-expect-error made by open()
new Bandits()
// @ts-expect-error an option's name
Bandits.open({ stateDirectory: 'state' })
// @ts-expect-error none of the three
Bandits.open({ unknownKeys: 'error' })
// @ts-expect-error flags, not numbers
score({ userId: 'u', candidates, mask: [1, 0] })
// @ts-expect-error the log is on or off
Bandits.open({ log: true })
// @ts-expect-error a number of days
Bandits.open({ logRetentionDays: '30' })
// @ts-expect-error recovery is for reading
Bandits.open().recovery = Bandits.open().health().recovery
// @ts-expect-error a replay has a place to go to
void replay('state/log')
// @ts-expect-error a replay's option
void replay('state/log', 'copy', { history: 5 })
// @ts-expect-error a prompt's version is a string
score({ userId: 'u', candidates: [{ id: 'a', promptVersion: 2 }] })
// @ts-expect-error open() does not wait
Bandits.open({ lockTimeoutMs: 100 })
// @ts-expect-error no such code
new BanditError('ERR_OTHER', 'no')
// @ts-expect-error results are awaited
void (Bandits.openAsync().score satisfies unknown)
// @ts-expect-error a set is immutable
prepare(candidates).ids.push('c')
// @ts-expect-error closed is for reading
Bandits.open().closed = true
