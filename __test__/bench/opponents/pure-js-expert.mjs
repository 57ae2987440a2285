// @ts-check
// Opponent (b): the fastest bandit in plain JavaScript that we can write.
//
// - What is constant over the candidates is folded once per call: a candidate costs a quadratic in three variables
//   (linucb-v1) or three multiplications (ε-greedy).
// - Users live in pages of one Float64Array each, found by a number: no object per user is touched, and the user of the
//   last call is found by comparing strings. A user that is known was checked when it became known.
// - Checks are inlined tests on values that scoring reads anyway; naming a fault is left to validate.mjs.
// - Nothing is allocated but the result; every function sees one shape of object.
// - It is one file, because V8 looks up what another module exports at each use.
//
// Imported as `pure-js-expert.mjs?bare` it is the bare variant: a module instance of its own, in which FULL is false and,
// being a constant, costs nothing. Bare: no validation, counters, times, history, exact sums.
import * as definitions from './definitions.mjs'
import { compileLearn } from './rank-one.mjs'
import { checkCandidates, checkRewardRequest, checkScoreRequest } from './validate.mjs'

/** @typedef {import('../../../index.d.ts').PolicyName} PolicyName */
/** @typedef {import('../../../index.d.ts').ScoreRequest} ScoreRequest */
/** @typedef {import('../../../index.d.ts').ScoreResult} ScoreResult */
/** @typedef {import('../../../index.d.ts').RewardRequest} RewardRequest */
/** @typedef {import('../../../index.d.ts').Candidate} Candidate */

// Own constants: V8 folds a module's constants into its code, but looks up imported ones at each use (a tenth of the time).
const {
  DAY_COS, DAY_SIN, DIMENSIONS, EPSILON, HISTORY_SIZE, HOUR_COS, HOUR_SIN, LABELS, MAX_AGE_DAYS, MAX_CANDIDATES,
  MAX_ID_LENGTH, POLICIES, writeProfile,
} = definitions

const FULL = !import.meta.url.endsWith('?bare')

// A user's numbers: how many vectors were remembered; then for each policy a block of counters, θ, the packed upper triangle
// of A⁻¹ and, as what has to survive, A (packed as well) and b.
const PULLS = 0, EXPLORED = 1, REWARDS = 2, REWARD_SUM = 3, UPDATED = 4
const THETA = FULL ? 5 : 0
/** @param {number} d */
const triangle = (d) => (d * (d + 1)) / 2
const BLOCK_SIZES = DIMENSIONS.map((d) => THETA + d + triangle(d) + (FULL ? triangle(d) + d : 0))
const REMEMBERED = 0
const LINUCB = 1
const EGREEDY_1 = LINUCB + BLOCK_SIZES[0]
const EGREEDY_2 = EGREEDY_1 + BLOCK_SIZES[1]
const STRIDE = EGREEDY_2 + BLOCK_SIZES[2]
const USERS_PER_PAGE = 256

// A remembered vector: score, raw age, and time in seconds with everything small packed below it.
const RECORD = 3
const SMALL_BITS = 16384

/** Users side by side. Ring buffers are made at a page's first pull. */
class Page {
  constructor() {
    this.numbers = new Float64Array(USERS_PER_PAGE * STRIDE)
    /** @type {Float64Array | null} */
    this.records = null
    /** @type {string[]} */
    this.tips = []
  }

  startHistory() {
    // Filled at once: assigned from its far end, an empty array would become a dictionary.
    this.tips = Array.from({ length: USERS_PER_PAGE * HISTORY_SIZE }, () => '')
    return (this.records = new Float64Array(USERS_PER_PAGE * HISTORY_SIZE * RECORD))
  }
}

/** A candidate set read once: its elements' overdue/priority code and clipped age side by side. */
class PreparedSet {
  /** @param {string[]} ids @param {Uint8Array} codes @param {Float64Array} ages @param {Float64Array} rawAges */
  constructor(ids, codes, ages, rawAges) {
    this.ids = ids
    this.codes = codes
    this.ages = ages
    this.rawAges = rawAges
    this.length = ids.length
  }
}

// What a search for the best candidate is told and what it tells, without allocating.
const FOLD = new Float64Array(14)
const M = 0, MO = 1, MA = 2, MP = 3, Q = 4, QO = 5, QA = 6, QP = 7, QOA = 8, QOP = 9, QAA = 10, QAP = 11, QPP = 12, BEST = 13
const profile = new Float64Array(5)
const x = new Float64Array(12)
const learners = DIMENSIONS.map((d) => compileLearn(d, THETA, FULL))

