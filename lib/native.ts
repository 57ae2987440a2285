// The native addon, as `npm run build:native` made it. Its loader picks the binary: the one beside it in a checkout, else the
// platform package that npm installed.

import process from 'node:process'
import type * as Addon from '../dist/addon'
import { BanditError } from './error'
import { messageOf } from './realm'

/** What the loader of napi-rs says where nothing is, and of machines that it does not know. Of errors it keeps the messages only. */
const NOTHING_THERE = /^(Cannot find (module|native binding)|Unsupported (OS|architecture))/

/** Why a binary that is there is not taken, by what Node or the system says of it, and what helps. */
const REMEDIES: readonly [RegExp, string][] = [
  [/addons is disabled/, 'Start node with --allow-addons beside --permission, or without --no-addons.'],
  [/API has been restricted/, 'Start node with --allow-fs-read for the directory of the package, beside --permission.'],
  [/failed to map segment|not permitted|code signature/i, 'The file system is mounted noexec, or a policy forbids it: install the package where files may be executed.'],
  [/permission denied|EACCES/i, "This process's user may not read it: mend the rights of what was installed."],
  [/GLIBC|symbol|musl/i, "It is for another or a newer C library than this system's: see the platforms in the README."],
  [/^lib\S+: cannot open shared object file/, 'That library of the system is missing: install it.'],
  // Of a file for another processor glibc says that it is not there.
  [/ELF|mach-o|architecture|exec format|too short|^cannot open shared object file/i, `It is not for ${process.platform}-${process.arch}, or not whole: delete node_modules and install again on this machine.`],
]

function load(): typeof Addon {
  try {
    return require('./addon.js') as typeof Addon
  } catch (error) {
    // No cause: of a dozen attempts all but one say that there is nothing where nothing is expected.
    throw new BanditError('ERR_UNSUPPORTED', problem(attempts(error)))
  }
}

/** What the loader met in each place where it looked, in that order: it makes each the cause of the next. */
function attempts(error: unknown): string[] {
  const found: string[] = []
  for (let each = error; each !== undefined && each !== null; each = (each as Partial<Error>).cause) found.unshift(messageOf(each).split('\n', 1)[0])
  return found
}

function problem(met: readonly string[]): string {
  const failed = met.find((message) => !NOTHING_THERE.test(message))
  if (failed !== undefined) return unloadable(failed)
  return (
    `@oo/bandits has no native binary for ${process.platform}-${process.arch} here (${packages().join(' or ')}). Install without --omit=optional ` +
    'and without a lock file from another platform (npm/cli#4828: delete node_modules and package-lock.json, install again).'
  )
}

/** A binary is there: which, what the system says of it, what helps. */
function unloadable(said: string): string {
  const file = /(\/[^'"():]+\.node)\b/.exec(said)?.[1] ?? installed() ?? 'its native binary'
  const reason = said.replace(`${file}: `, '').replace(/\.$/, '').slice(0, 300)
  const remedy = REMEDIES.find(([of]) => of.test(reason))?.[1] ?? 'Delete node_modules and install again.'
  return `@oo/bandits cannot load ${file}: ${reason}. ${remedy}`
}

/** The platform packages that this machine could have. */
function packages(): string[] {
  const abis = process.platform === 'linux' ? ['-gnu', '-musl'] : ['']
  return abis.map((abi) => `@oo/bandits-${process.platform}-${process.arch}${abi}`)
}

/** The binary that the loader would have taken. */
function installed(): string | undefined {
  for (const name of packages()) {
    for (const place of [`${name.replace('@oo/', './').replace('bandits-', 'bandits.')}.node`, name]) {
      try {
        return require.resolve(place)
      } catch {
        // Not this one.
      }
    }
  }
  return undefined
}

export const addon = load()
