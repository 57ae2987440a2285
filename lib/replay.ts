// replay(): needs no engine, because a log is read as it lies there.

import type { ReplayReport, replay as Contract } from '../index'
import { fromNative } from './error'
import { addon } from './native'
import { optionsJson } from './options'
import { checkedPath } from './paths'

const TAKEN = ['historySize', 'revisableDecisions']

export const replay: typeof Contract = async (logDir, stateDir, options) => {
  const [from, to] = [checkedPath(logDir, 'logDir'), checkedPath(stateDir, 'stateDir')]
  const json = optionsJson(options, TAKEN)
  try {
    return JSON.parse(await addon.replay(from, to, json)) as ReplayReport
  } catch (error) {
    throw fromNative(error)
  }
}
