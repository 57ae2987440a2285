// @ts-check
// What a refused call has to look like.

import assert from 'node:assert/strict'

import { BanditError } from '@oo/bandits'

/**
 * Checks that `error` is the package's, has this code, and that its message begins with the path of what was wrong.
 * @param {unknown} error
 * @param {string} code
 * @param {string} [path]
 * @param {string} [given] what was given, for the test's own message
 * @returns {true}
 */
export function assertRefusal(error, code, path, given = '') {
  assert.ok(error instanceof BanditError, `not a BanditError: ${String(error)} (${given})`)
  assert.ok(error instanceof Error)
  assert.equal(error.code, code, `${error.message} (${given})`)
  assert.equal(error.name, 'BanditError')
  if (path !== undefined) assert.ok(error.message.startsWith(`${path}:`), `"${path}:" does not begin "${error.message}" (${given})`)
  assert.ok(error.message.length < 500, 'a message as long as the argument')
  return true
}

/**
 * @param {() => unknown} call
 * @param {string} code
 * @param {string} [path]
 * @param {string} [given]
 */
export function assertRefuses(call, code, path, given) {
  try {
    call()
  } catch (error) {
    assertRefusal(error, code, path, given)
    return
  }
  assert.fail(`accepted: ${given ?? path ?? code}`)
}

/**
 * The same for what should reject; a call that throws instead fails the test.
 * @param {() => Promise<unknown>} call
 * @param {string} code
 * @param {string} [path]
 * @param {string} [given]
 */
export async function assertRejects(call, code, path, given) {
  const promise = call()
  await assert.rejects(promise, (error) => assertRefusal(error, code, path, given))
}
