// The same calls on one engine of this thread, opened from the environment at the first call.

import type * as Contract from '../index'
import { Bandits } from './bandits'

let engine: Bandits | undefined

function open(): Bandits {
  return (engine ??= Bandits.open())
}

export const score: typeof Contract.score = (request) => open().score(request)
export const scoreMany: typeof Contract.scoreMany = (requests) => open().scoreMany(requests)
export const reward: typeof Contract.reward = (request) => open().reward(request)
export const recommend: typeof Contract.recommend = (request) => open().recommend(request)
export const feedback: typeof Contract.feedback = (request) => open().feedback(request)
export const policies: typeof Contract.policies = () => open().policies()
export const setPolicy: typeof Contract.setPolicy = (policy, change) => open().setPolicy(policy, change)
export const decisions: typeof Contract.decisions = async (query, options) => open().decisions(query, options)
export const analytics: typeof Contract.analytics = async (query, options) => open().analytics(query, options)
export const dataQuality: typeof Contract.dataQuality = async (query, options) => open().dataQuality(query, options)
export const users: typeof Contract.users = async (query, options) => open().users(query, options)
export const simulate: typeof Contract.simulate = async (query, options) => open().simulate(query, options)
export const stats: typeof Contract.stats = (userId, policy) => open().stats(userId, policy)
export const features: typeof Contract.features = (userId) => open().features(userId)
export const reset: typeof Contract.reset = (userId) => open().reset(userId)
export const erase: typeof Contract.erase = async (userId) => open().erase(userId)
export const generate: typeof Contract.generate = async (request, options) => open().generate(request, options)
export const prompts: typeof Contract.prompts = () => open().prompts()
export const events: typeof Contract.events = (filter) => open().events(filter)
export const onEvent: typeof Contract.onEvent = (listener) => open().onEvent(listener)
export const publish: typeof Contract.publish = async (subject, payload, options) => open().publish(subject, payload, options)
export const syncState: typeof Contract.syncState = (userId) => open().syncState(userId)
export const health: typeof Contract.health = () => open().health()
export const start: typeof Contract.start = async () => open().start()
export const flush: typeof Contract.flush = async () => open().flush()
export const checkpoint: typeof Contract.checkpoint = async () => open().checkpoint()

export const close: typeof Contract.close = async () => {
  const closing = engine
  engine = undefined
  await closing?.close()
}