/** @param {Float64Array} data @param {number} at @param {number} hour */
function foldUcb(data, at, hour) {
  const s = HOUR_SIN[hour], c = HOUR_COS[hour]
  const t = at + THETA
  const p = t + 5
  FOLD[M] = data[t] * s + data[t + 1] * c
  FOLD[MO] = data[t + 2]
  FOLD[MA] = data[t + 3] / 30
  FOLD[MP] = data[t + 4] / 3
  FOLD[Q] = data[p] * s * s + 2 * data[p + 1] * s * c + data[p + 5] * c * c
  FOLD[QO] = 2 * (data[p + 2] * s + data[p + 6] * c) + data[p + 9]
  FOLD[QA] = (data[p + 3] * s + data[p + 7] * c) / 15
  FOLD[QP] = (data[p + 4] * s + data[p + 8] * c) / 1.5
  FOLD[QOA] = data[p + 10] / 15
  FOLD[QOP] = data[p + 11] / 1.5
  FOLD[QAA] = data[p + 12] / 900
  FOLD[QAP] = data[p + 13] / 45
  FOLD[QPP] = data[p + 14] / 9
}

/** @param {Float64Array} data @param {number} at @param {number} hour @param {number} day */
function foldMean(data, at, hour, day) {
  const t = at + THETA
  FOLD[M] = data[t] * HOUR_SIN[hour] + data[t + 1] * HOUR_COS[hour] + data[t + 5] * DAY_SIN[day] + data[t + 6] * DAY_COS[day]
  FOLD[MO] = data[t + 2]
  FOLD[MA] = data[t + 3] / 30
  FOLD[MP] = data[t + 4] / 3
}

/** @param {Float64Array} data @param {number} at */
function foldProfile(data, at) {
  const t = at + THETA + 7
  FOLD[M] += data[t] * profile[0] + data[t + 1] * profile[1] + data[t + 2] * profile[2] + data[t + 3] * profile[3] + data[t + 4] * profile[4]
}

/** @param {any} candidate the tests that need no value that scoring reads */
function isCandidate(candidate) {
  if (typeof candidate !== 'object' || candidate === null) return false
  // The one call comes first: what is known of the object's shape does not outlive a call.
  const id = candidate.id
  if (typeof id !== 'string' || !(/** @type {any} */ (id).isWellFormed())) return false
  const { content, source, sourceId, promptVersion } = candidate
  return (
    id.length !== 0 && id.length <= MAX_ID_LENGTH &&
    (content === undefined || typeof content === 'string') && (source === undefined || typeof source === 'string') &&
    (sourceId === undefined || sourceId === null || typeof sourceId === 'string') &&
    (promptVersion === undefined || typeof promptVersion === 'string')
  )
}

/**
 * The first argmax of θ·x + √(xᵀA⁻¹x), or −1 when a candidate is not one. Its score is left in FOLD[BEST].
 * @param {readonly any[]} candidates @param {number} n
 */
function bestUcb(candidates, n) {
  const m = FOLD[M], mo = FOLD[MO], ma = FOLD[MA], mp = FOLD[MP]
  const q = FOLD[Q], qo = FOLD[QO], qa = FOLD[QA], qp = FOLD[QP]
  const qoa = FOLD[QOA], qop = FOLD[QOP], qaa = FOLD[QAA], qap = FOLD[QAP], qpp = FOLD[QPP]
  let best = -Infinity
  let index = 0
  for (let i = 0; i < n; i++) {
    const candidate = candidates[i]
    if (FULL && !isCandidate(candidate)) return -1
    let mean = m
    let square = q
    const features = candidate.features
    if (features !== undefined) {
      if (FULL && (typeof features !== 'object' || features === null)) return -1
      const overdue = features.isOverdue
      const days = features.taskAgeDays
      const level = features.priority
      let a = 0
      let p = 0
      if (days !== undefined) {
        if (FULL && (typeof days !== 'number' || days - days !== 0)) return -1
        a = clipAge(days)
      }
      if (level !== undefined) {
        if (FULL && (typeof level !== 'number' || (level | 0) !== level || level < 1 || level > 4)) return -1
        p = level - 1
      }
      mean += ma * a + mp * p
      square += a * (qa + qaa * a + qap * p) + p * (qp + qpp * p)
      if (overdue === true) {
        mean += mo
        square += qo + qoa * a + qop * p
      } else if (FULL && overdue !== false && overdue !== undefined) return -1
    }
    const score = mean + Math.sqrt(square)
    if (score > best) {
      best = score
      index = i
    }
  }
  FOLD[BEST] = best
  return index
}

