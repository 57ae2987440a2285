// @ts-check
// On what and under which conditions was measured.
import { arch, availableParallelism, cpus, loadavg, platform, release } from 'node:os'

export function conditions() {
  const { node, v8, napi } = process.versions
  return {
    date: new Date().toISOString(), cpu: cpus()[0]?.model ?? 'unknown', cores: availableParallelism(),
    system: `${platform()} ${release()} ${arch()}`, node, v8, napi, load: loadavg().map((load) => Math.round(load * 100) / 100),
  }
}
