// @ts-check
// What all opponents share and none computes in its hot loop: the policies' names, sizes and labels, the tables of the
// cyclic features, and the normalised profile features. Tables stand in for sin and cos, as any tuned version has them.

/** @typedef {import('../../../index.d.ts').PolicyName} PolicyName */
/** @typedef {import('../../../index.d.ts').ProfileFeatures} ProfileFeatures */

export const EPSILON = 0.1
export const HISTORY_SIZE = 100
export const MAX_CANDIDATES = 100_000
export const MAX_ID_LENGTH = 512
export const MAX_AGE_DAYS = 30

/** @type {readonly PolicyName[]} in the order of their codes */
export const POLICIES = ['linucb-v1', 'egreedy-v1', 'egreedy-v2']
export const DIMENSIONS = [5, 7, 12]

export const LABELS = [
  'hour_sin', 'hour_cos', 'is_overdue', 'task_age', 'priority', 'dow_sin', 'dow_cos',
  'completion_rate_30d', 'dismiss_rate_30d', 'mean_dwell_norm', 'preferred_hour_alignment', 'tip_volume_norm',
]

/** @param {number} steps @param {(angle: number) => number} wave */
const cycle = (steps, wave) => Float64Array.from({ length: steps }, (_, step) => wave((2 * Math.PI * step) / steps))

export const HOUR_SIN = cycle(24, Math.sin)
export const HOUR_COS = cycle(24, Math.cos)
export const DAY_SIN = cycle(7, Math.sin)
export const DAY_COS = cycle(7, Math.cos)

const DWELL_CLIP_MS = 600_000
const VOLUME_CLIP = 100
const VOLUME_NORM = Float64Array.from({ length: VOLUME_CLIP + 1 }, (_, tips) => Math.log1p(tips) / Math.log1p(VOLUME_CLIP))
// (cos + 1) / 2 for a distance of 0–23 whole hours; cos is even, so that the sign does not matter.
const ALIGNMENT = Float64Array.from(HOUR_COS, (cosine) => (cosine + 1) / 2)

/** @param {number | null | undefined} rate */
const share = (rate) => (rate == null || rate <= 0 ? 0 : Math.min(1, rate))

/** @param {number | null | undefined} tips */
function volume(tips) {
  if (tips == null || tips <= 0) return 0
  if (tips >= VOLUME_CLIP) return 1
  const whole = tips | 0
  return whole === tips ? VOLUME_NORM[whole] : Math.log1p(tips) / Math.log1p(VOLUME_CLIP)
}

/** @param {number | null | undefined} preferred @param {number} hour */
function alignment(preferred, hour) {
  if (preferred == null) return 0.5
  const distance = preferred >= hour ? preferred - hour : hour - preferred
  const whole = distance | 0
  return whole === distance && whole < 24 ? ALIGNMENT[whole] : (Math.cos((preferred - hour) * ((2 * Math.PI) / 24)) + 1) / 2
}

/**
 * Writes the five profile features to `out[at …]`.
 * @param {ProfileFeatures | null | undefined} profile @param {number} hour @param {Float64Array} out @param {number} at
 */
export function writeProfile(profile, hour, out, at) {
  if (profile == null) {
    out[at] = out[at + 1] = out[at + 2] = out[at + 4] = 0
    out[at + 3] = 0.5
    return
  }
  const dwell = profile.meanDwellMs30d
  out[at] = share(profile.completionRate30d)
  out[at + 1] = share(profile.dismissRate30d)
  out[at + 2] = dwell == null ? 0 : share(dwell / DWELL_CLIP_MS)
  out[at + 3] = alignment(profile.preferredHour, hour)
  out[at + 4] = volume(profile.tipVolume30d)
}