/**
 * The first argmax of θ·x, or −1 when a candidate is not one. Its score is left in FOLD[BEST].
 * @param {readonly any[]} candidates @param {number} n
 */
function bestMean(candidates, n) {
  const m = FOLD[M], mo = FOLD[MO], ma = FOLD[MA], mp = FOLD[MP]
  let best = -Infinity
  let index = 0
  for (let i = 0; i < n; i++) {
    const candidate = candidates[i]
    if (FULL && !isCandidate(candidate)) return -1
    let score = m
    const features = candidate.features
    if (features !== undefined) {
      if (FULL && (typeof features !== 'object' || features === null)) return -1
      const overdue = features.isOverdue
      const days = features.taskAgeDays
      const level = features.priority
      if (days !== undefined) {
        if (FULL && (typeof days !== 'number' || days - days !== 0)) return -1
        score += ma * clipAge(days)
      }
      if (level !== undefined) {
        if (FULL && (typeof level !== 'number' || (level | 0) !== level || level < 1 || level > 4)) return -1
        score += mp * (level - 1)
      }
      if (overdue === true) score += mo
      else if (FULL && overdue !== false && overdue !== undefined) return -1
    }
    if (score > best) {
      best = score
      index = i
    }
  }
  FOLD[BEST] = best
  return index
}

/** The mean of one candidate; the same sums as bestMean. @param {number} code @param {number} age */
function meanOf(code, age) {
  const score = FOLD[M] + FOLD[MA] * age + FOLD[MP] * (code & 3)
  return code & 4 ? score + FOLD[MO] : score
}

/** @param {PreparedSet} set */
function bestUcbPrepared(set) {
  const { codes, ages, length } = set
  let best = -Infinity
  let index = 0
  for (let i = 0; i < length; i++) {
    const o = codes[i] >> 2, p = codes[i] & 3, a = ages[i]
    const mean = FOLD[M] + FOLD[MA] * a + FOLD[MP] * p + FOLD[MO] * o
    const square =
      FOLD[Q] + a * (FOLD[QA] + FOLD[QAA] * a + FOLD[QAP] * p) + p * (FOLD[QP] + FOLD[QPP] * p) + o * (FOLD[QO] + FOLD[QOA] * a + FOLD[QOP] * p)
    const score = mean + Math.sqrt(square)
    if (score > best) {
      best = score
      index = i
    }
  }
  FOLD[BEST] = best
  return index
}

/** @param {PreparedSet} set */
function bestMeanPrepared(set) {
  const { codes, ages, length } = set
  let best = -Infinity
  let index = 0
  for (let i = 0; i < length; i++) {
    const score = meanOf(codes[i], ages[i])
    if (score > best) {
      best = score
      index = i
    }
  }
  FOLD[BEST] = best
  return index
}

/** @param {any} value */
const isOptionalNumber = (value) => value == null || (typeof value === 'number' && value - value === 0)

/** @param {any} given */
function isProfile(given) {
  return (
    given == null ||
    (typeof given === 'object' && isOptionalNumber(given.completionRate30d) && isOptionalNumber(given.dismissRate30d) &&
      isOptionalNumber(given.meanDwellMs30d) && isOptionalNumber(given.preferredHour) && isOptionalNumber(given.tipVolume30d) &&
      (given.computedAt == null || typeof given.computedAt === 'string'))
  )
}

/** The tests of a reward whose user is known. @param {any} request */
function isReward({ tipId, reward, features, dayOfWeek, policy, profileFeatures }) {
  if (typeof tipId !== 'string' || !(/** @type {any} */ (tipId).isWellFormed()) || typeof features !== 'object' || features === null) return false
  const { isOverdue, taskAgeDays, priority, hourOfDay } = features
  return (
    tipId.length !== 0 && tipId.length <= MAX_ID_LENGTH && typeof reward === 'number' && reward - reward === 0 &&
    (isOverdue === undefined || typeof isOverdue === 'boolean') &&
    (taskAgeDays === undefined || (typeof taskAgeDays === 'number' && taskAgeDays - taskAgeDays === 0)) &&
    (priority === undefined || (typeof priority === 'number' && (priority | 0) === priority && priority >= 1 && priority <= 4)) &&
    (hourOfDay === undefined || (typeof hourOfDay === 'number' && (hourOfDay | 0) === hourOfDay && hourOfDay >= 0 && hourOfDay <= 23)) &&
    (dayOfWeek === undefined || (typeof dayOfWeek === 'number' && (dayOfWeek | 0) === dayOfWeek && dayOfWeek >= 0 && dayOfWeek <= 6)) &&
    (policy === undefined || policy === 'linucb-v1' || policy === 'egreedy-v1' || policy === 'egreedy-v2') && isProfile(profileFeatures)
  )
}

