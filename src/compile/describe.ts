import { describeRangeMethod } from '../quantize/ranges.ts'
import { isStoredScheme } from '../quantize/stored-weights.ts'
import type { Candidate } from './candidates.ts'
import type { Compiled } from './compile.ts'
import { improvements } from './improvements/index.ts'
import { mixedPrecision } from './improvements/mixed-precision.ts'

const lineWidth = 118
const labelWidth = 10

/** For people: what was made, how good it is, and why it is as it is. */
export function describeCompiled(compiled: Compiled): string {
  const { folder, manifest, quality, board, decisions } = compiled
  const lines = [
    `${folder}  ${manifest.scheme} for ${board.profile.name} on ${manifest.target}`,
    ...entry('size', describeSize(compiled)),
    ...entry(
      'fidelity',
      `output SQNR ${Number.isFinite(quality.sqnrDb) ? `${quality.sqnrDb.toFixed(1)} dB` : 'exact'}${quality.agreement === null ? '' : `, agrees with float on ${percent(quality.agreement)} of ${quality.samples} samples`}`,
    ),
  ]
  if (quality.float !== null && quality.compiled !== null)
    lines.push(
      ...entry(quality.metric, `float ${percent(quality.float)}, compiled ${percent(quality.compiled)}`),
    )
  lines.push(...describeSearch(compiled))
  for (const { sentence, basis } of board.reasons) lines.push(...entry('board', `${sentence} (${basis})`))
  for (const { where, reason } of decisions) lines.push(...entry('decision', `${where}: ${reason}`))
  return lines.join('\n')
}

function describeSize({ manifest, weightBytes }: Compiled): string {
  const { bytes } = manifest.files.find((file) => file.path === manifest.model)!
  const weights =
    weightBytes.float > 0 ? `; weights ${(weightBytes.compiled / weightBytes.float).toFixed(3)}` : ''
  return `${(bytes / 1000).toFixed(1)} kB, ${(bytes / manifest.source.bytes).toFixed(3)} of the float file${weights}`
}

/** A line for each step, of several ways the best; then what had nothing to do. */
function describeSearch(compiled: Compiled): string[] {
  const { candidates, declined, manifest } = compiled
  const lines: string[] = []
  for (const step of new Set(candidates.map((one) => one.step))) {
    const ways = candidates.filter((one) => one.step === step)
    const best = ways.find(({ kept }) => kept) ?? ways.reduce(nearer)
    const of = ways.length > 1 ? `, best of ${ways.length}` : ''
    if (step === 'ranges')
      lines.push(...entry(step, `${best.name}: ${db(best)} on ${best.samples} held-out samples${of}`))
    else
      lines.push(
        ...entry(best.kept ? 'kept' : 'dropped', `${best.name}: ${gainOf(best)}${of}${whyDropped(best)}`),
      )
  }
  if (!candidates.some(({ step }) => step === 'ranges')) lines.unshift(...describeUntriedRanges(compiled))
  const limit = manifest.recipe['maxDrop']
  const mixed = declined.find(({ step }) => step === mixedPrecision.name)
  if (typeof limit === 'number' && mixed)
    lines.push(...entry('limit', `${Number((limit * 100).toFixed(2))} %; ${mixed.reason}`))
  const others = declined.filter((one) => one !== mixed)
  if (others.length > 0)
    lines.push(...entry('declined', others.map(({ step, reason }) => `${step} (${reason})`).join('; ')))
  return lines
}

function describeUntriedRanges({ manifest, made }: Compiled): string[] {
  const { activation, weight } = made.trial
  if (manifest.scheme === 'float' || manifest.scheme === 'float16') return []
  const activations = isStoredScheme(manifest.scheme)
    ? ''
    : `${describeRangeMethod(activation)} activations, `
  return entry('ranges', `${activations}${weight} weights, no others tried`)
}

/** A gain that did not suffice would look like a mistake. */
function whyDropped({ step, kept, gainDb }: Candidate): string {
  if (kept || gainDb === null || gainDb <= 0) return ''
  const marginDb = improvements.find(({ name }) => name === step)?.marginDb ?? 0
  return gainDb <= marginDb
    ? `, less than the ${marginDb} dB it must gain`
    : ', but it agrees less with float'
}

function nearer(a: Candidate, b: Candidate): Candidate {
  return (b.sqnrDb ?? Number.POSITIVE_INFINITY) > (a.sqnrDb ?? Number.POSITIVE_INFINITY) ? b : a
}

function gainOf(candidate: Candidate): string {
  const { gainDb } = candidate
  return gainDb === null ? db(candidate) : `${gainDb < 0 ? '−' : '+'}${Math.abs(gainDb).toFixed(2)} dB`
}

function db({ sqnrDb }: Candidate): string {
  return sqnrDb === null ? 'exact' : `${sqnrDb.toFixed(2)} dB`
}

/** A label and its text, further lines under the text. */
function entry(label: string, text: string): string[] {
  const lines: string[] = []
  const indent = ' '.repeat(labelWidth + 3)
  let line = `  ${label.padEnd(labelWidth)}`
  for (const word of text.split(' ')) {
    if (line.length + 1 + word.length > lineWidth && line.length > indent.length) {
      lines.push(line)
      line = `${indent}${word}`
    } else line += ` ${word}`
  }
  return [...lines, line]
}

function percent(share: number): string {
  return `${(share * 100).toFixed(1)} %`
}
