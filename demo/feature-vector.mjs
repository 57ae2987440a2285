// @ts-check
// The vector x that a policy saw, rebuilt from the inputs to explain a score: score = Σ θᵢxᵢ (+ a bonus under linucb-v1).
// The engine has its own; a test of the demo checks that both agree.

/** @import { ProfileFeatures } from '@oo/bandits' */

/**
 * @typedef {object} FeatureInputs
 * @property {number} hourOfDay
 * @property {number} dayOfWeek
 * @property {boolean} isOverdue
 * @property {number} taskAgeDays
 * @property {number} priority
 * @property {ProfileFeatures} profile
 */

/** @typedef {'overdue' | 'age' | 'priority' | 'hour' | 'weekday' | 'profile'} Group what a reader calls the cause */
/** @typedef {{ group: Group, value: (inputs: FeatureInputs) => number }} Feature */

const FULL_TURN = 2 * Math.PI
const clip01 = (/** @type {number} */ value) => Math.min(1, Math.max(0, value))

/** @type {Record<string, Feature>} */
const FEATURES = {
  hour_sin: { group: 'hour', value: ({ hourOfDay }) => Math.sin((FULL_TURN * hourOfDay) / 24) },
  hour_cos: { group: 'hour', value: ({ hourOfDay }) => Math.cos((FULL_TURN * hourOfDay) / 24) },
  is_overdue: { group: 'overdue', value: ({ isOverdue }) => Number(isOverdue) },
  task_age: { group: 'age', value: ({ taskAgeDays }) => clip01(taskAgeDays / 30) },
  priority: { group: 'priority', value: ({ priority }) => (priority - 1) / 3 },
  dow_sin: { group: 'weekday', value: ({ dayOfWeek }) => Math.sin((FULL_TURN * dayOfWeek) / 7) },
  dow_cos: { group: 'weekday', value: ({ dayOfWeek }) => Math.cos((FULL_TURN * dayOfWeek) / 7) },
  completion_rate_30d: { group: 'profile', value: ({ profile }) => clip01(profile.completionRate30d ?? 0) },
  dismiss_rate_30d: { group: 'profile', value: ({ profile }) => clip01(profile.dismissRate30d ?? 0) },
  mean_dwell_norm: { group: 'profile', value: ({ profile }) => clip01((profile.meanDwellMs30d ?? 0) / 600_000) },
  preferred_hour_alignment: { group: 'profile', value: ({ profile, hourOfDay }) => alignment(profile.preferredHour, hourOfDay) },
  tip_volume_norm: { group: 'profile', value: ({ profile }) => clip01(Math.log1p(profile.tipVolume30d ?? 0) / Math.log1p(100)) },
}

/**
 * The contribution θᵢxᵢ of each feature, summed over the features that a reader takes for one thing.
 * @param {readonly string[]} labels
 * @param {readonly number[]} theta
 * @param {FeatureInputs} inputs
 * @returns {Map<Group, number>}
 */
export function contributions(labels, theta, inputs) {
  /** @type {Map<Group, number>} */
  const sums = new Map()
  labels.forEach((label, i) => {
    const feature = FEATURES[label]
    if (feature === undefined) throw new Error(`the demo does not know the feature ${label}`)
    sums.set(feature.group, (sums.get(feature.group) ?? 0) + (theta[i] ?? 0) * feature.value(inputs))
  })
  return sums
}

/** 1 at the preferred hour, 0 twelve hours off, half when it is not known. @param {number | null | undefined} preferred @param {number} hour */
function alignment(preferred, hour) {
  return preferred === null || preferred === undefined ? 0.5 : (Math.cos((FULL_TURN * (preferred - hour)) / 24) + 1) / 2
}
