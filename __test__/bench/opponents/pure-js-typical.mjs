// @ts-check
// Opponent (a): a decent bandit in plain JavaScript. Inverse and θ are cached and kept up to date by a rank-1 update,
// vectors and matrices are flat Float64Arrays and scratch space is reused; but each candidate's whole vector is built and
// its whole form xᵀA⁻¹x taken, as in the textbook.
//
// Imported as `pure-js-typical.mjs?bare` it is the bare variant: a module instance of its own, in which FULL is false and,
// being a constant, costs nothing. Bare: no validation, counters, times, history, exact sums.
import * as definitions from './definitions.mjs'
import { checkRewardRequest, checkScoreRequest } from './validate.mjs'

/** @typedef {import('../../../index.d.ts').PolicyName} PolicyName */
/** @typedef {import('../../../index.d.ts').ScoreRequest} ScoreRequest */
/** @typedef {import('../../../index.d.ts').ScoreResult} ScoreResult */
/** @typedef {import('../../../index.d.ts').RewardRequest} RewardRequest */
/** @typedef {import('../../../index.d.ts').Candidate} Candidate */
/** @typedef {import('../../../index.d.ts').CandidateFeatures} CandidateFeatures */

// Own constants: V8 folds a module's constants into its code, but looks up imported ones at each use (a tenth of the time).
const {
  DAY_COS, DAY_SIN, DIMENSIONS, EPSILON, HISTORY_SIZE, HOUR_COS, HOUR_SIN, LABELS, MAX_AGE_DAYS, POLICIES, writeProfile,
} = definitions

const FULL = !import.meta.url.endsWith('?bare')
/** @type {CandidateFeatures} */
const NO_FEATURES = {}
const PROFILE_SIZE = 5

/** Where one user stands under one policy. */
class Model {
  /** @param {number} d */
  constructor(d) {
    this.d = d
    this.theta = new Float64Array(d)
    this.inverse = identity(d)
    this.projected = new Float64Array(d)
    if (FULL) {
      this.A = identity(d)
      this.b = new Float64Array(d)
    }
    this.pulls = 0
    this.explored = 0
    this.rewards = 0
    this.rewardSum = 0
    this.lastUpdated = 0
  }
}

/** @param {number} d */
function identity(d) {
  const matrix = new Float64Array(d * d)
  for (let i = 0; i < d; i++) matrix[i * d + i] = 1
  return matrix
}

/** @param {Float64Array} theta @param {Float64Array} x @param {number} d */
function dot(theta, x, d) {
  let sum = 0
  for (let i = 0; i < d; i++) sum += theta[i] * x[i]
  return sum
}

/** xᵀMx. @param {Float64Array} matrix @param {Float64Array} x @param {number} d */
function quadraticForm(matrix, x, d) {
  let sum = 0
  for (let i = 0; i < d; i++) {
    const row = i * d
    let product = 0
    for (let j = 0; j < d; j++) product += matrix[row + j] * x[j]
    sum += x[i] * product
  }
  return sum
}

/**
 * The one definition of the vector, for scoring and training.
 * @param {Float64Array} x @param {number} d @param {CandidateFeatures} features @param {number} hour @param {number} day
 * @param {Float64Array} profile
 */
function buildVector(x, d, features, hour, day, profile) {
  const age = features.taskAgeDays ?? 0
  x[0] = HOUR_SIN[hour]
  x[1] = HOUR_COS[hour]
  x[2] = features.isOverdue === true ? 1 : 0
  x[3] = (age < 0 ? 0 : age > MAX_AGE_DAYS ? MAX_AGE_DAYS : age) / MAX_AGE_DAYS
  x[4] = ((features.priority ?? 1) - 1) / 3
  if (d > 5) {
    x[5] = DAY_SIN[day]
    x[6] = DAY_COS[day]
  }
  if (d > 7) for (let i = 0; i < PROFILE_SIZE; i++) x[7 + i] = profile[i]
}

/** A += xxᵀ, b += r·x; the inverse by Sherman and Morrison, θ along with it. @param {Model} model @param {Float64Array} x @param {number} reward */
function learn(model, x, reward) {
  const { d, theta, inverse, projected } = model
  let denominator = 1
  for (let i = 0; i < d; i++) {
    const row = i * d
    let product = 0
    for (let j = 0; j < d; j++) product += inverse[row + j] * x[j]
    projected[i] = product
    denominator += product * x[i]
  }
  const scale = 1 / denominator
  const step = (reward - dot(theta, x, d)) * scale
  for (let i = 0; i < d; i++) {
    const row = i * d
    const factor = projected[i] * scale
    theta[i] += step * projected[i]
    for (let j = 0; j < d; j++) inverse[row + j] -= factor * projected[j]
  }
  if (FULL) {
    const A = /** @type {Float64Array} */ (model.A)
    const b = /** @type {Float64Array} */ (model.b)
    for (let i = 0; i < d; i++) {
      const row = i * d
      const xi = x[i]
      b[i] += reward * xi
      for (let j = 0; j < d; j++) A[row + j] += xi * x[j]
    }
  }
}

