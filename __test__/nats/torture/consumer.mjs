// @ts-check
// A process that consumes until its input ends, and says of each event: number in the stream, deliveries, outcome. It is killed at
// any moment.

import { once } from 'node:events'
import { writeSync } from 'node:fs'

import { Bandits } from '@oo/bandits'

const { stateDir, url, durablePrefix } = JSON.parse(String(process.argv[2]))
const bandits = Bandits.open({ stateDir, nats: { url, durablePrefix } })
bandits.onEvent(({ streamSeq, deliveries, outcome }) => writeSync(1, `${streamSeq} ${deliveries} ${outcome}\n`))
await bandits.start()
await once(process.stdin.resume(), 'end')
await bandits.close()
