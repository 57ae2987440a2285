// @ts-check
// Opponent (c), with a file: the expert engine, and after each call the state of the user and policy that it changed is
// written to its JSON file with `writeFileSync`, as the service does it. Not even a rename makes it dearer.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { ExpertBandit } from './pure-js-expert.mjs'

/** @typedef {import('../../../index.d.ts').ScoreRequest} ScoreRequest */
/** @typedef {import('../../../index.d.ts').RewardRequest} RewardRequest */
/** @typedef {import('../../../index.d.ts').PolicyName} PolicyName */

export class FileBandit {
  /** @param {string} directory */
  constructor(directory) {
    this.directory = directory
    this.engine = new ExpertBandit()
  }

  /** @param {string} userId @param {PolicyName} policy */
  save(userId, policy) {
    writeFileSync(join(this.directory, `${userId}.${policy}.json`), JSON.stringify(this.engine.stateFile(userId, policy)))
  }

  /** @param {ScoreRequest} request */
  score(request) {
    const result = this.engine.score(request)
    this.save(request.userId, result.policy)
    return result
  }

  /** @param {RewardRequest} request */
  reward(request) {
    const result = this.engine.reward(request)
    this.save(request.userId, request.policy ?? this.engine.activePolicy)
    return result
  }
}
