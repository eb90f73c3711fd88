import type { Manifest } from './manifest.ts'
export function artifactReadme(m: Manifest): string { return `# ${m.name}\n` }
