// replay(): needs no engine, because a log is read as it lies there.

import type { ReplayReport, replay as Contract } from '../index'
import { checkPath } from './check'
import { fromNative } from './error'
import { addon } from './native'
import { optionsJson } from './options'

export const replay: typeof Contract = async (logDir, stateDir, options) => {
  checkPath(logDir, 'logDir')
  checkPath(stateDir, 'stateDir')
  const json = optionsJson(options)
  try {
    return JSON.parse(await addon.replay(logDir, stateDir, json)) as ReplayReport
  } catch (error) {
    throw fromNative(error)
  }
}