/** One user: a model for each policy and, common to them, the last scored vectors in a ring. */
class User {
  constructor() {
    this.models = DIMENSIONS.map((d) => new Model(d))
    /** @type {object[]} */
    this.history = []
    this.next = 0
  }

  /** @param {object} record */
  remember(record) {
    if (this.history.length < HISTORY_SIZE) this.history.push(record)
    else this.history[this.next] = record
    this.next = (this.next + 1) % HISTORY_SIZE
  }
}

export class TypicalBandit {
  /** @param {PolicyName} [activePolicy] */
  constructor(activePolicy = 'egreedy-v1') {
    this.activePolicy = activePolicy
    /** @type {Map<string, User>} */
    this.users = new Map()
    this.x = new Float64Array(12)
    this.profile = new Float64Array(PROFILE_SIZE)
  }

  /** @param {string} userId */
  user(userId) {
    let user = this.users.get(userId)
    if (user === undefined) this.users.set(userId, (user = new User()))
    return user
  }

  /** @param {ScoreRequest} request @returns {ScoreResult} */
  score(request) {
    if (FULL) checkScoreRequest(request)
    const candidates = /** @type {readonly Candidate[]} */ (request.candidates)
    const { context, policy = this.activePolicy } = request
    const { x, profile } = this
    const code = POLICIES.indexOf(policy)
    const user = this.user(request.userId)
    const model = user.models[code]
    const { d, theta, inverse } = model
    const hour = context?.hourOfDay ?? 12
    const day = context?.dayOfWeek ?? 0
    if (d > 7) writeProfile(request.profileFeatures, hour, profile, 0)

    let index = 0
    let score = -Infinity
    for (let i = 0; i < candidates.length; i++) {
      buildVector(x, d, candidates[i].features ?? NO_FEATURES, hour, day, profile)
      let value = dot(theta, x, d)
      if (code === 0) value += Math.sqrt(quadraticForm(inverse, x, d))
      if (value > score) {
        score = value
        index = i
      }
    }

    let exploring = false
    let propensity = 1
    if (code !== 0) {
      const greedy = index
      const share = EPSILON / candidates.length
      exploring = Math.random() < EPSILON
      if (exploring) {
        index = Math.floor(Math.random() * candidates.length)
        buildVector(x, d, candidates[index].features ?? NO_FEATURES, hour, day, profile)
        score = dot(theta, x, d)
      }
      propensity = index === greedy ? 1 - EPSILON + share : share
    }

    const chosen = candidates[index]
    if (FULL) {
      const features = chosen.features ?? NO_FEATURES
      model.lastUpdated = Date.now()
      model.pulls++
      if (exploring) model.explored++
      user.remember({
        time: model.lastUpdated, policy, tipId: chosen.id, score, exploring, hourOfDay: hour, dayOfWeek: day,
        isOverdue: features.isOverdue ?? false, taskAgeDays: features.taskAgeDays ?? 0, priority: features.priority ?? 1,
      })
    }
    return { tipId: chosen.id, score, policy, index, exploring, propensity }
  }

  /** @param {readonly ScoreRequest[]} requests */
  scoreMany(requests) {
    return requests.map((request) => this.score(request))
  }

  /** @param {RewardRequest} request @returns {{ ok: true }} */
  reward(request) {
    if (FULL) checkRewardRequest(request)
    const { features, reward, dayOfWeek = 0, policy = this.activePolicy } = request
    const { x, profile } = this
    const model = this.user(request.userId).models[POLICIES.indexOf(policy)]
    const hour = features.hourOfDay ?? 12
    if (model.d > 7) writeProfile(request.profileFeatures, hour, profile, 0)
    buildVector(x, model.d, features, hour, dayOfWeek, profile)
    learn(model, x, reward)
    if (FULL) {
      model.rewards++
      model.rewardSum += reward
      model.lastUpdated = Date.now()
    }
    return { ok: true }
  }

  /** @param {string} userId @param {PolicyName} [policy] */
  stats(userId, policy = this.activePolicy) {
    const model = this.user(userId).models[POLICIES.indexOf(policy)]
    const { pulls, rewards, rewardSum } = model
    return {
      userId, policy, pulls, rewardCount: rewards, cumulativeReward: rewardSum,
      estimatedMeanReward: rewards > 0 ? rewardSum / rewards : 0, explorationRate: pulls > 0 ? model.explored / pulls : 0,
      theta: [...model.theta], featureLabels: LABELS.slice(0, model.d),
      lastUpdated: model.lastUpdated === 0 ? null : new Date(model.lastUpdated).toISOString().replace(/\.\d+/, ''),
    }
  }

  /** @param {string} userId */
  features(userId) {
    const { history, next } = this.user(userId)
    return { userId, history: history.length < HISTORY_SIZE ? history : [...history.slice(next), ...history.slice(0, next)] }
  }

  /** @param {string} userId @returns {{ ok: true }} */
  reset(userId) {
    this.users.delete(userId)
    return { ok: true }
  }
}
