import { attributeTypes, encodeModel, onnxDataTypes } from '../../src/formats/onnx/proto.ts'
import { random } from '../measure/noise.ts'

const channels = 8
const side = 4

/** A network of so many equal convolutions, each with its activation: one more in 33 is 3 % more work. */
export function equalLayers(count: number): Uint8Array {
  const next = random(1)
  const shape = [1, channels, side, side]
  const value = (name: string) => ({
    name,
    type: {
      tensorType: {
        elemType: onnxDataTypes.float32,
        shape: { dim: shape.map((dimValue) => ({ dimValue })) },
      },
    },
  })
  const weights = (index: number) => ({
    name: `w${index}`,
    dataType: onnxDataTypes.float32,
    dims: [channels, channels, 3, 3],
    rawData: new Uint8Array(
      Float32Array.from({ length: channels * channels * 9 }, () => (next() - 0.5) * 0.4).buffer,
    ),
  })
  return encodeModel({
    irVersion: 8,
    producerName: 'edgewright',
    opsetImport: [{ domain: '', version: 17 }],
    graph: {
      name: 'layers',
      node: Array.from({ length: count }, (_, index) => [
        {
          name: `conv${index}`,
          opType: 'Conv',
          input: [index === 0 ? 'x' : `r${index - 1}`, `w${index}`],
          output: [`c${index}`],
          attribute: [{ name: 'pads', type: attributeTypes.ints, ints: [1, 1, 1, 1] }],
        },
        {
          name: `relu${index}`,
          opType: 'Relu',
          input: [`c${index}`],
          output: [index === count - 1 ? 'y' : `r${index}`],
        },
      ]).flat(),
      initializer: Array.from({ length: count }, (_, index) => weights(index)),
      input: [value('x')],
      output: [value('y')],
    },
  })
}
