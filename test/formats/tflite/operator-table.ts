import { builtinOperatorNames, controlFlow } from '../../../src/formats/tflite/operators.ts'
import { readTable } from '../../../src/formats/tflite/ops-read/index.ts'
import type { Written } from './on-both-runtimes.ts'

/** Placeholders, not operators. */
const notOperators = new Set(['CUSTOM', 'DELEGATE', 'PLACEHOLDER_FOR_GREATER_OP_CODES'])

/** docs/tflite-operators.md: the same results give the same text. */
export function operatorTable(results: readonly Written[]): string {
  const names = builtinOperatorNames.filter((name) => !notOperators.has(name))
  const read = names.filter((name) => name in readTable)
  const verbatim = names.filter((name) => !(name in readTable) && !controlFlow.has(name))
  const refused = names.filter((name) => controlFlow.has(name))
  return `# TensorFlow Lite operators

Made by \`npm run docs:tflite\`. Do not edit; a test compares it with what it measures.

## Read

${read.length} built-in operators are read into Edgewright's own, with any element type and quantization that their kernels
have. One of them is carried verbatim all the same where our operators cannot say it: fused activations other than
RELU, RELU6 and RELU_N1_TO_1; SOFTMAX with a beta other than 1; GATHER with batch dimensions; MIRROR_PAD that mirrors
the border itself; RSQRT and SQUARED_DIFFERENCE of quantized integers; 16-bit sums with scales that are powers of two;
shapes, axes and sizes that are computed while the model runs; operands that are states.

${columns(read)}

## Carried verbatim

${verbatim.length} built-in operators, all custom operators and numbers that are not known here are carried as they stand, with
their options, states and the types that the file declares. Targets that run TensorFlow Lite files get them back as they
were; others refuse them by name. Files are refused where values are resources, variants or complex numbers; operators of
StableHLO that have options cannot be written again.

${columns(verbatim)}

## Refused

Operators that run another part of the file.

${columns(refused)}

## Written

Every kind of operator of Edgewright's, written for LiteRT and run there beside ONNX Runtime; the results differ by at
most 1e-5 of the greatest. What TensorFlow Lite has no operator for is composed of several where the network is in
float. Every .tflite file of the fixtures that LiteRT runs gives the same bits when it is read and written again.

| operator | cases | written | refused | why |
|---|---|---|---|---|
${rows(results).join('\n')}
`
}

function columns(names: readonly string[]): string {
  const lines: string[] = []
  let line = ''
  for (const name of names.toSorted()) {
    const next = line === '' ? name : `${line}, ${name}`
    if (next.length > 116) {
      lines.push(`${line},`)
      line = name
    } else line = next
  }
  return [...lines, line].join('\n')
}

function rows(results: readonly Written[]): string[] {
  const operators = [...new Set(results.map(({ operator }) => operator))].toSorted()
  return operators.map((operator) => {
    const own = results.filter((result) => result.operator === operator)
    const refused = own.filter(({ outcome }) => outcome === 'refused')
    const written = own.filter(({ outcome }) => outcome === 'same').length
    const why = [...new Set(refused.map(({ reason }) => reason))].join(' ')
    return `| ${operator} | ${own.length} | ${written || ''} | ${refused.length || ''} | ${why} |`
  })
}
