import { execFileSync } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { toEdgewrightError } from '../../../src/error.ts'
import {
  decodeModel,
  decodeTensor,
  encodeModel,
  type OnnxModel,
  type OnnxNode,
  type OnnxTensor,
  type OnnxValueInfo,
} from '../../../src/formats/onnx/proto.ts'
import { readOnnx } from '../../../src/formats/onnx/read.ts'
import { writeOnnx } from '../../../src/formats/onnx/write.ts'
import { numbersOf } from '../../../src/graph/constant.ts'
import { verifyGraph } from '../../../src/graph/verify.ts'
import { bytesOf } from '../../../src/tensor.ts'
import { fixture, fixturesMissing } from '../../fixtures.ts'
import { inferOpaque, runModel, type TestTensor, testTensor } from './ort.ts'

/** Where Debian's libonnx-testdata puts the node tests of ONNX 1.12. */
export const debianCases = '/usr/share/libonnx-testdata/data/node'
export const debianCasesMissing: string | false = existsSync(debianCases)
  ? false
  : 'needs the Debian package libonnx-testdata'

export interface NodeCase {
  readonly name: string
  readonly folder: string
}

/** The cases of both sources, each name once; the fixtures' come first. */
export async function withNodeCases<T>(use: (cases: NodeCase[]) => Promise<T>): Promise<T> {
  const extracted = mkdtempSync(join(tmpdir(), 'edgewright-onnx-'))
  try {
    if (!fixturesMissing)
      execFileSync('tar', ['-xJf', fixture('onnx/node_tests_subset.tar.xz'), '-C', extracted])
    const cases = new Map<string, NodeCase>()
    for (const root of [extracted, debianCases]) {
      if (!existsSync(root)) continue
      for (const name of readdirSync(root).sort())
        if (!cases.has(name) && existsSync(join(root, name, 'model.onnx')))
          cases.set(name, { name, folder: join(root, name) })
    }
    return await use([...cases.values()].sort((a, b) => (a.name < b.name ? -1 : 1)))
  } finally {
    rmSync(extracted, { recursive: true, force: true })
  }
}

/**
 * passes: read into our own operators, written, run, same numbers as the ONNX project's.
 * verbatim: the same with the operator carried as it is.
 * refused: the reader said no, by name.
 * not run: read and written, but this computer's runtime runs neither the original nor ours.
 * runtime differs: the runtime gives other numbers than the ONNX project for the original too, and the same for ours.
 * wrong: anything else.
 */
export type Outcome = 'passes' | 'verbatim' | 'refused' | 'not run' | 'runtime differs' | 'wrong'

export interface CaseResult {
  readonly name: string
  /** The operator under test; null for a case of several operators. */
  readonly operator: string | null
  /** Whether its data are floats. */
  readonly float: boolean
  readonly outcome: Outcome
  readonly reason: string
}

export async function runNodeCase({ name, folder }: NodeCase): Promise<CaseResult> {
  const original = decodeModel(readFileSync(join(folder, 'model.onnx')))
  const operator = original.graph!.node.length === 1 ? operatorOf(original.graph!.node[0]!) : null
  const data = dataOf(original, folder)
  const float =
    data !== null &&
    [...data.inputs.values(), ...data.outputs.values()].some(({ dtype }) => dtype.includes('float'))
  const result = (outcome: Outcome, reason = ''): CaseResult => ({
    name,
    operator,
    float,
    outcome,
    reason: oneLine(reason),
  })
  if (!data) return result('refused', 'an input or output is not a tensor')
  const parameters = bindParameters(original, data)
  const bound = encodeModel(parameters)
  let written: Uint8Array
  let verbatim: string[]
  try {
    const shapes = Object.fromEntries(
      parameters.graph.input.filter(isOpen).map(({ name: input }) => [input, data.inputs.get(input)!.shape]),
    )
    const model = await readOnnx({ bytes: bound }, { inferOpaque, shapes })
    const [graph] = model.graphs.values()
    verbatim = graph!.nodes.flatMap(({ op }) => (op.kind === 'Opaque' ? [op.opType] : []))
    verifyGraph(graph!)
    written = writeOnnx(graph!, { opsets: model.opsets })
  } catch (error) {
    const known = toEdgewrightError(error)
    if (known.kind !== 'input')
      return result('wrong', `${known.code}: ${known.message} ${(error as Error).stack}`)
    // what the runtime cannot run, no host run can tell the shape of
    if (known.code === 'OPERATOR_UNSUPPORTED' || known.code === 'MODEL_OPSET_UNSUPPORTED')
      return result('refused', known.message)
    return result('wrong', `${known.code}: ${known.message} ${known.saw ?? ''}`)
  }
  const before = await attempt(() => runModel(bound, data.inputs))
  const after = await attempt(() => runModel(written, data.inputs))
  if (after instanceof Error)
    return before instanceof Error
      ? result('not run', after.message)
      : result('wrong', `ours does not run: ${after.message}`)
  const shapesOnly = verbatim.some((opType) => random.has(opType))
  const difference = differ(after, data.outputs, shapesOnly)
  if (difference === null)
    return verbatim.length > 0 ? result('verbatim', [...new Set(verbatim)].join(', ')) : result('passes')
  if (before instanceof Error || differ(before, data.outputs) === null || differ(after, before) !== null)
    return result('wrong', difference)
  return result('runtime differs', difference)
}

/** An empty tensor's dimension of 0 is read as open, too: exporters write that for a dynamic one. */
function isOpen({ type }: OnnxValueInfo): boolean {
  return (
    type?.tensorType?.shape?.dim.some(({ dimValue }) => dimValue === null || Number(dimValue) === 0) ?? true
  )
}

