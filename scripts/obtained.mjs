// @ts-check
// What tests need from elsewhere and may not get: then one line on stderr says so, and with CI=true it is an error.

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
    const message = `${what}: ${firstLine(error)}`
    if (process.env['CI'] === 'true') throw new Error(message, { cause: error })
    process.stderr.write(`${message}\n`)
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
