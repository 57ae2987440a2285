// @ts-check
// What a reward adds to A and b, stated anew from the table in DESIGN §3 so that it shares no code with what it judges.
//
// V8's sine is off by one unit in the last place for some hours where the C library's, which the engine uses, is not. Sums are
// compared to the last bit, so sine and cosine are computed here with 160 bits behind the point and rounded once.

/** @typedef {import('@oo/bandits').PolicyName} PolicyName */
/** @typedef {import('@oo/bandits').RewardRequest} RewardRequest */
/** @typedef {import('@oo/bandits').ProfileFeatures} ProfileFeatures */

/** @type {Record<PolicyName, number>} */
export const DIMENSIONS = { 'linucb-v1': 5, 'egreedy-v1': 7, 'egreedy-v2': 12 }
export const POLICIES = /** @type {PolicyName[]} */ (Object.keys(DIMENSIONS))

const BITS = 160n
const ONE = 1n << BITS

/** A double as a whole number of 2^-160, exactly for all that comes up here. @param {number} value */
function fixed(value) {
  const view = new DataView(new ArrayBuffer(8))
  view.setFloat64(0, Math.abs(value))
  const bits = view.getBigUint64(0)
  const exponent = bits >> 52n
  const mantissa = (bits & ((1n << 52n) - 1n)) | (exponent === 0n ? 0n : 1n << 52n)
  const shift = (exponent === 0n ? 1n : exponent) - 1075n + BITS
  const size = shift >= 0n ? mantissa << shift : mantissa >> -shift
  return value < 0 ? -size : size
}

/** The Taylor series of sine (`first` 1) or cosine (`first` 0). @param {number} angle @param {0 | 1} first */
function series(angle, first) {
  const x = fixed(angle)
  const square = (x * x) >> BITS
  let term = first === 0 ? ONE : x
  let sum = term
  for (let k = BigInt(first); term > 1n || term < -1n; k += 2n) {
    term = -((term * square) >> BITS) / ((k + 1n) * (k + 2n))
    sum += term
  }
  return Number(sum) / 2 ** Number(BITS)
}

/** @type {Map<number, number>} */
const sines = new Map()
/** @type {Map<number, number>} */
const cosines = new Map()

/** @param {Map<number, number>} known @param {number} angle @param {0 | 1} first */
function remembered(known, angle, first) {
  let value = known.get(angle)
  if (value === undefined) known.set(angle, (value = series(angle, first)))
  return value
}
/** @param {number} angle */
const sin = (angle) => remembered(sines, angle, 1)
/** @param {number} angle */
const cos = (angle) => remembered(cosines, angle, 0)

/** @param {number} value @param {number} low @param {number} high */
const clip = (value, low, high) => Math.min(high, Math.max(low, value))

/** @param {ProfileFeatures | null | undefined} profile @param {number} hour */
function ofProfile(profile, hour) {
  const { completionRate30d, dismissRate30d, meanDwellMs30d, preferredHour, tipVolume30d } = profile ?? {}
  return [
    completionRate30d == null ? 0 : clip(completionRate30d, 0, 1),
    dismissRate30d == null ? 0 : clip(dismissRate30d, 0, 1),
    meanDwellMs30d == null ? 0 : clip(meanDwellMs30d / 600_000, 0, 1),
    preferredHour == null ? 0.5 : (cos((preferredHour - hour) * ((2 * Math.PI) / 24)) + 1) / 2,
    tipVolume30d == null || tipVolume30d <= 0 ? 0 : Math.min(1, Math.log1p(tipVolume30d) / Math.log1p(100)),
  ]
}

/**
 * x of a reward under a policy. A record of the log has the same fields, with the hour beside the features.
 * @param {PolicyName} policy
 * @param {{ features: RewardRequest['features'], hourOfDay?: number, dayOfWeek?: number, profileFeatures?: ProfileFeatures | null }} reward
 */
export function vector(policy, { features, hourOfDay, dayOfWeek = 0, profileFeatures }) {
  const hour = hourOfDay ?? features.hourOfDay ?? 12
  const { isOverdue = false, taskAgeDays = 0, priority = 1 } = features
  const x = [
    sin((2 * Math.PI * hour) / 24),
    cos((2 * Math.PI * hour) / 24),
    isOverdue ? 1 : 0,
    clip(taskAgeDays, 0, 30) / 30,
    (priority - 1) / 3,
    sin((2 * Math.PI * dayOfWeek) / 7),
    cos((2 * Math.PI * dayOfWeek) / 7),
  ]
  if (policy === 'egreedy-v2') x.push(...ofProfile(profileFeatures, hour))
  return x.slice(0, DIMENSIONS[policy])
}