/** The code of the overdue flag and the priority of a candidate. @param {any} features */
function codeOf(features) {
  if (features === undefined) return 0
  return (features.isOverdue === true ? 4 : 0) + (features.priority === undefined ? 0 : features.priority - 1)
}

/** @param {any} features */
const rawAge = (features) => (features === undefined || features.taskAgeDays === undefined ? 0 : features.taskAgeDays)
/** @param {number} days */
const clipAge = (days) => Math.min(MAX_AGE_DAYS, Math.max(0, days))

export class ExpertBandit {
  /** @param {PolicyName} [activePolicy] */
  constructor(activePolicy = 'egreedy-v1') {
    this.activePolicy = activePolicy
    /** @type {Map<string, number>} */
    this.users = new Map()
    /** @type {Page[]} */
    this.pages = []
    this.lastUser = ''
    this.lastNumber = -1
  }

  /** The user's number, or −1. @param {string} userId */
  find(userId) {
    if (userId === this.lastUser) return this.lastNumber
    const number = this.users.get(userId)
    if (number === undefined) return -1
    this.lastUser = userId
    return (this.lastNumber = number)
  }

  /** @param {string} userId a checked one */
  admit(userId) {
    const number = this.users.size
    if (number % USERS_PER_PAGE === 0) this.pages.push(new Page())
    this.users.set(userId, number)
    this.restart(number)
    return number
  }

  /** A = I, b = 0. @param {number} number */
  restart(number) {
    const { numbers } = this.pages[Math.floor(number / USERS_PER_PAGE)]
    const base = (number % USERS_PER_PAGE) * STRIDE
    numbers.fill(0, base, base + STRIDE)
    let block = base + LINUCB
    for (let code = 0; code < DIMENSIONS.length; code++) {
      const d = DIMENSIONS[code]
      for (let i = 0, diagonal = block + THETA + d; i < d; diagonal += d - i, i++) {
        numbers[diagonal] = 1
        if (FULL) numbers[diagonal + triangle(d)] = 1
      }
      block += BLOCK_SIZES[code]
    }
  }

