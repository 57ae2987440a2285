// Completes a lock file that was made against a registry without every platform's binaries. npm leaves a package that it
// cannot find out of the lock file, and from version 11.16 on `npm ci` then refuses that very file ("Missing: … from lock
// file", npm/cli#9846). An entry with the version and the platform is all that npm needs: it skips the package where it does not
// belong, and where it does belong (macOS, say) it installs that exact version.

/** The platform that a binary package's name ends in, in the terms of a manifest. */
export function platformOf(name) {
  const [, os, cpu, abi = ''] = /-(android|darwin|freebsd|linux|openharmony|win32)-([a-z0-9]+)(?:-([a-z]+))?$/.exec(name) ?? []
  if (!os) return /-wasm32-wasip?\d?(-threads)?$/.test(name) ? { cpu: ['wasm32'] } : undefined
  return {
    ...(cpu !== 'universal' && { cpu: [cpu] }),
    os: [os],
    ...(os === 'linux' && { libc: [abi.startsWith('musl') ? 'musl' : 'glibc'] }),
  }
}

/** Where Node would find `name` from the package at `path`, among the lock file's entries. */
function resolveIn(packages, path, name) {
  for (let base = path; ; ) {
    const candidate = `${base ? `${base}/` : ''}node_modules/${name}`
    if (packages[candidate]) return candidate
    if (!base) return undefined
    const up = base.lastIndexOf('/node_modules/')
    base = up < 0 ? '' : base.slice(0, up)
  }
}

/** The entries of `packages`, and one for each optional dependency that none of them stands for. */
export function withMissingPlatforms(packages) {
  const complete = { ...packages }
  for (const [path, entry] of Object.entries(packages)) {
    for (const [name, version] of Object.entries(entry.optionalDependencies ?? {})) {
      const found = resolveIn(complete, path, name)
      if (found && (complete[found].link || complete[found].version)) continue
      const platform = platformOf(name)
      if (!platform || !/^\d+\.\d+\.\d+[^ |]*$/.test(version))
        throw new Error(`package-lock.json lacks ${name}@${version}, and its name does not tell its platform`)
      const { cpu, os, libc } = platform
      complete[found ?? `node_modules/${name}`] = {
        version,
        ...(cpu && { cpu }),
        ...(entry.dev && { dev: true }),
        ...(libc && { libc }),
        optional: true,
        ...(os && { os }),
      }
    }
  }
  return complete
}
