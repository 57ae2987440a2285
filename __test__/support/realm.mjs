// @ts-check
// The built package, evaluated in another realm: with Date, Error, Array and Promise classes of its own, and of Node's globals only
// `process`, which the loader that napi-rs generates needs. Jest always evaluates it so, and vitest in its vm pools, with more globals.

import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join, resolve } from 'node:path'
import vm from 'node:vm'

import { ROOT } from './child.mjs'

/** A realm, and what loads files of `dist/` in it. */
export function otherRealm() {
  const context = vm.createContext({ process })
  /** @type {Map<string, { exports: any }>} */
  const modules = new Map()
  /** @param {string} file @returns {any} */
  const load = (file) => {
    const before = modules.get(file)
    if (before !== undefined) return before.exports
    const require = createRequire(file)
    if (file.endsWith('.node')) return require(file)
    const module = { exports: {} }
    modules.set(file, module)
    const wrapped = `(function (exports, require, module, __filename, __dirname) {${readFileSync(file, 'utf8')}\n})`
    /** @param {string} name */
    const from = (name) => (name.startsWith('.') ? load(require.resolve(resolve(dirname(file), name))) : require(name))
    vm.runInContext(wrapped, context, { filename: file })(module.exports, from, module, file, dirname(file))
    return module.exports
  }
  return {
    /** @param {string} name */
    load: (name) => load(join(ROOT, 'dist', name)),
    /** What an expression is there. @param {string} expression @returns {any} */
    evaluate: (expression) => vm.runInContext(expression, context),
  }
}
