import { constantOfBytes } from '../../../src/graph/constant.ts'
import { GraphEditor } from '../../../src/graph/edit.ts'
import type { Op } from '../../../src/graph/ops.ts'
import type { Graph, TensorType } from '../../../src/graph/types.ts'
import { byteLength, type DType } from '../../../src/tensor.ts'

export interface Result {
  readonly shape: readonly number[]
  readonly dtype?: DType
}

/** A quantized `.tflite` network written down operator by operator, as the reader would give it. */
export class FileGraph {
  readonly #editor = GraphEditor.empty('file')
  #index = 0

  input(name: string, shape: readonly number[], dtype: DType = 'int8'): string {
    return this.#editor.addInput(name, typeOf(shape, dtype))
  }

  constant(shape: readonly number[], dtype: DType = 'int8', fill = 1): string {
    const bytes = new Uint8Array(byteLength(dtype, shape)).fill(fill)
    return this.#editor.addConstant(
      'c',
      constantOfBytes(dtype, shape, bytes),
      typeOf(shape, dtype).quantization,
    )
  }

  /** Adds an operator of the file; more than one op for one that was read as several nodes. */
  operator(
    type: string,
    op: Op | readonly Op[],
    inputs: readonly string[],
    ...results: readonly Result[]
  ): string[] {
    const ops = Array.isArray(op) ? (op as readonly Op[]) : [op as Op]
    const index = this.#index++
    const outputs = results.map((_, i) => `${type.toLowerCase()}_${index}${i > 0 ? `_${i}` : ''}`)
    let from = inputs
    for (const [step, one] of ops.entries()) {
      const last = step === ops.length - 1
      const names = last ? outputs : [`${outputs[0]}/step${step}`]
      this.#editor.addNode({
        name: `${type}_${index}_${step}`,
        op: one,
        inputs: from,
        outputs: names.map((name, i) => ({
          name,
          type: typeOf(results[i]!.shape, results[i]!.dtype ?? 'int8'),
        })),
        source: { opType: type, name: outputs[0]!, index },
      })
      from = names
    }
    return outputs
  }

  /** A convolution that keeps height and width. */
  conv(x: string, channels: number, dtype: DType = 'int8'): string {
    const { shape } = this.#editor.type(x)
    const w = this.constant([channels, shape.at(-1)!, 1, 1])
    const b = this.constant([channels], 'int32')
    return this.operator('CONV_2D', conv(), [x, w, b], {
      shape: [...shape.slice(0, -1), channels],
      dtype,
    })[0]!
  }

  finish(...outputs: string[]): Graph {
    this.#editor.outputs = outputs
    return this.#editor.finish()
  }
}

export function conv(dilations: readonly number[] = [1, 1], group = 1): Op {
  return {
    kind: 'Conv',
    group,
    strides: [1, 1],
    dilations,
    padsBegin: [0, 0],
    padsEnd: [0, 0],
    layout: 'channels-last',
  }
}

export function opaque(opType: string): Op {
  return {
    kind: 'Opaque',
    format: 'tflite',
    domain: '',
    opType,
    opset: 1,
    payload: new Uint8Array(),
    captures: [],
  }
}

export function resize(mode: 'linear' | 'nearest', sizes: readonly number[]): Op {
  return {
    kind: 'Resize',
    mode,
    sizes,
    scales: null,
    coordinateTransformation: 'asymmetric',
    nearestMode: 'floor',
    cubicCoefficient: -0.75,
    excludeOutside: false,
    extrapolationValue: 0,
    roi: null,
    antialias: false,
    layout: 'channels-last',
  }
}

function typeOf(shape: readonly number[], dtype: DType): TensorType {
  const quantized = dtype === 'int8' || dtype === 'uint8' || dtype === 'int16'
  return { dtype, shape, quantization: quantized ? { scales: [0.1], zeroPoints: [0], axis: null } : null }
}
