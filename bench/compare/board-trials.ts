import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { differs } from '../../src/measure/compare/verdict.ts'
import { startBoard } from '../../test/lab/board.ts'
import { trialsOn } from '../../test/lab/compare-board.ts'
import { equalLayers } from '../../test/lab/layers.ts'
import { labMissing } from '../../test/lab/requirements.ts'

/** On an emulated machine whose clock counts instructions: a network against itself, then against one with a layer more. */
export async function boardTrials(count: number): Promise<void> {
  const missing = labMissing('system')
  if (missing) throw new Error(missing)
  const folder = mkdtempSync(join(tmpdir(), 'edgewright-trials-'))
  const a = join(folder, '33-layers.onnx')
  const more = join(folder, '34-layers.onnx')
  writeFileSync(a, equalLayers(33))
  writeFileSync(more, equalLayers(34))
  const seeds = Array.from({ length: count }, (_, index) => index + 1)
  const lab = await startBoard({ kind: 'system', instructionClock: true })
  try {
    for (const [name, b] of [
      ['33 layers against themselves', a],
      ['34 layers against 33', more],
    ] as const) {
      const verdicts = new Map<string, number>()
      const estimates: number[] = []
      let significant = 0
      const began = Date.now()
      for await (const { verdict, changes } of trialsOn(lab, { a, b }, seeds)) {
        verdicts.set(verdict, (verdicts.get(verdict) ?? 0) + 1)
        estimates.push(changes.p50!.estimate * 100)
        if (differs(changes.p50!)) significant++
        console.error(`${name}, ${estimates.length}: ${verdict}, ${estimates.at(-1)!.toFixed(3)} %`)
      }
      const sorted = estimates.toSorted((x, y) => x - y)
      const range = [sorted[0]!, sorted[sorted.length >> 1]!, sorted.at(-1)!].map((change) =>
        change.toFixed(3),
      )
      console.log(
        `${name}: ${count} trials of 8 blocks: ${[...verdicts].map(([verdict, times]) => `${times} ${verdict}`).join(', ')}; the bare test differs in ${significant}; p50 ${range.join(' / ')} % (least, middle, most); ${((Date.now() - began) / 1000 / count).toFixed(0)} s a trial`,
      )
    }
  } finally {
    await lab.stop()
    rmSync(folder, { recursive: true, force: true })
  }
}
