// @ts-check
// Opponent (c), with SQLite: the expert engine, and after each call the block of numbers that it changed is upserted as it
// lies in memory, without a serialisation, by a statement prepared once. The pragmas are those recommended for servers: a
// write-ahead log, and no sync until its checkpoint.
import { createRequire } from 'node:module'
import { ExpertBandit } from './pure-js-expert.mjs'

/** @typedef {import('../../../index.d.ts').ScoreRequest} ScoreRequest */
/** @typedef {import('../../../index.d.ts').RewardRequest} RewardRequest */
/** @typedef {import('../../../index.d.ts').PolicyName} PolicyName */

// Has a package.json of its own, so that nobody pays for it who does not run the bench (see ../sqlite.mjs).
const requireDatabase = () => createRequire(new URL('../sqlite/package.json', import.meta.url))('better-sqlite3')

export class SqliteBandit {
  /** @param {string} path */
  constructor(path) {
    this.engine = new ExpertBandit()
    const database = new (requireDatabase())(path)
    database.pragma('journal_mode = WAL')
    database.pragma('synchronous = NORMAL')
    database.exec('CREATE TABLE state (user_id TEXT, policy TEXT, numbers BLOB, PRIMARY KEY (user_id, policy)) WITHOUT ROWID')
    this.upsert = database.prepare(
      'INSERT INTO state VALUES (?, ?, ?) ON CONFLICT (user_id, policy) DO UPDATE SET numbers = excluded.numbers',
    )
  }

  /** @param {string} userId @param {PolicyName} policy */
  save(userId, policy) {
    this.upsert.run(userId, policy, this.engine.block(userId, policy))
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
