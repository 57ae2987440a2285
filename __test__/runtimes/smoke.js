// The smoke test as a caller would write it; runtimes.test.mjs puts the imports of each module system in front, and a call behind. `bandits` is
// the package, whatever evaluates this. It says what is wrong by throwing, and uses nothing of a test runner.

/** Holds `stateDir` in another process, and lets go of it when its standard input ends. */
const HOLDER = `
  const engine = require(process.argv[1]).Bandits.open({ stateDir: process.argv[2] })
  console.log('held')
  process.stdin.resume().on('end', () => engine.close())`

/** What a call throws or rejects with. */
async function failure(call) {
  try {
    await call()
  } catch (error) {
    return error
  }
  throw new Error('nothing was thrown')
}

function equal(actual, expected, what) {
  if (actual !== expected) throw new Error(`${what}: ${String(actual)} instead of ${String(expected)}`)
}

/** `directory` is an empty one, `packageDirectory` that of the package, for a child of `node`. */
// oxlint-disable-next-line eslint/no-unused-vars -- the call stands behind this file's text
async function smoke(bandits, { spawn, join, directory, packageDirectory, node }) {
  const { Bandits, BanditError } = bandits
  const stateDir = join(directory, 'state')
  const engine = Bandits.open({ stateDir, seed: 1 })
  const candidates = [{ id: 'a', features: { priority: 4, isOverdue: true } }, { id: 'b' }]

  // The loop, with dates of this realm.
  const { decisionId, tipId, propensity } = engine.recommend({ userId: 'u', candidates, context: { hourOfDay: 9 } })
  equal(candidates.some(({ id }) => id === tipId) && propensity > 0, true, 'recommend()')
  const at = new Date()
  equal(engine.feedback({ decisionId, action: 'done', at }).applied, true, 'feedback()')
  equal(engine.feedback({ decisionId, action: 'done', at }).applied, false, 'the same feedback()')
  equal(engine.score({ userId: 'u', candidates }).policy, 'egreedy-v1', 'score()')
  equal(engine.stats('u').rewardCount, 1, 'stats()')
  equal((await engine.decisions({ since: new Date(0) })).decisions[0].decisionId, decisionId, 'decisions()')
  await engine.flush()

  // Errors: of native code, of the face, of the thread that opens.
  const unknown = await failure(() => engine.feedback({ decisionId: '9.9', action: 'done' }))
  equal(unknown.code, 'ERR_UNKNOWN_DECISION', 'code')
  equal(unknown.retryable, false, 'retryable')
  equal(unknown instanceof BanditError && unknown instanceof Error, true, 'instanceof')
  equal((await failure(() => engine.score({ userId: '', candidates }))).code, 'ERR_INVALID_ARGUMENT', 'code')
  const own = new TypeError('own')
  equal(await failure(() => engine.score({ userId: 'u', get candidates() { throw own } })), own, 'an error of the caller')

  // Another process has the directory.
  const held = join(directory, 'held')
  const holder = spawn(node, ['-e', HOLDER, packageDirectory, held], { stdio: ['pipe', 'pipe', 'inherit'] })
  await new Promise((resolve, reject) => {
    holder.stdout.once('data', resolve).once('end', () => reject(new Error('the holder ended')))
  })
  const locked = await failure(() => Bandits.openAsync({ stateDir: held }))
  equal(`${locked.code} ${locked.retryable}`, 'ERR_STATE_LOCKED true', 'openAsync() of a directory that is held')
  const reason = new Error('enough')
  const ending = new AbortController()
  const aborted = failure(() => Bandits.openAsync({ stateDir: held, lockTimeoutMs: 60_000, signal: ending.signal }))
  ending.abort(reason)
  equal(await aborted, reason, 'an aborted openAsync()')
  equal(await failure(() => engine.decisions({}, { signal: AbortSignal.abort(reason) })), reason, 'an aborted decisions()')
  const waiting = Bandits.openAsync({ stateDir: held, lockTimeoutMs: 60_000 })
  holder.stdin.end()
  await (await waiting).close()

  await engine.close()
  equal((await failure(() => engine.stats('u'))).code, 'ERR_CLOSED', 'code')
  const again = Bandits.open({ stateDir })
  equal(again.stats('u').rewardCount, 1, 'stats() of the next engine')
  await again.close()
}
