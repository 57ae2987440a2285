// @ts-check
// One scenario in a long loop, for a profiler:
//   perf record -e cpu-clock -F 4000 node --perf-basic-prof --interpreted-frames-native-stack __test__/bench/profile.mjs linucb-v1 100
//   node --cpu-prof --cpu-prof-dir=.cache __test__/bench/profile.mjs linucb-v1 100
// Arguments: policy, candidates, seconds (5), and whether the interaction log is `on` or `off` (off, as in the bench).
import { Bandits } from '@oo/bandits'
import { randomUUID } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const policy = /** @type {import('@oo/bandits').PolicyName} */ (process.argv[2] ?? 'linucb-v1')
const n = Number(process.argv[3] ?? 10)
const seconds = Number(process.argv[4] ?? 5)
const log = process.argv[5] === 'on' ? 'on' : 'off'
const stateDir = mkdtempSync(join(tmpdir(), 'bandits-profile-'))
const bandits = Bandits.open({ stateDir, seed: 1, log })
const sets = Array.from({ length: Math.max(8, Math.floor(2048 / n)) }, () =>
  Array.from({ length: n }, (_, i) => ({
    id: randomUUID(), content: `do ${i}`, source: 'todoist', sourceId: String(i),
    features: { isOverdue: Math.random() < 0.5, taskAgeDays: Math.random() * 30, priority: 1 + Math.floor(Math.random() * 4) },
  })),
)
const context = { hourOfDay: 8, dayOfWeek: 2 }
const start = performance.now()
let calls = 0
while (performance.now() - start < seconds * 1000) {
  for (let i = 0; i < 1000; i++) bandits.score({ userId: 'u', candidates: sets[calls++ % sets.length], context, policy })
}
console.log(`${policy}, n ${n}: ${((performance.now() - start) * 1e6 / calls).toFixed(0)} ns a call over ${calls} calls`)
await bandits.close()
rmSync(stateDir, { recursive: true })
