// The keys of everything that callers hand in and that takes what is missing for its default: there a misspelt key would be silence. (What
// refuses unknown keys by itself names its keys where it is checked: options, queries, filters, changes of policies.)

import { inAnotherWay, likelyKey } from './likely'

/** An object's keys. */
export interface Shape {
  /** Those that it has. */
  readonly keys: ReadonlySet<string>
  /** Those that belong elsewhere, and where. */
  readonly elsewhere: Readonly<Record<string, string>>
  /** It may carry whatever callers like: only what would have had an effect under another name is a mistake. */
  readonly isOpen: boolean
  /** What was likely meant by keys that were asked about. */
  readonly asked: Map<string, string | undefined>
}

/** What is remembered of what was meant: callers may have made keys of their data. */
const MOST_ASKED = 256

function shape(keys: readonly string[], elsewhere: Record<string, string> = {}, isOpen = false): Shape {
  return { keys: new Set(keys), elsewhere, isOpen, asked: new Map() }
}

const IN_CONTEXT = { hourOfDay: 'context.hourOfDay', dayOfWeek: 'context.dayOfWeek' }
const IN_FEATURES = { isOverdue: 'features.isOverdue', taskAgeDays: 'features.taskAgeDays', priority: 'features.priority' }
const BY_RECOMMEND = { holdout: 'holdout of recommend()', explain: 'explain of recommend()' }
const SCORE = ['userId', 'candidates', 'context', 'profileFeatures', 'policy', 'mask']
const FEATURES = ['isOverdue', 'taskAgeDays', 'priority']

export const SHAPES = {
  score: shape(SCORE, { ...IN_CONTEXT, ...BY_RECOMMEND }),
  recommend: shape([...SCORE, 'holdout', 'explain'], IN_CONTEXT),
  reward: shape(['userId', 'tipId', 'reward', 'features', 'dayOfWeek', 'profileFeatures', 'policy'], { ...IN_FEATURES, hourOfDay: 'features.hourOfDay' }),
  feedback: shape(['decisionId', 'action', 'reward', 'at', 'userId']),
  context: shape(['hourOfDay', 'dayOfWeek']),
  profile: shape(['completionRate30d', 'dismissRate30d', 'meanDwellMs30d', 'preferredHour', 'tipVolume30d', 'computedAt']),
  candidate: shape(['id', 'content', 'source', 'sourceId', 'features', 'promptVersion'], IN_FEATURES, true),
  features: shape(FEATURES, IN_CONTEXT),
  rewardFeatures: shape([...FEATURES, 'hourOfDay'], { dayOfWeek: 'dayOfWeek beside features' }),
  generate: shape(['userId', 'context', 'n', 'promptVersion', 'profileFeatures'], {
    ...IN_CONTEXT,
    tasks: 'context.tasks',
    extra: 'context.extra',
    signal: 'signal of the second argument',
  }),
  generateContext: shape(['tasks', 'hourOfDay', 'dayOfWeek', 'extra'], { n: 'n beside context', promptVersion: 'promptVersion beside context' }),
  generateOptions: shape(['signal']),
  readOptions: shape(['signal', 'onProgress']),
} as const

/** What was likely meant by a key that an object of this shape does not have, and where that belongs. */
export function meantBy(key: string, of: Shape): string | undefined {
  if (of.asked.has(key)) return of.asked.get(key)
  const meant = of.isOpen ? meantByCarried(key, of) : meantHereOrElsewhere(key, of)
  if (of.asked.size < MOST_ASKED) of.asked.set(key, meant)
  return meant
}

function meantHereOrElsewhere(key: string, of: Shape): string | undefined {
  const name = likelyKey(key, [...of.keys, ...Object.keys(of.elsewhere)])
  return name === undefined ? undefined : (of.elsewhere[name] ?? name)
}

/** Only what has an effect, and only the same letters: who carries `source` or `age` along means nothing by it. */
function meantByCarried(key: string, of: Shape): string | undefined {
  const own = inAnotherWay(key, ['promptVersion']) ?? (/^features?$/i.test(key) ? 'features' : undefined)
  return own ?? of.elsewhere[inAnotherWay(key, Object.keys(of.elsewhere)) ?? '']
}
