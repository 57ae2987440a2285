// @ts-check
// The engines that the bench can measure, by name: the package and its opponents.
import { createRequire } from 'node:module'
import { join } from 'node:path'

/**
 * @typedef {object} Engine
 * @property {string} name
 * @property {boolean} full false: without validation, counters, times, history and exact sums
 * @property {boolean} [prepared] it is given prepared sets where the package is
 * @property {(directory: string) => Promise<any>} create `directory` is an empty one of its own
 */

/**
 * In a module instance of its own for each variant, so that neither sees what the other is called with.
 * @param {string} file @param {string} className @param {string} [query]
 */
const plain = (file, className, query = '') => async () => new (await import(`./opponents/${file}.mjs${query}`))[className]()

/** @type {Engine[]} in memory, plain JavaScript */
export const OPPONENTS = [
  { name: 'typical', full: true, create: plain('pure-js-typical', 'TypicalBandit') },
  { name: 'typical-bare', full: false, create: plain('pure-js-typical', 'TypicalBandit', '?bare') },
  { name: 'expert', full: true, create: plain('pure-js-expert', 'ExpertBandit') },
  { name: 'expert-bare', full: false, create: plain('pure-js-expert', 'ExpertBandit', '?bare') },
]

/** By its public name, as its users have it. @param {object} options */
function openPackage(options) {
  const { Bandits } = createRequire(import.meta.url)('@oo/bandits')
  return Bandits.open(options)
}

/** @type {Engine[]} */
const OTHERS = [
  {
    name: 'package',
    full: true,
    prepared: true,
    async create(directory) {
      return openPackage({ stateDir: directory, log: 'off' })
    },
  },
  {
    name: 'package-logged',
    full: true,
    prepared: true,
    async create(directory) {
      return openPackage({ stateDir: directory })
    },
  },
  { name: 'expert-prepared', full: true, prepared: true, create: plain('pure-js-expert', 'ExpertBandit', '?prepared') },
  {
    name: 'sqlite',
    full: true,
    async create(directory) {
      const { SqliteBandit } = await import('./opponents/pure-js-sqlite.mjs')
      return new SqliteBandit(join(directory, 'state.sqlite'))
    },
  },
  {
    name: 'file',
    full: true,
    async create(directory) {
      const { FileBandit } = await import('./opponents/pure-js-file.mjs')
      return new FileBandit(directory)
    },
  },
]

/** @param {string} name @returns {Engine} */
export function engineNamed(name) {
  const engine = [...OPPONENTS, ...OTHERS].find((candidate) => candidate.name === name)
  if (engine === undefined) throw new Error(`no engine is called ${name}`)
  return engine
}
