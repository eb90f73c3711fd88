import type { TrtexecPreparation } from '../../src/artifact/manifest.ts'
import type { Graph, Node } from '../../src/graph/types.ts'
import type { Check, Decision, TargetOptions } from '../target.ts'
import { weightsOf } from './constraints.ts'
import { nameOf } from './operators.ts'
import type { Limit } from './sources.ts'

/** The allowance that puts a network on the DLA, what that takes of it. */
export const dlaAllowance = 'dla'

const ok: Check = { ok: true }
const saw = (what: string): Check => ({ ok: false, saw: what })

/**
 * What keeps an operator off NVIDIA's deep learning accelerator, after the DLA chapter of the TensorRT developer guide
 * (8.5 to 10). Documented limits that no network of a board reaches (16 loadables a core) are not checked.
 */
export const dlaConstraints: readonly Limit[] = [
  {
    id: 'dla-operator',
    sentence: 'The DLA has the operator.',
    basis: 'documented',
    source: 'dla',
    remedy: 'It runs on the GPU, with a copy of its operands there and back.',
    check: ({ op }) => (onDla(op) ? ok : saw(nameOf(op))),
  },
  {
    id: 'dla-batch',
    sentence: 'The batch is 4096 at most.',
    basis: 'documented',
    source: 'dla',
    check(node, graph) {
      const large = shapesOf(node, graph).find((shape) => shape.length > 0 && shape[0]! > 4096)
      return large ? saw(`[${large.join(', ')}]`) : ok
    },
  },
  {
    id: 'dla-dimensions',
    sentence: 'Every other dimension is 8192 at most.',
    basis: 'documented',
    source: 'dla',
    check(node, graph) {
      const large = shapesOf(node, graph).find((shape) => shape.slice(1).some((size) => size > 8192))
      return large ? saw(`[${large.join(', ')}]`) : ok
    },
  },
  {
    id: 'dla-two-dimensional',
    sentence: 'Convolutions and pools have two spatial dimensions.',
    basis: 'documented',
    source: 'dla',
    remedy: 'Write a one-dimensional layer with a height of 1.',
    check({ op }) {
      if (!('strides' in op)) return ok
      return op.strides.length === 2 ? ok : saw(`${op.strides.length}`)
    },
  },
  {
    id: 'dla-kernel',
    sentence: 'The kernel of a convolution is 1 to 32 on each side.',
    basis: 'documented',
    source: 'dla',
    check(node, graph) {
      const kernel = kernelOf(node, graph)
      return kernel.every((size) => size >= 1 && size <= 32) ? ok : saw(kernel.join('×'))
    },
  },
  {
    id: 'dla-stride',
    sentence: 'The stride of a convolution is 1 to 8.',
    basis: 'documented',
    source: 'dla',
    check({ op }) {
      if (op.kind !== 'Conv') return ok
      return op.strides.every((stride) => stride <= 8) ? ok : saw(op.strides.join('×'))
    },
  },
  {
    id: 'dla-dilation',
    sentence: 'The dilation of a convolution is 1 to 32.',
    basis: 'assumed',
    source: 'ours',
    check({ op }) {
      if (op.kind !== 'Conv') return ok
      return op.dilations.every((dilation) => dilation <= 32) ? ok : saw(op.dilations.join('×'))
    },
  },
  {
    id: 'dla-channels',
    sentence: 'A convolution has 1 to 8192 channels on each side.',
    basis: 'documented',
    source: 'dla',
    check(node, graph) {
      const weights = kernelOf(node, graph).length > 0 ? weightsOf(node, graph) : null
      const channels = weights?.shape.slice(0, 2) ?? []
      return channels.every((count) => count <= 8192) ? ok : saw(channels.join(' × '))
    },
  },
  {
    id: 'dla-constant-weights',
    sentence: 'Weights are constant.',
    basis: 'documented',
    source: 'dla',
    check(node, graph) {
      const { kind } = node.op
      if (kind !== 'Conv' && kind !== 'ConvTranspose' && kind !== 'Gemm' && kind !== 'MatMul') return ok
      return weightsOf(node, graph) ? ok : saw('computed weights')
    },
  },
  {
    id: 'dla-plain-transposed-convolution',
    sentence: 'A transposed convolution has neither groups nor dilation.',
    basis: 'documented',
    source: 'dla',
    check({ op }) {
      if (op.kind !== 'ConvTranspose') return ok
      if (op.group !== 1) return saw(`${op.group} groups`)
      return op.dilations.every((dilation) => dilation === 1) ? ok : saw(`dilation ${op.dilations.join('×')}`)
    },
  },
  {
    id: 'dla-unpadded-transposed-convolution',
    sentence: 'A transposed convolution has no padding.',
    basis: 'assumed',
    source: 'ours',
    check({ op }) {
      if (op.kind !== 'ConvTranspose') return ok
      return [...op.padsBegin, ...op.padsEnd].every((pad) => pad === 0) ? ok : saw('padding')
    },
  },
  {
    id: 'dla-pool-window',
    sentence: 'The window of a pool is 1 to 8 on each side, its stride 1 to 16.',
    basis: 'assumed',
    source: 'ours',
    remedy: 'Two pools in a row do what a larger one does.',
    check({ op }) {
      if (op.kind !== 'MaxPool' && op.kind !== 'AveragePool') return ok
      const fits = op.kernel.every((size) => size <= 8) && op.strides.every((stride) => stride <= 16)
      return fits ? ok : saw(`window ${op.kernel.join('×')}, stride ${op.strides.join('×')}`)
    },
  },
  {
    id: 'dla-channel-concat',
    sentence: 'A Concat joins channels.',
    basis: 'documented',
    source: 'dla',
    check: ({ op }) => (op.kind === 'Concat' && op.axis !== 1 ? saw(`axis ${op.axis}`) : ok),
  },
]

