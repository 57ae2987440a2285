// Options and arguments that are paths. A `file:` URL is one, too: `new URL('./state', import.meta.url)`, or its text.

import { fileURLToPath } from 'node:url'
import { refuse } from './error'

/** The options that are paths, and the variables of the environment that stand for them. */
export const PATH_OPTIONS: readonly string[] = ['stateDir', 'nats.credentialsFile', 'nats.caFile', 'litellm.promptsDir', 'litellm.caFile']
export const PATH_VARIABLES: readonly string[] = ['STATE_DIR', 'NATS_CREDS', 'NATS_CA', 'LITELLM_CA']

const PATH = 'a path or a file: URL'

/** The path of a `file:` URL; anything else as it is. `name` is what it was given as. */
export function pathOf(value: unknown, name: string): unknown {
  const isObject = typeof value === 'object' && value !== null
  const { href, protocol } = (isObject ? value : {}) as Partial<URL>
  const isUrl = typeof href === 'string' && typeof protocol === 'string'
  const text = isUrl ? href : value
  if (typeof text !== 'string' || !/^file:\//i.test(text)) return isUrl ? refuse(name, PATH, href) : value
  try {
    return fileURLToPath(text)
  } catch {
    // One of another machine, or with an escaped slash in it.
    return refuse(name, PATH, text)
  }
}

/** A path that was given as an argument. */
export function checkedPath(value: unknown, name: string): string {
  const path = pathOf(value, name)
  const isOne = typeof path === 'string' && path.length > 0 && !path.includes('\0') && path.isWellFormed()
  return isOne && !/^(file:|[a-z][a-z0-9+.-]*:\/\/)/i.test(path) ? path : refuse(name, PATH, value)
}
