// @ts-check
// The first thing that a release does: what npm would refuse at its last step, or what could not be taken back, is refused before
// anything is built. It asks for nothing that is not in the checkout and in the runner's environment.
//
//   node scripts/release-gate.mjs
import { readFileSync } from 'node:fs'
import { pathToFileURL } from 'node:url'

import { nameOnGitHub, PLACEHOLDER } from './repository.mjs'

/**
 * Why there must be no release, or nothing.
 * @param {{ version: string, repository?: { url?: string } }} manifest the root's
 * @param {Record<string, string | undefined>} env the variables that GitHub sets, and REPOSITORY_VISIBILITY
 * @returns {string[]}
 */
export function releaseProblems({ version, repository }, env) {
  const { GITHUB_REPOSITORY, GITHUB_REF_NAME, REPOSITORY_VISIBILITY } = env
  const problems = []
  const url = repository?.url ?? ''
  // npm's provenance statement names the repository that the workflow runs in, and the registry compares, letter by letter.
  if (url === PLACEHOLDER) problems.push(`repository.url in package.json is still the placeholder: write git+https://github.com/${GITHUB_REPOSITORY || '<owner>/<name>'}.git and run node scripts/platform-packages.mjs --write`)
  else if (!GITHUB_REPOSITORY || nameOnGitHub(url) !== GITHUB_REPOSITORY) problems.push(`repository.url in package.json is ${JSON.stringify(url)}, but this runs in ${GITHUB_REPOSITORY || 'no repository'}: a fork publishes nothing under this name`)
  if (REPOSITORY_VISIBILITY !== 'public') problems.push(`the repository is ${REPOSITORY_VISIBILITY || 'of unknown visibility'}: npm takes a provenance statement from a public one only`)
  if (GITHUB_REF_NAME !== `v${version}`) problems.push(`the tag is ${GITHUB_REF_NAME || 'missing'}, but package.json has version ${version}: the tag must be v${version}`)
  return problems
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const problems = releaseProblems(JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')), process.env)
  for (const problem of problems) process.stderr.write(`release: ${problem}\n`)
  if (problems.length > 0) process.exitCode = 1
  else process.stdout.write('release: may go on\n')
}
