// @ts-check
// The package's checks of its arguments in plain JavaScript: they throw an Error that names the path of what is wrong.
// `pure-js-typical` calls them on every request; `pure-js-expert` has its own inlined tests and comes here to name the
// fault it found.
import { MAX_CANDIDATES, MAX_ID_LENGTH, POLICIES } from './definitions.mjs'

const PROFILE_KEYS = ['completionRate30d', 'dismissRate30d', 'meanDwellMs30d', 'preferredHour', 'tipVolume30d']

/** @param {string} path @param {string} expected @returns {never} */
function refuse(path, expected) {
  throw new Error(`${path} must be ${expected}`)
}

/** @param {any} value @param {string} path */
function checkId(value, path) {
  if (typeof value !== 'string' || value.length === 0 || value.length > MAX_ID_LENGTH) refuse(path, `a string of 1 to ${MAX_ID_LENGTH} characters`)
  if (!(/** @type {any} */ (value).isWellFormed())) refuse(path, 'free of lone surrogates')
}

/** @param {any} userId */
export function checkUserId(userId) {
  checkId(userId, 'userId')
  if (userId.includes('\0')) refuse('userId', 'free of NUL')
}

/** @param {any} value @param {number} low @param {number} high */
const isOptionalInteger = (value, low, high) => value === undefined || (Number.isInteger(value) && value >= low && value <= high)

/** @param {any} value @param {string} path */
function checkHour(value, path) {
  if (!isOptionalInteger(value, 0, 23)) refuse(path, 'an integer from 0 to 23')
}

/** @param {any} value @param {string} path */
function checkDay(value, path) {
  if (!isOptionalInteger(value, 0, 6)) refuse(path, 'an integer from 0 to 6')
}

/** @param {any} value @param {string} path */
function checkObject(value, path) {
  if (typeof value !== 'object' || value === null) refuse(path, 'an object')
}

/** @param {any} value @param {string} path */
function checkOptionalString(value, path) {
  if (value !== undefined && typeof value !== 'string') refuse(path, 'a string')
}

/** @param {any} features @param {string} path */
function checkFeatures(features, path) {
  checkObject(features, path)
  const { isOverdue, taskAgeDays } = features
  if (isOverdue !== undefined && typeof isOverdue !== 'boolean') refuse(`${path}.isOverdue`, 'a boolean')
  if (taskAgeDays !== undefined && !Number.isFinite(taskAgeDays)) refuse(`${path}.taskAgeDays`, 'a finite number')
  if (!isOptionalInteger(features.priority, 1, 4)) refuse(`${path}.priority`, 'an integer from 1 to 4')
}

/** @param {any} profile */
export function checkProfile(profile) {
  if (profile == null) return
  checkObject(profile, 'profileFeatures')
  for (const key of PROFILE_KEYS) {
    const value = profile[key]
    if (value != null && !Number.isFinite(value)) refuse(`profileFeatures.${key}`, 'a finite number or null')
  }
  if (profile.computedAt != null && typeof profile.computedAt !== 'string') refuse('profileFeatures.computedAt', 'a string or null')
}

/** @param {any} policy */
function checkPolicy(policy) {
  if (policy !== undefined && !POLICIES.includes(policy)) refuse('policy', `one of ${POLICIES.join(', ')}`)
}

/** @param {any} candidate @param {number} index */
function checkCandidate(candidate, index) {
  // The path is put together only for a fault: a concatenation per candidate would be the dearest part of the check.
  try {
    checkObject(candidate, '')
    checkId(candidate.id, '.id')
    checkOptionalString(candidate.content, '.content')
    checkOptionalString(candidate.source, '.source')
    if (candidate.sourceId !== null) checkOptionalString(candidate.sourceId, '.sourceId')
    checkOptionalString(candidate.promptVersion, '.promptVersion')
    if (candidate.features !== undefined) checkFeatures(candidate.features, '.features')
  } catch (error) {
    throw new Error(`candidates[${index}]${/** @type {Error} */ (error).message}`, { cause: error })
  }
}

/** @param {any} candidates */
export function checkCandidates(candidates) {
  if (!Array.isArray(candidates)) refuse('candidates', 'an array')
  if (candidates.length === 0 || candidates.length > MAX_CANDIDATES) refuse('candidates', `1 to ${MAX_CANDIDATES} long`)
  for (let index = 0; index < candidates.length; index++) checkCandidate(candidates[index], index)
}

/** @param {any} request */
export function checkScoreRequest(request) {
  checkObject(request, 'request')
  checkUserId(request.userId)
  checkPolicy(request.policy)
  const context = request.context
  if (context !== undefined) {
    checkObject(context, 'context')
    checkHour(context.hourOfDay, 'context.hourOfDay')
    checkDay(context.dayOfWeek, 'context.dayOfWeek')
  }
  checkProfile(request.profileFeatures)
  checkCandidates(request.candidates)
}

/** @param {any} request */
export function checkRewardRequest(request) {
  checkObject(request, 'request')
  checkUserId(request.userId)
  checkId(request.tipId, 'tipId')
  if (!Number.isFinite(request.reward)) refuse('reward', 'a finite number')
  checkPolicy(request.policy)
  checkFeatures(request.features, 'features')
  checkHour(request.features.hourOfDay, 'features.hourOfDay')
  checkDay(request.dayOfWeek, 'dayOfWeek')
  checkProfile(request.profileFeatures)
}
