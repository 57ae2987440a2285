// Installs two of the packed tarballs in an empty project, the package and one platform's binary, and makes a decision.
//
//   node scripts/try-tarballs.mjs <directory of tarballs> <platform, e.g. linux-x64-musl>
import { join } from 'node:path'
import { emptyProject, run, tarballOf } from './tarballs.mjs'

const PROGRAM = `
  import { close, health, reward, score } from '@oo/bandits'
  const { tipId } = score({ userId: 'u', candidates: [{ id: 'a' }, { id: 'b' }], policy: 'linucb-v1' })
  reward({ userId: 'u', tipId, reward: 1, features: {}, policy: 'linucb-v1' })
  console.log(tipId, health().version)
  await close()
`

const [directory, platform] = process.argv.slice(2)
if (!directory || !platform) throw new Error('usage: node scripts/try-tarballs.mjs <directory> <platform>')

const tarballs = ['oo-bandits', `oo-bandits-${platform}`].map((name) => tarballOf(directory, name))
const project = emptyProject(tarballs)
try {
  const env = { STATE_DIR: join(project.directory, 'state') }
  const printed = run(process.execPath, ['--input-type=module', '--eval', PROGRAM], { cwd: project.directory, env })
  if (!/^a \d/.test(printed)) throw new Error(`expected candidate a, got: ${printed}`)
  console.log(`${platform}, Node ${process.version}: ${printed.trim()}`)
} finally {
  project.remove()
}
