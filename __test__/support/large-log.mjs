// @ts-check
// A large log of lines as the engine writes them, made fast: half of the lines are decisions of ten candidates and three policies, three in
// ten reactions, one in ten pulls and one in ten rewards. It ends as a log does whose engine was closed: nothing has to be recovered.

import { closeSync, mkdirSync, openSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { crc32 } from 'node:zlib'

import { chance } from './chance.mjs'
import { POLICIES } from './standing.mjs'

const SEGMENT_BYTES = 32 << 20
const DAY_MS = 86_400_000
const EPSILON = 0.1
const ACTIONS = /** @type {const} */ ([['done', 1], ['helpful', 0.5], ['snooze', 0], ['not_helpful', -0.5], ['dismiss', -1]])
const KINDS = ['decision', 'decision', 'decision', 'feedback', 'feedback', 'decision', 'pull', 'decision', 'feedback', 'reward']

/** @param {string} name @param {number} length */
const digits = (name, length) => name.padStart(length, '0')

/**
 * @param {string} stateDir
 * @param {{ lines: number, users?: number, days?: number, candidates?: number }} settings `days` before now it begins
 */
export function writeLog(stateDir, { lines, users = 5000, days = 30, candidates = 10 }) {
  const draw = chance(7)
  const logDir = join(stateDir, 'log')
  mkdirSync(logDir, { recursive: true, mode: 0o700 })
  const start = Date.now() - days * DAY_MS
  let [n, bytes, total, file] = [0, 0, 0, -1]
  /** @type {Buffer[]} */
  let block = []
  /** @type {number[] | null} */
  let previous = null
  /** @type {[number, number][]} the last decisions */
  const decided = []

  const flush = () => {
    if (block.length > 0) writeSync(file, Buffer.concat(block))
    block = []
  }
  /** @param {string} kind @param {string} body what stands behind the kind */
  const put = (kind, body) => {
    const ts = new Date(start + ((n / lines) * days * DAY_MS)).toISOString()
    const content = `{"v":1,"seq":[1,${n}],"ts":"${ts}","kind":"${kind}"${body}`
    const line = Buffer.from(`${content},"crc":"${digits(crc32(content).toString(16), 8)}"}\n`)
    block.push(line)
    bytes += line.length
    total += line.length
    if (block.length === 1000) flush()
    n++
  }
  const begin = () => {
    if (file >= 0) {
      flush()
      closeSync(file)
    }
    file = openSync(join(logDir, `${digits('1', 10)}-${digits(String(n), 16)}.jsonl`), 'wx', 0o600)
    bytes = 0
    const name = [1, n]
    put('segment', `,"lowWater":[0,0],"previous":${JSON.stringify(previous)},"engine":"0.1.0"`)
    previous = name
  }
  const list = Array.from({ length: candidates })
  const ids = Array.from({ length: 100 }, (_ids, i) => JSON.stringify(list.map((_id, k) => `todoist-task-${7_000_000 + i * 97 + k * 31}`)))
  const user = () => `user-${draw.below(users)}`
  const features = () => `{"isOverdue":${draw.happens(0.3)},"taskAgeDays":${draw.below(300) / 10},"priority":${1 + draw.below(4)}}`
  const moment = () => `"hourOfDay":${draw.below(24)},"dayOfWeek":${draw.below(7)}`
  const profile = () => (draw.happens(0.5) ? 'null' : `{"completionRate30d":${draw.next()},"dismissRate30d":${draw.next()},"meanDwellMs30d":null,"preferredHour":9.0,"tipVolume30d":17.0,"computedAt":"2026-11-20T08:15:00.250Z"}`)

  const decision = () => {
    const active = draw.below(3)
    const policies = [active, ...[0, 1, 2].filter((policy) => policy !== active)]
    const choices = policies.map((policy) => {
      const greedy = draw.below(candidates)
      const exploring = policy > 0 && draw.happens(EPSILON)
      const epsilon = policy > 0 ? EPSILON : 0
      const probabilities = list.map((_p, i) => epsilon / candidates + (i === greedy ? 1 - epsilon : 0))
      return { policy: POLICIES[policy], index: exploring ? draw.below(candidates) : greedy, score: draw.next() * 2 - 0.5, exploring, probabilities }
    })
    const heldOut = draw.happens(0.05)
    const index = heldOut ? draw.below(candidates) : choices[0].index
    const marginal = choices[0].probabilities.map((p) => 0.95 * p + 0.05 / candidates)
    const versions = draw.happens(0.3) ? `,"promptVersions":${JSON.stringify(list.map((_v, k) => (k < 3 ? `v${1 + draw.below(3)}` : null)))}` : ''
    decided.push([1, n])
    if (decided.length > 64) decided.shift()
    put('decision', `,"userId":"${user()}","policy":"${POLICIES[active]}","assigned":"registry","index":${index},"ordinal":${n},"draw":"${digits(n.toString(16), 16)}",${moment()},"profileFeatures":${profile()},"ids":${ids[draw.below(100)]},"isOverdue":${JSON.stringify(list.map(() => draw.happens(0.3)))},"taskAgeDays":${JSON.stringify(list.map(() => draw.below(300) / 10))},"priority":${JSON.stringify(list.map(() => 1 + draw.below(4)))}${versions},"holdout":0.05,"heldOut":${heldOut},"probabilities":${JSON.stringify(marginal)},"choices":${JSON.stringify(choices)},"us":${4 + draw.below(200) / 10}`)
  }
  const feedback = () => {
    const [action, reward] = ACTIONS[draw.below(5)]
    put('feedback', `,"userId":"${user()}","decision":${JSON.stringify(decided.splice(draw.below(decided.length), 1)[0])},"policy":"egreedy-v1","tipId":"todoist-task-1","action":"${action}","reward":${reward},"at":${start + draw.below(1e9)},${moment()},"features":${features()},"profileFeatures":${profile()},"policies":${JSON.stringify(POLICIES)},"firsts":[false,false,false],"revision":false`)
  }
  const pull = () => put('pull', `,"userId":"${user()}","policy":"egreedy-v1","tipId":"todoist-task-7","index":3,"candidates":10,"score":${draw.next()},"exploring":false,"propensity":0.91,${moment()},"features":${features()},"profileFeatures":null,"ordinal":${n}`)
  const reward = () => put('reward', `,"userId":"${user()}","policy":"egreedy-v1","tipId":"todoist-task-7","reward":1.0,${moment()},"features":${features()},"profileFeatures":null`)

  begin()
  for (let i = 0; i < lines; i++) {
    if (bytes > SEGMENT_BYTES) begin()
    const kind = KINDS[i % KINDS.length]
    if (kind === 'decision') decision()
    else if (kind === 'feedback') feedback()
    else if (kind === 'pull') pull()
    else reward()
  }
  put('mark', `,"lowWater":[1,${n - 1}],"end":true`)
  flush()
  closeSync(file)
  return { bytes: total, lines: n }
}
