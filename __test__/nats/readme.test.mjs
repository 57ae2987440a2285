// @ts-check
// The examples of the README's section on events and of docs/events.md, as they are written, with the streams that docs/events.md makes.

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'

import { openOnBus, SYNCED } from '../support/bus.mjs'
import { ROOT, runBeside } from '../support/child.mjs'
import { NO_SERVER, startServer } from '../support/nats.mjs'
import { emptyDirectory } from '../support/state-dir.mjs'
import { until } from '../support/until.mjs'

/** The first example below a heading. @param {string} file @param {string} heading */
function exampleOf(file, heading) {
  const text = readFileSync(join(ROOT, file), 'utf8')
  const [, example] = /^```js\n(.*?)^```$/ms.exec(text.slice(text.indexOf(`${heading}\n`))) ?? []
  assert.ok(example?.includes("from '@oo/bandits'"), `${file} has no example below "${heading}"`)
  return example
}

describe('the example of', { skip: NO_SERVER }, () => {
  for (const [file, heading] of [['README.md', '## Events'], ['docs/events.md', '# Events']]) {
    test(`${file} runs as it stands`, async (t) => {
      const server = await startServer(t)
      const admin = await server.admin()
      await admin.addStreams()
      const stateDir = emptyDirectory(t)
      const { code, stdout, stderr } = await runBeside(exampleOf(String(file), String(heading)), { stateDir, env: { STATE_DIR: stateDir, NATS_URL: server.url } })
      assert.deepEqual([code, stderr], [0, ''])
      if (file !== 'README.md') return
      assert.match(stdout, /signals: \{/)
      const message = await admin.message('SIGNALS', 1)
      assert.equal(message.subject, SYNCED)
      // Whether it was handled before the process ended or is now.
      const bandits = openOnBus(t, server.url, { stateDir, nats: { durablePrefix: 'oo-bandits' } })
      await bandits.start()
      const state = await until(() => bandits.syncState('user-1') ?? undefined, 'the event is handled')
      assert.deepEqual([state.streamSeq, state.data], [1, { provider: 'todoist', tasks: 42 }])
    })
  }
})
