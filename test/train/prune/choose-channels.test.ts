import assert from 'node:assert/strict'
import { test } from 'node:test'
import { EdgewrightError } from '../../../src/error.ts'
import type { Graph } from '../../../src/graph/types.ts'
import { channelMap } from '../../../src/train/prune/channel-map.ts'
import { chooseChannels } from '../../../src/train/prune/choose-channels.ts'
import { randomImportance, weightImportance } from '../../../src/train/prune/importance.ts'
import { SmallGraph } from '../../targets/small-graphs.ts'

/** A chain of convolutions as wide as asked for, and four scores. */
function chain(...widths: number[]): Graph {
  const g = new SmallGraph('chain')
  let x = g.input('x', 1, 3, 8, 8)
  for (const width of widths) x = g.node({ kind: 'Relu' }, [g.conv(x, width)])
  return g.finish(g.conv(x, 4, { kernel: 1 }))
}

function chosen(graph: Graph, macs: number, multiple?: number) {
  const map = channelMap(graph)
  const { layers, before, after } = chooseChannels(map, weightImportance(map), { macs }, { multiple })
  return { left: layers.map(({ channels, removed }) => channels - removed), share: after.macs / before.macs }
}

test('wide layers keep channels in eights, as kernels compute them, and the budget is spent', () => {
  const { left, share } = chosen(chain(64, 64, 64, 64), 0.5)
  assert.ok(
    left.every((channels) => channels % 8 === 0),
    `${left}`,
  )
  assert.ok(share <= 0.5 && share >= 0.425, `${share}`)
})

test('narrow layers lose single channels where eights would take far more than was asked for', () => {
  const { left, share } = chosen(chain(11, 11), 0.92)
  assert.ok(share <= 0.92 && share >= 0.78, `${share}`)
  assert.ok(left.some((channels) => channels % 8 !== 0))
})

test('a multiple that is asked for holds, whatever it costs', () => {
  const { left } = chosen(chain(24, 24), 0.7, 8)
  assert.ok(left.every((channels) => channels % 8 === 0))
  assert.ok(chosen(chain(64, 48, 64), 0.5, 1).left.some((channels) => channels % 8 !== 0))
})

test('a budget that nothing reaches is refused by what can be reached', () => {
  assert.throws(
    () => chosen(chain(10, 10), 0.0001),
    (error: unknown) =>
      error instanceof EdgewrightError && error.code === 'CONFIG_INVALID' && /%/.test(error.saw ?? ''),
  )
})

test('chance takes each channel alike, whatever it saves', () => {
  // the first layer's channels save by far the most
  const graph = chain(16, 64, 16)
  const map = channelMap(graph)
  const lost = new Map<string, number>()
  for (let seed = 0; seed < 20; seed++) {
    const choice = chooseChannels(
      map,
      randomImportance(map, seed),
      { macs: 0.5 },
      { multiple: 1, bySavings: false },
    )
    for (const { layer, removed, channels } of choice.layers)
      lost.set(layer, (lost.get(layer) ?? 0) + removed / channels / 20)
  }
  const shares = [...lost.values()]
  assert.ok(Math.max(...shares) - Math.min(...shares) < 0.12, `${shares}`)
})