  /** @param {ScoreRequest} request @returns {ScoreResult} */
  score(request) {
    const { userId, candidates, context, policy = this.activePolicy, profileFeatures } = request
    let number = this.find(userId)
    if (number < 0) {
      if (FULL) checkAll(request)
      number = this.admit(userId)
    }
    let hour = 12
    let day = 0
    if (context !== undefined) {
      if (FULL && (typeof context !== 'object' || context === null)) throw fault(request)
      const givenHour = context.hourOfDay
      const givenDay = context.dayOfWeek
      if (givenHour !== undefined) {
        if (FULL && (typeof givenHour !== 'number' || (givenHour | 0) !== givenHour || givenHour < 0 || givenHour > 23)) throw fault(request)
        hour = givenHour
      }
      if (givenDay !== undefined) {
        if (FULL && (typeof givenDay !== 'number' || (givenDay | 0) !== givenDay || givenDay < 0 || givenDay > 6)) throw fault(request)
        day = givenDay
      }
    }
    const set = candidates instanceof PreparedSet ? candidates : null
    if (FULL && set === null && !Array.isArray(candidates)) throw fault(request)
    const n = candidates.length
    if (FULL && (n === 0 || n > MAX_CANDIDATES)) throw fault(request)
    if (FULL && !isProfile(profileFeatures)) throw fault(request)

    const page = this.pages[number >> 8]
    const { numbers } = page
    const base = (number & 255) * STRIDE
    let at = base + LINUCB
    let index = 0
    let exploring = false
    let propensity = 1
    let score = 0
    if (policy === 'linucb-v1') {
      foldUcb(numbers, at, hour)
      index = set === null ? bestUcb(/** @type {readonly Candidate[]} */ (candidates), n) : bestUcbPrepared(set)
      if (FULL && index < 0) throw fault(request)
      score = FOLD[BEST]
    } else {
      if (policy === 'egreedy-v1') {
        at = base + EGREEDY_1
        foldMean(numbers, at, hour, day)
      } else {
        if (FULL && policy !== 'egreedy-v2') throw fault(request)
        at = base + EGREEDY_2
        writeProfile(profileFeatures, hour, profile, 0)
        foldMean(numbers, at, hour, day)
        foldProfile(numbers, at)
      }
      index = set === null ? bestMean(/** @type {readonly Candidate[]} */ (candidates), n) : bestMeanPrepared(set)
      if (FULL && index < 0) throw fault(request)
      score = FOLD[BEST]
      propensity = EPSILON / n
      const draw = Math.random()
      if (draw < EPSILON) {
        exploring = true
        // Given that it is below EPSILON, the draw is uniform: its second use is as good as a second draw.
        const drawn = (draw * (n / EPSILON)) | 0
        if (drawn === index) propensity += 1 - EPSILON
        else {
          index = drawn
          score = set === null ? meanOfCandidate(/** @type {any} */ (candidates)[index].features) : meanOf(set.codes[index], set.ages[index])
        }
      } else propensity += 1 - EPSILON
    }

    let tipId = ''
    if (set === null) tipId = /** @type {readonly Candidate[]} */ (candidates)[index].id
    else tipId = set.ids[index]
    if (FULL) {
      const now = Date.now()
      numbers[at + PULLS]++
      if (exploring) numbers[at + EXPLORED]++
      numbers[at + UPDATED] = now
      let records = page.records
      if (records === null) records = page.startHistory()
      const count = numbers[base + REMEMBERED]++
      const slot = (number & 255) * HISTORY_SIZE + (count % HISTORY_SIZE)
      const features = set === null ? /** @type {readonly Candidate[]} */ (candidates)[index].features : undefined
      const code = set === null ? codeOf(features) : set.codes[index]
      const small = hour * 512 + day * 64 + code * 8 + (at === base + LINUCB ? 0 : at === base + EGREEDY_1 ? 2 : 4) + (exploring ? 1 : 0)
      page.tips[slot] = tipId
      records[slot * RECORD] = score
      records[slot * RECORD + 1] = set === null ? rawAge(features) : set.rawAges[index]
      records[slot * RECORD + 2] = Math.floor(now / 1000) * SMALL_BITS + small
    }
    return { tipId, score, policy, index, exploring, propensity }
  }

  /** @param {readonly ScoreRequest[]} requests */
  scoreMany(requests) {
    const results = []
    for (let i = 0; i < requests.length; i++) results.push(this.score(requests[i]))
    return results
  }

  /** @param {readonly Candidate[]} candidates */
  prepare(candidates) {
    if (FULL) checkCandidates(candidates)
    const rawAges = Float64Array.from(candidates, (candidate) => rawAge(candidate.features))
    const codes = Uint8Array.from(candidates, (candidate) => codeOf(candidate.features))
    return new PreparedSet(candidates.map((candidate) => candidate.id), codes, rawAges.map(clipAge), rawAges)
  }

  /** @param {RewardRequest} request @returns {{ ok: true }} */
  reward(request) {
    const { userId, features, reward, dayOfWeek = 0, policy = this.activePolicy, profileFeatures } = request
    let number = this.find(userId)
    if (FULL && (number < 0 || !isReward(request))) checkRewardRequest(request)
    if (number < 0) number = this.admit(userId)
    const hour = features.hourOfDay ?? 12
    const code = codeOf(features)
    x[0] = HOUR_SIN[hour]
    x[1] = HOUR_COS[hour]
    x[2] = code >> 2
    x[3] = clipAge(rawAge(features)) / MAX_AGE_DAYS
    x[4] = (code & 3) / 3
    const { numbers } = this.pages[number >> 8]
    const base = (number & 255) * STRIDE
    let at = base + LINUCB
    if (policy === 'linucb-v1') learners[0](numbers, at, x, reward)
    else {
      x[5] = DAY_SIN[dayOfWeek]
      x[6] = DAY_COS[dayOfWeek]
      if (policy === 'egreedy-v1') learners[1](numbers, (at = base + EGREEDY_1), x, reward)
      else {
        writeProfile(profileFeatures, hour, x, 7)
        learners[2](numbers, (at = base + EGREEDY_2), x, reward)
      }
    }
    if (FULL) {
      numbers[at + REWARDS]++
      numbers[at + REWARD_SUM] += reward
      numbers[at + UPDATED] = Date.now()
    }
    return { ok: true }
  }