async function attempt<T>(run: () => Promise<T>): Promise<T | Error> {
  try {
    return await run()
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error))
  }
}

function operatorOf({ domain, opType }: OnnxNode): string {
  return domain === '' || domain === 'ai.onnx' ? opType : `${domain}.${opType}`
}

interface CaseData {
  readonly inputs: Map<string, TestTensor>
  readonly protos: Map<string, OnnxTensor>
  readonly outputs: Map<string, TestTensor>
}

/** The first data set of a case; null where a value is a sequence, an optional or of a type that we do not carry. */
function dataOf(model: OnnxModel, folder: string): CaseData | null {
  const set = join(folder, 'test_data_set_0')
  const data: CaseData = { inputs: new Map(), protos: new Map(), outputs: new Map() }
  const values = [...model.graph!.input, ...model.graph!.output]
  if (values.some(({ type }) => !type?.tensorType)) return null
  for (const [i, { name }] of model.graph!.input.entries()) {
    const proto = decodeTensor(readFileSync(join(set, `input_${i}.pb`)))
    data.protos.set(name, { ...proto, dims: proto.dims, dataType: proto.dataType })
    data.inputs.set(name, testTensor(proto))
    data.protos.set(name, proto)
  }
  for (const [i, { name }] of model.graph!.output.entries())
    data.outputs.set(name, testTensor(decodeTensor(readFileSync(join(set, `output_${i}.pb`)))))
  return data
}

/** Operands that networks keep constant and our operators hold as attributes, from the position given. */
const parameterOperands: Readonly<Record<string, readonly number[]>> = {
  Reshape: [1],
  Expand: [1],
  Tile: [1],
  Pad: [1, 2, 3],
  Slice: [1, 2, 3, 4],
  Resize: [1, 2, 3],
  Upsample: [1],
  Clip: [1, 2],
  Squeeze: [1],
  Unsqueeze: [1],
  Split: [1],
  ConstantOfShape: [0],
  Range: [0, 1, 2],
  Dropout: [1, 2],
  QuantizeLinear: [1, 2],
  DequantizeLinear: [1, 2],
  ReduceSum: [1],
  TopK: [1],
  OneHot: [1],
  Trilu: [1],
}

/** A test passes shapes, axes and scales as inputs of the graph: here they become initializers. */
function bindParameters(model: OnnxModel, { protos }: CaseData) {
  const bound = new Set<string>()
  for (const node of model.graph!.node)
    for (const position of parameterOperands[node.opType] ?? []) {
      const name = node.input[position] ?? ''
      if (protos.has(name)) bound.add(name)
    }
  const initializer = [...bound].map((name) => Object.assign(protos.get(name)!, { name }))
  const { node, name, output } = model.graph!
  return {
    irVersion: Math.max(4, Number(model.irVersion)),
    opsetImport: model.opsetImport.map(({ domain, version }) => ({
      domain,
      version: atLeast7(model, domain, Number(version)),
    })),
    functions: model.functions,
    graph: {
      node,
      name,
      output,
      initializer: [...model.graph!.initializer, ...initializer],
      input: model.graph!.input.filter((input) => !bound.has(input.name)),
    },
  }
}

/** Operators whose definition of set 1 or 6 still holds in set 7, the oldest that is read. */
const unchangedSince6 = new Set([
  'Elu',
  'GlobalAveragePool',
  'GlobalMaxPool',
  'HardSigmoid',
  'InstanceNormalization',
  'Not',
  'Selu',
  'Softplus',
  'Softsign',
  'ReduceLogSum',
])

function atLeast7(model: OnnxModel, domain: string, version: number): number {
  const same = model.graph!.node.every(({ opType }) => unchangedSince6.has(opType))
  return domain === '' && same ? Math.max(7, version) : version
}

/** Operators that draw random numbers: only element type and shape can be compared. */
const random = new Set([
  'Bernoulli',
  'Dropout',
  'Multinomial',
  'RandomNormal',
  'RandomNormalLike',
  'RandomUniform',
  'RandomUniformLike',
])

/** The ONNX project's own tolerance (rtol 1e-3, atol 1e-7), exact for integers; null where nothing differs. */
function differ(
  actual: ReadonlyMap<string, TestTensor>,
  expected: ReadonlyMap<string, TestTensor>,
  shapesOnly = false,
): string | null {
  for (const [name, want] of expected) {
    const got = actual.get(name)
    if (!got) return `${name} is missing`
    if (got.dtype !== want.dtype || got.shape.join() !== want.shape.join())
      return `${name} is ${got.dtype}[${got.shape.join(',')}], expected ${want.dtype}[${want.shape.join(',')}]`
    if (shapesOnly) continue
    const [a, b] = [elements(got), elements(want)]
    for (let i = 0; i < b.length; i++)
      if (!near(a[i]!, b[i]!, want.dtype)) return `${name}[${i}] is ${a[i]}, expected ${b[i]}`
  }
  return null
}

function near(a: number | string | bigint, b: number | string | bigint, dtype: string): boolean {
  if (typeof a !== 'number' || typeof b !== 'number' || !dtype.includes('float')) return a === b
  if (Number.isNaN(b)) return Number.isNaN(a)
  return a === b || Math.abs(a - b) <= 1e-7 + 1e-3 * Math.abs(b)
}

function elements({ dtype, shape, data }: TestTensor): ArrayLike<number | string | bigint> {
  if (dtype !== 'float16' && dtype !== 'bfloat16') return data as ArrayLike<number | string | bigint>
  const bytes = bytesOf(data as Uint16Array)
  return numbersOf({ dtype, shape, digest: '', byteLength: bytes.byteLength, bytes: () => bytes })
}

function oneLine(text: string): string {
  return text.replaceAll(/\s+/g, ' ').trim().slice(0, 300)
}
