import type { Collected } from './collect.ts'
import { sensorUnit } from './conditions/sensors.ts'
import { inferenceStarts } from './inference-starts.ts'
import { steadiness } from './steady.ts'

/** A fresh process fills its caches first. */
const settlingNs = 1e9
const leastPieces = 2
/** Two pieces together may still warm by so much. */
const toleratedMilliC = 1_000

/** Whether the last pieces of a warm-up show a board that neither slows nor warms any more. */
export function warmedUp(pieces: readonly Collected[]): boolean {
  const last = pieces.slice(-leastPieces)
  if (last.length < leastPieces) return false
  const ids = new Set(last.flatMap((piece) => [...piece.artifacts.keys()]))
  return [...ids].every((id) => latencySteady(last, id)) && !warming(last)
}

function latencySteady(pieces: readonly Collected[], id: string): boolean {
  const latencyNs: number[] = []
  const startNs: number[] = []
  for (const { steps } of pieces) {
    const begin = steps[0]?.startNs ?? 0
    for (const step of steps) {
      const starts = inferenceStarts(step, id)
      for (const [i, ns] of (step.latencyNs.get(id) ?? []).entries())
        if (starts[i]! - begin >= settlingNs) {
          latencyNs.push(ns)
          startNs.push(starts[i]!)
        }
    }
  }
  return steadiness(latencyNs, startNs).state === 'steady'
}

function warming(pieces: readonly Collected[]): boolean {
  const samples = pieces.flatMap(({ sensors }) => sensors).filter(({ name }) => sensorUnit(name) === 'milliC')
  return [...new Set(samples.map(({ name }) => name))].some((name) => {
    const values = samples.filter((sample) => sample.name === name).map(({ value }) => value)
    return values.at(-1)! - values[0]! > toleratedMilliC
  })
}
