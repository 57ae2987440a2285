// replay(): needs no engine, because a log is read as it lies there.

import type { ReplayReport, replay as Contract } from '../index'
import { fromNative, refuse } from './error'
import { addon } from './native'
import { optionsJson } from './options'

export const replay: typeof Contract = async (logDir, stateDir, options) => {
  path(logDir, 'logDir')
  path(stateDir, 'stateDir')
  const json = optionsJson(options)
  try {
    return JSON.parse(await addon.replay(logDir, stateDir, json)) as ReplayReport
  } catch (error) {
    throw fromNative(error)
  }
}

function path(value: unknown, name: string): asserts value is string {
  if (typeof value !== 'string' || value.length === 0 || value.includes('\0') || !value.isWellFormed()) refuse(name, 'a path', value)
}
