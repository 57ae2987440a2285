// replay(): needs no engine, because a log is read as it lies there.

import type { ReplayReport, replay as Contract } from '../index'
import { isObject } from './check'
import { BanditError, fromNative, refuse, shown } from './error'
import { addon } from './native'

/** As `historySize` of `Bandits.open()`. */
const DEFAULT_HISTORY = 100
const LARGEST_HISTORY = 1000

export const replay: typeof Contract = async (logDir, stateDir, options = {}) => {
  path(logDir, 'logDir')
  path(stateDir, 'stateDir')
  if (!isObject(options)) refuse('options', 'an object', options)
  const unknown = Object.keys(options).find((key) => key !== 'historySize')
  if (unknown !== undefined) throw new BanditError('ERR_INVALID_ARGUMENT', `options: no option ${shown(unknown)}; known: historySize`)
  const { historySize = DEFAULT_HISTORY } = options
  if (typeof historySize !== 'number' || !Number.isInteger(historySize) || historySize < 0 || historySize > LARGEST_HISTORY) {
    refuse('options.historySize', `a whole number from 0 to ${LARGEST_HISTORY}`, historySize)
  }
  try {
    return JSON.parse(await addon.replay(logDir, stateDir, historySize)) as ReplayReport
  } catch (error) {
    throw fromNative(error)
  }
}

function path(value: unknown, name: string): asserts value is string {
  if (typeof value !== 'string' || value.length === 0 || value.includes('\0') || !value.isWellFormed()) refuse(name, 'a path', value)
}
