import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import type { Command } from '../src/cli/command.ts'
import { commands } from '../src/cli/commands/index.ts'
import { exitCodes } from '../src/error.ts'
import { repositoryRoot } from './fixtures.ts'
import { labPackages } from './lab/requirements.ts'

const textOf = (path: string) => readFileSync(join(repositoryRoot, path), 'utf8')
const docs = readdirSync(join(repositoryRoot, 'docs'))
  .filter((name) => name.endsWith('.md'))
  .map((name) => `docs/${name}`)
const pages = ['README.md', 'CONTRIBUTING.md', ...docs]

test('README and .ci/run install the same packages, and all that emulated boards need', () => {
  const readme = /apt-get install --no-install-recommends ((?:[^\n]*\\\n)*[^\n]*)/.exec(textOf('README.md'))
  const ci = /^packages=\(([^)]*)\)/m.exec(textOf('.ci/run'))
  const [told, installed] = [readme, ci].map((match) =>
    match![1]!
      .split(/[\s\\]+/)
      .filter(Boolean)
      .sort(),
  )
  assert.deepEqual(told, installed)
  assert.deepEqual(
    [...labPackages].filter((name) => !told!.includes(name)),
    [],
  )
})

test('README names every exit status', () => {
  const rows = [...textOf('README.md').matchAll(/^\| (\d+) \| /gm)].map(([, code]) => Number(code))
  assert.deepEqual(rows, Object.values(exitCodes))
})

test('every page of docs can be reached from the README', () => {
  const readme = textOf('README.md')
  assert.deepEqual(
    docs.filter((page) => !readme.includes(`](${page})`)),
    [],
  )
})

test('no link of a page leads nowhere', () => {
  const broken = pages.flatMap((page) =>
    [...textOf(page).matchAll(/\]\((?!https?:|mailto:)([^)#\s]*)(#[^)\s]+)?\)/g)].flatMap(
      ([link, path = '', anchor]) => {
        const file = path === '' ? page : join(dirname(page), path)
        if (!existsSync(join(repositoryRoot, file))) return [`${page}: ${link}`]
        return anchor && file.endsWith('.md') && !anchorsOf(file).includes(anchor) ? [`${page}: ${link}`] : []
      },
    ),
  )
  assert.deepEqual(broken, [])
})

test('every command line of a page is one of ours, with options that it takes', () => {
  const wrong = pages.flatMap((page) =>
    linesOf(page).flatMap((line) => mistakeOf(line).map((what) => `${page}: ${what}: ${line}`)),
  )
  assert.deepEqual(wrong, [])
})

/** As GitHub makes them of headings. */
function anchorsOf(file: string): string[] {
  return [...textOf(file).matchAll(/^#+ (.*)$/gm)].map(([, heading]) => {
    const words = heading!.toLowerCase().replace(/[^\p{L}\p{N}\s_-]/gu, '')
    return `#${words.trim().replace(/\s/g, '-')}`
  })
}

/** What begins with `edgewright` in blocks of code and in the running text, continued lines joined. */
function linesOf(page: string): string[] {
  const joined = textOf(page).replace(/ *\\\n\s*/g, ' ')
  const blocks = [...joined.matchAll(/^(?: {4}|)(?:\$ )?(edgewright [a-z].*)$/gm)].map(([, line]) =>
    line!.replace(/\s#.*$/, ''),
  )
  const inline = [...joined.matchAll(/`(edgewright [a-z][^`]*)`/g)].map(([, line]) =>
    line!.replace(/\n\s*/g, ' '),
  )
  return [...blocks.filter((line) => !line.includes('`')), ...inline]
}

function mistakeOf(line: string): string[] {
  const [, name, second, ...rest] = line.split(/\s+/)
  const command: Command | undefined = commands.find((one) => one.name === name!.split('|')[0])
  if (!command) return ['no such command']
  const named = command.subcommands?.find((one) => one.name === second?.split('|')[0])
  const sub = named ?? command.subcommands?.find((one) => one.name === command.bare) ?? command
  const known = new Set(['json', 'help', 'version', ...Object.keys(sub.options ?? {})])
  return [second ?? '', ...rest].flatMap((word) => {
    const option = /^--(?:no-)?([a-z-]+)/.exec(word)?.[1]
    return option !== undefined && !known.has(option) ? [`no --${option}`] : []
  })
}
