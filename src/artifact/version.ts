import { readFileSync } from 'node:fs'

let version: string | undefined

/** The version of this package, as its package.json says it. */
export function edgewrightVersion(): string {
  version ??= readVersion()
  return version
}

function readVersion(): string {
  // the module stands in src/artifact, or in dist/src/artifact once built
  for (const up of ['../../package.json', '../../../package.json']) {
    try {
      const manifest = JSON.parse(readFileSync(new URL(up, import.meta.url), 'utf8')) as { name: string; version: string }
      if (manifest.name === 'edgewright') return manifest.version
    } catch {
      // the other place
    }
  }
  return 'unknown'
}
