// @ts-check
// The files of users' last syncs as a reader without the package sees them, after docs/events.md.

import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

/** @typedef {import('@oo/bandits').SyncState} SyncState */

/** Where they are. @param {string} stateDir */
export const syncDirectory = (stateDir) => join(stateDir, 'sync')

/** Their names. @param {string} stateDir */
export function syncNamesIn(stateDir) {
  return existsSync(syncDirectory(stateDir)) ? readdirSync(syncDirectory(stateDir)).sort() : []
}

/**
 * What they say, by user.
 * @param {string} stateDir
 * @returns {Map<string, SyncState>}
 */
export function syncsIn(stateDir) {
  const states = syncNamesIn(stateDir).map((name) => {
    assert.match(name, /^[\p{L}\p{N}_]*~[0-9a-f]{32}\.json$/u)
    /** @type {SyncState} */
    const state = JSON.parse(readFileSync(join(syncDirectory(stateDir), name), 'utf8'))
    assert.deepEqual(Object.keys(state), ['v', 'userId', 'ts', 'subject', 'stream', 'streamSeq', 'eventId', 'data'])
    const readable = state.userId.replace(/[^\p{L}\p{N}]/gu, '_')
    assert.ok(readable.startsWith(name.slice(0, name.indexOf('~'))), `${name} is not ${state.userId}'s`)
    return /** @type {const} */ ([state.userId, state])
  })
  return new Map(states)
}

/** What one user's file says. @param {string} stateDir @param {string} userId */
export const syncIn = (stateDir, userId) => syncsIn(stateDir).get(userId)
