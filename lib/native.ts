// The native addon, as `npm run build:native` made it. Its loader picks the binary: the one beside it in a checkout, else the
// platform package that npm installed.

import type * as Addon from '../dist/addon'
import { BanditError } from './error'

function load(): typeof Addon {
  try {
    return require('./addon.js') as typeof Addon
  } catch (cause) {
    throw new BanditError(
      'ERR_UNSUPPORTED',
      `@oo/bandits has no native binary for ${process.platform}-${process.arch} here. Install without --omit=optional and ` +
        'without a lock file from another platform (npm/cli#4828: delete node_modules and package-lock.json, install again).',
      { cause },
    )
  }
}

export const addon = load()
