// @ts-check
// What is refused before anything is built, and that it is: npm would refuse it after everything was, or would publish it under
// somebody else's name.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'

import { load } from 'js-yaml'

import { platformPackages } from '../../scripts/platform-packages.mjs'
import { releaseProblems } from '../../scripts/release-gate.mjs'
import { addresses, isAddress, PLACEHOLDER } from '../../scripts/repository.mjs'

const GATE = fileURLToPath(new URL('../../scripts/release-gate.mjs', import.meta.url))
const WORKFLOW = new URL('../../.github/workflows/release.yml', import.meta.url)
const manifest = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'))

const OURS = { version: '1.2.3', repository: { type: 'git', url: 'git+https://github.com/acme/bandits.git' } }
const RUNNER = { GITHUB_REPOSITORY: 'acme/bandits', GITHUB_REF_NAME: 'v1.2.3', REPOSITORY_VISIBILITY: 'public' }

test('a release of its own repository, public and tagged, may go on', () => {
  assert.deepEqual(releaseProblems(OURS, RUNNER), [])
})

for (const [what, of, env, problem] of /** @type {const} */ ([
  ['the placeholder', { ...OURS, repository: { type: 'git', url: PLACEHOLDER } }, RUNNER, /placeholder: write git\+https:\/\/github\.com\/acme\/bandits\.git/],
  ['no repository', { version: '1.2.3' }, RUNNER, /repository\.url .* is ""/],
  ['a fork', OURS, { ...RUNNER, GITHUB_REPOSITORY: 'somebody/bandits' }, /but this runs in somebody\/bandits/],
  ['the same name in other letters', OURS, { ...RUNNER, GITHUB_REPOSITORY: 'Acme/bandits' }, /but this runs in Acme\/bandits/],
  ['another host', { ...OURS, repository: { type: 'git', url: 'git+https://example.com/acme/bandits.git' } }, RUNNER, /example\.com/],
  ['a form that npm would change', { ...OURS, repository: { type: 'git', url: 'github:acme/bandits' } }, RUNNER, /github:acme\/bandits/],
  ['no runner', OURS, { ...RUNNER, GITHUB_REPOSITORY: undefined }, /this runs in no repository/],
  ['a private repository', OURS, { ...RUNNER, REPOSITORY_VISIBILITY: 'private' }, /the repository is private/],
  ['an unknown visibility', OURS, { ...RUNNER, REPOSITORY_VISIBILITY: '' }, /of unknown visibility/],
  ['a tag of another version', OURS, { ...RUNNER, GITHUB_REF_NAME: 'v1.2.4' }, /the tag must be v1\.2\.3/],
  ['a branch', OURS, { ...RUNNER, GITHUB_REF_NAME: 'main' }, /the tag is main/],
])) {
  test(`${what} is refused`, () => {
    const problems = releaseProblems(of, env)
    assert.equal(problems.length, 1, problems.join('\n'))
    assert.match(String(problems[0]), problem)
  })
}

test('the script refuses as long as package.json has the placeholder, and for any other repository than the one that it has', () => {
  const run = (/** @type {string} */ repository) => spawnSync(process.execPath, [GATE], {
    encoding: 'utf8',
    env: { ...process.env, GITHUB_REPOSITORY: repository, GITHUB_REF_NAME: `v${manifest.version}`, REPOSITORY_VISIBILITY: 'public' },
  })
  const { status, stdout, stderr } = run('somebody/else')
  assert.deepEqual([status, stdout, stderr.split('\n').length], [1, '', 2], stderr)
  assert.match(stderr, /^release: repository\.url in package\.json is /)
  // The repository that package.json has, once it has one, is taken.
  const own = /github\.com\/(.*)\.git$/.exec(manifest.repository.url)?.[1]
  assert.equal(run(own ?? 'acme/bandits').status, own === undefined ? 1 : 0)
})

test('it is the first step of a release, and everything else waits for it', () => {
  const { jobs } = /** @type {{ jobs: Record<string, { needs?: string, steps: { run?: string, uses?: string }[] }> }} */ (load(readFileSync(WORKFLOW, 'utf8')))
  const first = Object.entries(jobs).filter(([, { needs }]) => needs === undefined)
  assert.deepEqual(first.map(([name]) => name), ['gate'])
  const steps = first[0]?.[1].steps.map(({ run, uses }) => run ?? uses?.split('@')[0])
  assert.deepEqual(steps, ['actions/checkout', 'node scripts/release-gate.mjs'])
})

test('every manifest names the repository, and what follows from it', () => {
  assert.ok(isAddress(manifest.repository.url), manifest.repository.url)
  const packages = platformPackages({ ...manifest, ...OURS })
  assert.equal(packages.length, manifest.napi.targets.length)
  for (const { dir, manifest: { homepage, bugs, repository } } of packages) {
    assert.deepEqual({ homepage, bugs, repository }, {
      homepage: 'https://github.com/acme/bandits#readme',
      bugs: { url: 'https://github.com/acme/bandits/issues' },
      repository: { type: 'git', url: 'git+https://github.com/acme/bandits.git', directory: dir },
    })
  }
  const { homepage, bugs, repository } = manifest
  assert.deepEqual({ homepage, bugs, repository }, addresses(manifest.repository))
})
