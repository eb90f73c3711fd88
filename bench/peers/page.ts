import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { cpus } from 'node:os'
import { join } from 'node:path'
import { repositoryRoot } from '../../test/fixtures.ts'
import type { Comparison } from './compare.ts'
import { networks } from './networks.ts'
import { here } from './places.ts'
import { sectionOf, settingsMarkdown, summaryMarkdown } from './table.ts'

const results = here('results.json')

/** Networks that were not run keep what was measured before. */
export function keep(comparison: Comparison): void {
  const before = stored()
  const all = networks.flatMap(({ name }) =>
    name === comparison.network ? [comparison] : before.filter(({ network }) => network === name),
  )
  writeFileSync(results, `${JSON.stringify(all, null, 1)}\n`)
  writePage()
}

/** docs/peers.md, of what is stored. */
export function writePage(): void {
  const all = stored()
  const page = readFileSync(here('page.md'), 'utf8')
    .replace('{machine}', `${cpus()[0]?.model.trim()}, ${cpus().length} CPUs`)
    .replace('{settings}', settingsMarkdown())
    .replace('{summary}', summaryMarkdown(all))
    .replace('{networks}', all.map(sectionOf).join('\n\n'))
  writeFileSync(join(repositoryRoot, 'docs', 'peers.md'), `${page.trim()}\n`)
}

function stored(): Comparison[] {
  return existsSync(results) ? JSON.parse(readFileSync(results, 'utf8')) : []
}
