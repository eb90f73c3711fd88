/**
 * Our int8 files beside those of other quantizers: the same float network, calibration samples, evaluation samples,
 * runtime and machine. Makes its own Python environments; needs the fixtures. README.md says what is compared and how.
 *
 *   node --import tsx bench/peers/peers.ts [--only resnet8,kws] [--peers ort-minmax,nncf] [--fresh] [--write]
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { cpus } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { fixturesMissing, repositoryRoot } from '../../test/fixtures.ts'
import { type Comparison, compareNetwork } from './compare.ts'
import { requireVenv } from './environment.ts'
import { networks } from './networks.ts'
import { type Environment, here, runtimes } from './places.ts'
import { prepare } from './prepare.ts'
import { type Peer, peers } from './quantizers.ts'
import { comparisonsMarkdown, settingsMarkdown } from './table.ts'

const { values } = parseArgs({
  options: {
    // names, separated by commas
    only: { type: 'string' },
    peers: { type: 'string' },
    // quantize with the peers again, though nothing changed
    fresh: { type: 'boolean', default: false },
    // into bench/peers/results.json and docs/peers.md
    write: { type: 'boolean', default: false },
  },
})

if (fixturesMissing) throw new Error(fixturesMissing)
const chosenNetworks = chosen(values.only, networks)
const chosenPeers = chosen(values.peers, peers)
for (const environment of new Set<Environment>([...runtimes, ...chosenPeers.map((peer) => peer.environment)]))
  requireVenv(environment)
const say = (line: string) => console.error(line)
const results = here('results.json')
const choice = { peers: (peer: Peer) => chosenPeers.includes(peer), fresh: values.fresh, say }
for (const network of chosenNetworks) {
  say(network.title)
  try {
    const comparison = await compareNetwork(network, await prepare(network), choice)
    console.log(`${comparisonsMarkdown([comparison])}\n`)
    if (values.write) keep(comparison)
  } catch (error) {
    // the others can still be compared
    say(`${(error as Error).stack}`)
    process.exitCode = 1
  }
}

function chosen<T extends { readonly name: string }>(
  names: string | undefined,
  all: readonly T[],
): readonly T[] {
  if (names === undefined) return all
  return names.split(',').map((name) => {
    const found = all.find((one) => one.name === name)
    if (!found) throw new Error(`${name} is none of ${all.map((one) => one.name).join(', ')}`)
    return found
  })
}

/** Networks that were not run keep what was measured before. */
function keep(comparison: Comparison): void {
  const before: Comparison[] = existsSync(results) ? JSON.parse(readFileSync(results, 'utf8')) : []
  const all = networks.flatMap(({ name }) =>
    name === comparison.network ? [comparison] : before.filter(({ network }) => network === name),
  )
  writeFileSync(results, `${JSON.stringify(all, null, 1)}\n`)
  writeFileSync(join(repositoryRoot, 'docs', 'peers.md'), pageOf(all))
}

function pageOf(all: readonly Comparison[]): string {
  const text = readFileSync(here('page.md'), 'utf8')
  return `${text
    .replace('{machine}', `${cpus()[0]?.model.trim()}, ${cpus().length} CPUs`)
    .replace('{settings}', settingsMarkdown())
    .replace('{networks}', comparisonsMarkdown(all))
    .trim()}\n`
}
