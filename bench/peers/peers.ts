/**
 * Our int8 files beside those of other quantizers: the same float network, calibration samples, evaluation samples,
 * runtime and machine. Makes its own Python environments; needs the fixtures. README.md says what is compared and how.
 *
 *   node --import tsx bench/peers/peers.ts [--only resnet8,kws] [--peers ort-minmax,nncf] [--fresh] [--write] | --page
 */
import { parseArgs } from 'node:util'
import { fixturesMissing } from '../../test/fixtures.ts'
import { compareNetwork } from './compare.ts'
import { requireVenv } from './environment.ts'
import { networks } from './networks.ts'
import { keep, writePage } from './page.ts'
import { type Environment, runtimes } from './places.ts'
import { prepare } from './prepare.ts'
import { type Peer, peers } from './quantizers.ts'
import { sectionOf } from './table.ts'

const { values } = parseArgs({
  options: {
    // names, separated by commas
    only: { type: 'string' },
    peers: { type: 'string' },
    // quantize with the peers again, though nothing changed
    fresh: { type: 'boolean', default: false },
    // into bench/peers/results.json and docs/peers.md
    write: { type: 'boolean', default: false },
    // only docs/peers.md again, from bench/peers/results.json
    page: { type: 'boolean', default: false },
  },
})

if (values.page) writePage()
else await compareAll()

async function compareAll(): Promise<void> {
  if (fixturesMissing) throw new Error(fixturesMissing)
  const chosenNetworks = chosen(values.only, networks)
  const chosenPeers = chosen(values.peers, peers)
  const say = (line: string) => console.error(line)
  const choice = { peers: (peer: Peer) => chosenPeers.includes(peer), fresh: values.fresh, say }
  for (const environment of new Set<Environment>([
    ...runtimes,
    ...chosenPeers.map((peer) => peer.environment),
  ]))
    requireVenv(environment)
  for (const network of chosenNetworks) {
    say(network.title)
    try {
      const comparison = await compareNetwork(network, await prepare(network), choice)
      console.log(`${sectionOf(comparison)}\n`)
      if (values.write) keep(comparison)
    } catch (error) {
      // the others can still be compared
      say(`${(error as Error).stack}`)
      process.exitCode = 1
    }
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