  /** Where a user's block of a policy is. @param {string} userId @param {PolicyName} policy */
  locate(userId, policy) {
    const found = this.find(userId)
    const number = found < 0 ? this.admit(userId) : found
    const at = (number & 255) * STRIDE + [LINUCB, EGREEDY_1, EGREEDY_2][POLICIES.indexOf(policy)]
    return { numbers: this.pages[number >> 8].numbers, at }
  }

  /** @param {string} userId @param {PolicyName} [policy] */
  stats(userId, policy = this.activePolicy) {
    const d = DIMENSIONS[POLICIES.indexOf(policy)]
    const { numbers, at } = this.locate(userId, policy)
    const [pulls, explored, rewards, rewardSum, updated] = FULL ? numbers.subarray(at, at + THETA) : new Float64Array(5)
    return {
      userId, policy, pulls, rewardCount: rewards, cumulativeReward: rewardSum,
      estimatedMeanReward: rewards > 0 ? rewardSum / rewards : 0, explorationRate: pulls > 0 ? explored / pulls : 0,
      theta: [...numbers.subarray(at + THETA, at + THETA + d)], featureLabels: LABELS.slice(0, d),
      lastUpdated: updated === 0 ? null : new Date(updated).toISOString().replace(/\.\d+/, ''),
    }
  }

  /** @param {string} userId */
  features(userId) {
    const number = this.find(userId)
    /** @type {object[]} */
    const history = []
    const page = this.pages[number >> 8]
    if (number < 0 || !page.records) return { userId, history }
    const count = page.numbers[(number & 255) * STRIDE + REMEMBERED]
    for (let k = Math.max(0, count - HISTORY_SIZE); k < count; k++) {
      const slot = (number & 255) * HISTORY_SIZE + (k % HISTORY_SIZE)
      const [score, taskAgeDays, stamp] = page.records.subarray(slot * RECORD, slot * RECORD + RECORD)
      const small = stamp % SMALL_BITS
      history.push({
        time: Math.floor(stamp / SMALL_BITS) * 1000, policy: POLICIES[(small >> 1) & 3], tipId: page.tips[slot], score,
        exploring: (small & 1) === 1, hourOfDay: small >> 9, dayOfWeek: (small >> 6) & 7,
        isOverdue: ((small >> 5) & 1) === 1, taskAgeDays, priority: ((small >> 3) & 3) + 1,
      })
    }
    return { userId, history }
  }

  /** @param {string} userId @returns {{ ok: true }} */
  reset(userId) {
    const number = this.find(userId)
    if (number >= 0) this.restart(number)
    return { ok: true }
  }

  /** The whole block of a policy, as bytes: what has to survive. @param {string} userId @param {PolicyName} policy */
  block(userId, policy) {
    const { numbers, at } = this.locate(userId, policy)
    return Buffer.from(numbers.buffer, at * 8, BLOCK_SIZES[POLICIES.indexOf(policy)] * 8)
  }

  /** The same as the service's state files have it. @param {string} userId @param {PolicyName} policy */
  stateFile(userId, policy) {
    const { numbers, at } = this.locate(userId, policy)
    const d = DIMENSIONS[POLICIES.indexOf(policy)]
    const sums = at + THETA + d + triangle(d)
    const A = Array.from({ length: d }, () => /** @type {number[]} */ ([]))
    for (let i = 0, k = sums; i < d; i++) for (let j = i; j < d; j++) A[i][j] = A[j][i] = numbers[k++]
    const b = [...numbers.subarray(sums + triangle(d), sums + triangle(d) + d)]
    const meta = {
      pulls: numbers[at + PULLS], explore_count: numbers[at + EXPLORED], reward_count: numbers[at + REWARDS],
      cumulative_reward: numbers[at + REWARD_SUM], last_updated: new Date(numbers[at + UPDATED]).toISOString().replace(/\.\d+/, ''),
      user_id: userId, policy,
    }
    return { A, b, meta }
  }
}

/** @param {any} features */
function meanOfCandidate(features) {
  return meanOf(codeOf(features), clipAge(rawAge(features)))
}

/** A request of an unknown user, in full. @param {ScoreRequest} request */
function checkAll(request) {
  if (request.candidates instanceof PreparedSet) checkScoreRequest({ ...request, candidates: [{ id: 'prepared' }] })
  else checkScoreRequest(request)
}

/** Names what is wrong with a request of which an inlined test said that something is. @param {ScoreRequest} request */
function fault(request) {
  checkAll(request)
  return new Error('the request is wrong in a way that the full check does not see')
}