const dlaBinary: ReadonlySet<string> = new Set(['Add', 'Sub', 'Mul', 'Max', 'Min', 'Div', 'Pow'])

function onDla(op: Node['op']): boolean {
  switch (op.kind) {
    case 'Conv':
    case 'ConvTranspose':
    case 'Gemm':
    case 'MatMul':
    case 'BatchNormalization':
    case 'Relu':
    case 'LeakyRelu':
    case 'Sigmoid':
    case 'Tanh':
    case 'MaxPool':
    case 'AveragePool':
    case 'Concat':
      return true
    case 'Clip':
      return op.min === 0 && Number.isFinite(op.max)
    case 'Binary':
      return dlaBinary.has(op.fn)
    default:
      return false
  }
}

function kernelOf(node: Node, graph: Graph): readonly number[] {
  if (node.op.kind !== 'Conv' && node.op.kind !== 'ConvTranspose') return []
  return weightsOf(node, graph)?.shape.slice(2) ?? []
}

function shapesOf({ inputs, outputs }: Node, graph: Graph): (readonly number[])[] {
  return [...inputs, ...outputs].flatMap((name) => {
    const value = name ? graph.values.get(name)! : null
    return value && !value.constant ? [value.type.shape] : []
  })
}

/** Whether the recipe lets the DLA take part and it can; the engine falls back to the GPU for what it does not take. */
export function dlaOf({ allow, accelerator, scheme }: TargetOptions): TrtexecPreparation['dla'] {
  const wanted = allow?.includes(dlaAllowance) && (accelerator?.dlaCores ?? 0) > 0
  return wanted && scheme === 'float16' ? { core: 0, allowGpuFallback: true } : null
}

/** Why an allowed DLA takes no part, or what it does. */
export function dlaDecisions(options: TargetOptions, where: string): Decision[] {
  if (!options.allow?.includes(dlaAllowance)) return []
  if ((options.accelerator?.dlaCores ?? 0) === 0)
    return [{ where, reason: 'This board has no DLA: the engine is for the GPU.' }]
  return options.scheme === 'float16'
    ? [{ where, reason: 'The engine is for the DLA; what it does not take runs on the GPU.' }]
    : [{ where, reason: `${dlaInt8Sentence} The engine is for the GPU.` }]
}

/** Sources: NVIDIA/TensorRT issue 2222, the DLA chapter of the developer guide, NVIDIA/Model-Optimizer pull request 1661. */
export const dlaInt8Sentence =
  'The DLA takes int8 by calibration tables only, not by Q/DQ, and no float32: --scheme float16 puts a network there.'
