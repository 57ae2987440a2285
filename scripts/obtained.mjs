// @ts-check
// What tests and lints need from elsewhere and may not have: a line on stderr says what is missing, and what needs it is skipped.
// With REQUIRE_ALL=1 that is an error. CI=true changes nothing: every runner sets it, and a fork has no service to compare with.

export const REQUIRE_ALL = process.env['REQUIRE_ALL'] === '1'

/**
 * Says that something is missing.
 * @template {string} T
 * @param {T} message what is skipped and why
 * @param {{ cause?: unknown, needsRoot?: boolean }} [kind] `needsRoot`: never an error, because few machines give root
 * @returns {T} for `skip` of node:test
 */
export function missing(message, { cause, needsRoot = false } = {}) {
  if (REQUIRE_ALL && !needsRoot) throw new Error(`${message} (REQUIRE_ALL=1: nothing may be skipped)`, { cause })
  process.stderr.write(`${message}\n`)
  return message
}

/**
 * What `obtain` resolves with; null where it can't be had.
 * @template T
 * @param {string} what for the message: what there is not
 * @param {() => Promise<T>} obtain
 * @returns {Promise<T | null>}
 */
export async function obtained(what, obtain) {
  try {
    return await obtain()
  } catch (error) {
    missing(`${what}: ${firstLine(error)}`, { cause: error })
    return null
  }
}

/**
 * The line that says what went wrong: the last of pip's errors, else the first of the message.
 * @param {unknown} error
 */
function firstLine(error) {
  const { stderr, message } = /** @type {Error & { stderr?: string }} */ (error)
  const errors = stderr?.split('\n').filter((line) => line.startsWith('ERROR:'))
  return errors?.at(-1) ?? message.split('\n')[0]
}
