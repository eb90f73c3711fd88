import { constraints, fileConstraints } from './constraints.ts'
import { dlaConstraints, dlaInt8Sentence } from './dla.ts'
import { type Limit, sources } from './sources.ts'

const start = '<!-- limits: written by `npm run docs:tensorrt` from targets/tensorrt -->'
const end = '<!-- end of limits -->'

/** The page with its tables as the constraints say them. */
export function withSupportTable(page: string): string {
  const from = page.indexOf(start)
  const to = page.indexOf(end)
  if (from < 0 || to < from) throw new Error('docs/tensorrt.md lacks the marks of its tables')
  return `${page.slice(0, from)}${start}\n\n${supportTable()}\n\n${page.slice(to)}`
}

function supportTable(): string {
  return [
    '### What keeps a network from being parsed',
    table(fileConstraints),
    '### What keeps an operator in float16',
    table(constraints),
    '### What keeps an operator off the DLA',
    `${dlaInt8Sentence} An operator that breaks one of these runs on the GPU.`,
    table(dlaConstraints),
    '### Sources',
    Object.entries(sources)
      .map(([key, text]) => `- \`${key}\`: ${text}.`)
      .join('\n'),
  ].join('\n\n')
}

function table(limits: readonly Limit[]): string {
  return [
    '| limit | rests on | otherwise |',
    '|---|---|---|',
    ...limits.map(
      ({ sentence, basis, source, remedy }) => `| ${sentence} | ${basis}: \`${source}\` | ${remedy ?? ''} |`,
    ),
  ].join('\n')
}
