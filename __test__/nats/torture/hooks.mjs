// @ts-check
// What a test context does for those who run without a test: hooks that are called at the end, whatever the end is.

/** @template T @param {(t: import('../../support/state-dir.mjs').TestContext) => Promise<T>} work */
export async function withHooks(work) {
  /** @type {(() => unknown)[]} */
  const hooks = []
  try {
    return await work({ after: (hook) => hooks.push(hook) })
  } finally {
    for (const hook of hooks) await hook()
  }
}
