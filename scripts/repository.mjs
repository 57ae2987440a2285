// @ts-check
// Where the project lives. `repository.url` of the root package.json says it; every other address, in the root and in the platform
// packages, follows from it (scripts/platform-packages.mjs).

/** No such repository exists yet. `.invalid` can belong to nobody (RFC 2606), so nobody can be sent there. */
export const PLACEHOLDER = 'git+https://repository-placeholder.invalid/oo/bandits.git'

/** `owner/name` of a repository on GitHub; null for any other URL. @param {string} url as npm writes it */
export const nameOnGitHub = (url) => /^git\+https:\/\/github\.com\/([\w.-]+\/[\w.-]+)\.git$/.exec(url)?.[1] ?? null

/** A repository on GitHub, or the placeholder for one. @param {string} url */
export const isAddress = (url) => url === PLACEHOLDER || nameOnGitHub(url) !== null

/**
 * What a manifest says of the repository.
 * @param {{ type: string, url: string }} repository the root's
 * @param {string} [directory] of the package in it; the root's is not named
 */
export function addresses(repository, directory) {
  const page = repository.url.replace(/^git\+/, '').replace(/\.git$/, '')
  return {
    homepage: `${page}#readme`,
    bugs: { url: `${page}/issues` },
    repository: { type: repository.type, url: repository.url, ...(directory !== undefined && { directory }) },
  }
}
