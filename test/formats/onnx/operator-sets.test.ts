import { strict as assert } from 'node:assert'
import { describe, it } from 'node:test'
import { attribute, input, type ModelSpec, modelOf, node, tensor } from './model.ts'
import { assertSame, roundTrip } from './round-trip.ts'

const { int, ints, float, floats, string } = attribute
const x = (dims: number[], dtype: 'float32' | 'float16' | 'int64' | 'int32' | 'uint8' = 'float32') =>
  input('x', dtype, dims)
const list = (name: string, numbers: number[]) => tensor(name, 'int64', [numbers.length], numbers)

interface Case {
  readonly what: string
  readonly opset: number
  /** What it must be read as: kinds in order. */
  readonly kinds: readonly string[]
  readonly spec: Omit<ModelSpec, 'outputs'> & { outputs?: ModelSpec['outputs'] }
}

const image = [1, 2, 5, 6]

/** onnxruntime-node runs the original and what is written after reading; both must say the same. */
const cases: readonly Case[] = [
  // above operator set 16, which the ONNX project's node tests at hand do not reach
  {
    what: 'LayerNormalization',
    opset: 17,
    kinds: ['LayerNormalization'],
    spec: {
      inputs: [x([2, 3, 4])],
      nodes: [node('LayerNormalization', ['x', 's', 'b'], ['y'], int('axis', -2), float('epsilon', 0.01))],
      initializers: [
        tensor(
          's',
          'float32',
          [3, 4],
          Array.from({ length: 12 }, (_, i) => i - 5),
        ),
        tensor(
          'b',
          'float32',
          [3, 4],
          Array.from({ length: 12 }, (_, i) => i),
        ),
      ],
    },
  },
  {
    what: 'LayerNormalization without bias',
    opset: 17,
    kinds: ['LayerNormalization'],
    spec: {
      inputs: [x([2, 3, 4])],
      nodes: [node('LayerNormalization', ['x', 's'], ['y'])],
      initializers: [tensor('s', 'float32', [4], [1, 2, 3, 4])],
    },
  },
  {
    what: 'DFT is carried',
    opset: 17,
    kinds: ['Opaque DFT'],
    spec: { inputs: [x([1, 8, 1])], nodes: [node('DFT', ['x'], ['y'], int('axis', 1))] },
  },
  {
    what: 'DFT of the next version is carried',
    opset: 20,
    kinds: ['Opaque DFT'],
    spec: {
      inputs: [x([1, 8, 1])],
      nodes: [node('DFT', ['x', '', 'axis'], ['y'])],
      initializers: [tensor('axis', 'int64', [], [1])],
    },
  },
  ...['Mean', 'Max', 'Min', 'Prod', 'L1', 'L2', 'LogSumExp', 'SumSquare', 'Sum'].map(
    (fn): Case => ({
      what: `Reduce${fn} with axes as input`,
      opset: 18,
      kinds: ['Reduce'],
      spec: {
        inputs: [x([2, 3, 4])],
        nodes: [node(`Reduce${fn}`, ['x', 'axes'], ['y'], int('keepdims', 0))],
        initializers: [list('axes', [-1, 0])],
      },
    }),
  ),
  {
    what: 'ReduceMean without axes',
    opset: 18,
    kinds: ['Reduce'],
    spec: { inputs: [x([2, 3])], nodes: [node('ReduceMean', ['x'], ['y'])] },
  },
  {
    what: 'ReduceMean of no axes that does nothing',
    opset: 18,
    kinds: ['Identity'],
    spec: { inputs: [x([2, 3])], nodes: [node('ReduceMean', ['x'], ['y'], int('noop_with_empty_axes', 1))] },
  },
  {
    what: 'Split by num_outputs, the last one smaller',
    opset: 18,
    kinds: ['Split'],
    spec: {
      inputs: [x([7, 2])],
      nodes: [node('Split', ['x'], ['y', 'z', 'w'], int('axis', 0), int('num_outputs', 3))],
      outputs: ['y', 'z', 'w'],
    },
  },
  {
    what: 'Pad with axes',
    opset: 18,
    kinds: ['Pad'],
    spec: {
      inputs: [x([2, 3, 4])],
      nodes: [node('Pad', ['x', 'p', 'v', 'a'], ['y'])],
      initializers: [list('p', [1, 2, 0, 3]), tensor('v', 'float32', [], [0.5]), list('a', [2, 0])],
    },
  },
  {
    what: 'Pad by wrapping',
    opset: 19,
    kinds: ['Pad'],
    spec: {
      inputs: [x([2, 3, 4])],
      nodes: [node('Pad', ['x', 'p'], ['y'], string('mode', 'wrap'))],
      initializers: [list('p', [0, 1, 2, 0, 0, 1])],
    },
  },
  {
    what: 'Pad that crops',
    opset: 18,
    kinds: ['Pad'],
    spec: {
      inputs: [x([2, 3, 4])],
      nodes: [node('Pad', ['x', 'p'], ['y'])],
      initializers: [list('p', [0, -1, 0, 0, 0, -2])],
    },
  },
  {
    what: 'Resize of some axes',
    opset: 18,
    kinds: ['Resize'],
    spec: {
      inputs: [x(image)],
      nodes: [node('Resize', ['x', '', '', 's'], ['y'], ints('axes', [3, 2]), string('mode', 'linear'))],
      initializers: [list('s', [9, 10])],
    },
  },
  {
    what: 'Resize with antialiasing',
    opset: 18,
    kinds: ['Resize'],
    spec: {
      inputs: [x(image)],
      nodes: [node('Resize', ['x', '', '', 's'], ['y'], string('mode', 'linear'), int('antialias', 1))],
      initializers: [list('s', [1, 2, 3, 3])],
    },
  },
  {
    what: 'Resize to half_pixel_symmetric',
    opset: 19,
    kinds: ['Resize'],
    spec: {
      inputs: [x(image)],
      nodes: [
        node(
          'Resize',
          ['x', '', 'f'],
          ['y'],
          string('mode', 'linear'),
          string('coordinate_transformation_mode', 'half_pixel_symmetric'),
        ),
      ],
      initializers: [tensor('f', 'float32', [4], [1, 1, 1.7, 0.6])],
    },
  },
  {
    what: 'Resize that keeps the aspect ratio is carried',
    opset: 18,
    kinds: ['Opaque Resize'],
    spec: {
      inputs: [x(image)],
      nodes: [
        node(
          'Resize',
          ['x', '', '', 's'],
          ['y'],
          ints('axes', [2, 3]),
          string('keep_aspect_ratio_policy', 'not_larger'),
        ),
      ],
      initializers: [list('s', [9, 9])],
    },
  },
  {
    what: 'Equal',
    opset: 19,
    kinds: ['Comparison'],
    spec: { inputs: [x([2, 3]), input('z', 'float32', [3])], nodes: [node('Equal', ['x', 'z'], ['y'])] },
  },
  {
    what: 'Cast with saturate',
    opset: 19,
    kinds: ['Cast'],
    spec: { inputs: [x([2, 3])], nodes: [node('Cast', ['x'], ['y'], int('to', 6), int('saturate', 1))] },
  },
  {
    what: 'AveragePool with dilations',
    opset: 19,
    kinds: ['AveragePool'],
    spec: {
      inputs: [x(image)],
      nodes: [node('AveragePool', ['x'], ['y'], ints('kernel_shape', [2, 2]), ints('dilations', [2, 1]))],
    },
  },
  {
    what: 'Reshape',
    opset: 19,
    kinds: ['Reshape'],
    spec: {
      inputs: [x([2, 3, 4])],
      nodes: [node('Reshape', ['x', 's'], ['y'])],
      initializers: [list('s', [0, -1])],
    },
  },
  {
    what: 'Gelu',
    opset: 20,
    kinds: ['Gelu'],
    spec: { inputs: [x([2, 3])], nodes: [node('Gelu', ['x'], ['y'])] },
  },
  {
    what: 'Gelu by tanh',
    opset: 20,
    kinds: ['Gelu'],
    spec: { inputs: [x([2, 3])], nodes: [node('Gelu', ['x'], ['y'], string('approximate', 'tanh'))] },
  },
  {
    what: 'ReduceMax of bool is carried or reduced',
    opset: 20,
    kinds: ['Cast', 'Reduce', 'Cast'],
    spec: {
      inputs: [x([2, 3])],
      nodes: [
        node('Cast', ['x'], ['b'], int('to', 6)),
        node('ReduceMax', ['b', 'a'], ['m']),
        node('Cast', ['m'], ['y'], int('to', 1)),
      ],
      initializers: [list('a', [1])],
    },
  },
  {
    what: 'Squeeze, Unsqueeze, Flatten, Transpose',
    opset: 21,
    kinds: ['Reshape', 'Transpose', 'Reshape', 'Reshape'],
    spec: {
      inputs: [x([1, 3, 4])],
      nodes: [
        node('Squeeze', ['x', 'a'], ['p']),
        node('Transpose', ['p'], ['q']),
        node('Unsqueeze', ['q', 'b'], ['r']),
        node('Flatten', ['r'], ['y'], int('axis', 2)),
      ],
      initializers: [list('a', [0]), list('b', [1, -1])],
    },
  },
  {
    what: 'Shape arithmetic is folded away',
    opset: 21,
    kinds: ['Reshape'],
    spec: {
      inputs: [x([2, 3, 4])],
      nodes: [
        node('Shape', ['x'], ['s'], int('start', 1)),
        node('ReduceProd', ['s'], ['n'], int('keepdims', 1)),
        node('Shape', ['x'], ['b'], int('end', 1)),
        node('Concat', ['b', 'n'], ['t'], int('axis', 0)),
        node('Reshape', ['x', 't'], ['y']),
      ],
    },
  },
  {
    what: 'Conv of half precision',
    opset: 17,
    kinds: ['Cast', 'Conv', 'Cast'],
    spec: {
      inputs: [x(image)],
      nodes: [
        node('Cast', ['x'], ['h'], int('to', 10)),
        node('Conv', ['h', 'w'], ['c']),
        node('Cast', ['c'], ['y'], int('to', 1)),
      ],
      initializers: [tensor('w', 'float16', [1, 2, 1, 1], [0.5, 2])],
    },
  },
  // below operator set 13, where attributes became inputs
  {
    what: 'Softmax of a matrix of rows',
    opset: 11,
    kinds: ['Reshape', 'Softmax', 'Reshape'],
    spec: { inputs: [x([2, 3, 4])], nodes: [node('Softmax', ['x'], ['y'])] },
  },
  {
    what: 'Softmax over the last axis',
    opset: 11,
    kinds: ['Softmax'],
    spec: { inputs: [x([2, 3, 4])], nodes: [node('Softmax', ['x'], ['y'], int('axis', 2))] },
  },
  {
    what: 'Softmax over all',
    opset: 11,
    kinds: ['Reshape', 'Softmax', 'Reshape'],
    spec: { inputs: [x([2, 3, 4])], nodes: [node('Softmax', ['x'], ['y'], int('axis', 0))] },
  },
  {
    what: 'Softmax over channels with nothing behind',
    opset: 9,
    kinds: ['Softmax'],
    spec: { inputs: [x([2, 3, 1, 1])], nodes: [node('Softmax', ['x'], ['y'])] },
  },
  {
    what: 'LogSoftmax of rows',
    opset: 12,
    kinds: ['Reshape', 'LogSoftmax', 'Reshape'],
    spec: { inputs: [x([2, 3, 4])], nodes: [node('LogSoftmax', ['x'], ['y'])] },
  },
  {
    what: 'Clip by attributes',
    opset: 7,
    kinds: ['Clip'],
    spec: {
      inputs: [x([2, 3])],
      nodes: [node('Clip', ['x'], ['y'], float('min', -1), float('max', 3.4028234663852886e38))],
    },
  },
  {
    what: 'Clip without an upper bound',
    opset: 13,
    kinds: ['Clip'],
    spec: {
      inputs: [x([2, 3])],
      nodes: [node('Clip', ['x', 'lo'], ['y'])],
      initializers: [tensor('lo', 'float32', [], [-0.5])],
    },
  },
  {
    what: 'Slice by attributes',
    opset: 9,
    kinds: ['Slice'],
    spec: {
      inputs: [x([4, 5])],
      nodes: [
        node(
          'Slice',
          ['x'],
          ['y'],
          ints('axes', [1, 0]),
          ints('starts', [1, -3]),
          ints('ends', [-1, 2147483647]),
        ),
      ],
    },
  },
  {
    what: 'Slice backwards',
    opset: 13,
    kinds: ['Slice'],
    spec: {
      inputs: [x([4, 5])],
      nodes: [node('Slice', ['x', 's', 'e', 'a', 'b'], ['y'])],
      initializers: [
        list('s', [-1, 3]),
        { ...list('e', [0, 0]), rawData: Buffer.from(BigInt64Array.of(-(2n ** 63n), 0n).buffer) },
        list('a', [1, 0]),
        list('b', [-2, -1]),
      ],
    },
  },
  {
    what: 'Pad by attributes',
    opset: 10,
    kinds: ['Pad'],
    spec: {
      inputs: [x([2, 3])],
      nodes: [
        node(
          'Pad',
          ['x'],
          ['y'],
          ints('pads', [0, 1, 2, 0]),
          string('mode', 'constant'),
          float('value', 1.5),
        ),
      ],
    },
  },
  {
    what: 'Split by attribute',
    opset: 11,
    kinds: ['Split'],
    spec: {
      inputs: [x([2, 5])],
      nodes: [node('Split', ['x'], ['y', 'z'], int('axis', -1), ints('split', [2, 3]))],
      outputs: ['y', 'z'],
    },
  },
  {
    what: 'Squeeze without axes',
    opset: 11,
    kinds: ['Reshape'],
    spec: { inputs: [x([1, 3, 1])], nodes: [node('Squeeze', ['x'], ['y'])] },
  },
  {
    what: 'Unsqueeze by attribute',
    opset: 11,
    kinds: ['Reshape'],
    spec: { inputs: [x([3])], nodes: [node('Unsqueeze', ['x'], ['y'], ints('axes', [2, 0]))] },
  },
  {
    what: 'ReduceSum by attribute',
    opset: 11,
    kinds: ['Reduce'],
    spec: { inputs: [x([2, 3, 4])], nodes: [node('ReduceSum', ['x'], ['y'], ints('axes', [1]))] },
  },
  {
    what: 'Upsample by attribute',
    opset: 7,
    kinds: ['Resize'],
    spec: {
      inputs: [x(image)],
      nodes: [node('Upsample', ['x'], ['y'], floats('scales', [1, 1, 2, 3]), string('mode', 'nearest'))],
    },
  },
  {
    what: 'Upsample, linear',
    opset: 9,
    kinds: ['Resize'],
    spec: {
      inputs: [x(image)],
      nodes: [node('Upsample', ['x', 'f'], ['y'], string('mode', 'linear'))],
      initializers: [tensor('f', 'float32', [4], [1, 1, 2, 2])],
    },
  },
  {
    what: 'Resize up before the coordinate modes',
    opset: 10,
    kinds: ['Resize'],
    spec: {
      inputs: [x(image)],
      nodes: [node('Resize', ['x', 'f'], ['y'])],
      initializers: [tensor('f', 'float32', [4], [1, 1, 1.6, 2.5])],
    },
  },
  {
    what: 'Resize down before the coordinate modes',
    opset: 10,
    kinds: ['Resize'],
    spec: {
      inputs: [x([1, 1, 8, 8])],
      nodes: [node('Resize', ['x', 'f'], ['y'])],
      initializers: [tensor('f', 'float32', [4], [1, 1, 0.6, 0.45])],
    },
  },
  {
    what: 'Resize up and down at once',
    opset: 10,
    kinds: ['Resize', 'Resize'],
    spec: {
      inputs: [x([1, 1, 8, 8])],
      nodes: [node('Resize', ['x', 'f'], ['y'])],
      initializers: [tensor('f', 'float32', [4], [1, 1, 0.6, 2])],
    },
  },
  {
    what: 'Dropout',
    opset: 7,
    kinds: ['Relu'],
    spec: {
      inputs: [x([2, 3])],
      nodes: [node('Dropout', ['x'], ['d'], float('ratio', 0.9)), node('Relu', ['d'], ['y'])],
    },
  },
  {
    what: 'BatchNormalization',
    opset: 8,
    kinds: ['BatchNormalization'],
    spec: {
      inputs: [x(image)],
      nodes: [node('BatchNormalization', ['x', 'a', 'b', 'm', 'v'], ['y'], int('spatial', 1))],
      initializers: [
        tensor('a', 'float32', [2], [1, -2]),
        tensor('b', 'float32', [2], [0, 3]),
        tensor('m', 'float32', [2], [1, 0]),
        tensor('v', 'float32', [2], [2, 0.5]),
      ],
    },
  },
  {
    what: 'Sum and Mean of three',
    opset: 8,
    kinds: ['Binary', 'Binary', 'Binary', 'Binary', 'Binary'],
    spec: {
      inputs: [x([2, 3]), input('z', 'float32', [3]), input('w', 'float32', [2, 1])],
      nodes: [node('Sum', ['x', 'z', 'w'], ['s']), node('Mean', ['s', 'z', 'w'], ['y'])],
    },
  },
  {
    what: 'Gemm with a broadcast C',
    opset: 9,
    kinds: ['Gemm'],
    spec: {
      inputs: [x([2, 3])],
      nodes: [node('Gemm', ['x', 'w', 'c'], ['y'], int('transB', 1), float('alpha', 0.5), float('beta', 2))],
      initializers: [
        tensor(
          'w',
          'float32',
          [4, 3],
          Array.from({ length: 12 }, (_, i) => i - 6),
        ),
        tensor('c', 'float32', [2, 1], [3, 4]),
      ],
    },
  },
  // windows
  ...['SAME_UPPER', 'SAME_LOWER', 'VALID'].flatMap((mode): Case[] => [
    {
      what: `Conv with auto_pad ${mode}`,
      opset: 11,
      kinds: ['Conv'],
      spec: {
        inputs: [x([1, 2, 6, 7])],
        nodes: [
          node(
            'Conv',
            ['x', 'w'],
            ['y'],
            string('auto_pad', mode),
            ints('strides', [2, 2]),
            ints('dilations', mode === 'VALID' ? [2, 1] : [1, 1]),
          ),
        ],
        initializers: [
          tensor(
            'w',
            'float32',
            [2, 2, 2, 3],
            Array.from({ length: 24 }, (_, i) => (i % 7) - 3),
          ),
        ],
      },
    },
    {
      what: `MaxPool with auto_pad ${mode}`,
      opset: 11,
      kinds: ['MaxPool'],
      spec: {
        inputs: [x([1, 2, 6, 7])],
        nodes: [
          node(
            'MaxPool',
            ['x'],
            ['y'],
            string('auto_pad', mode),
            ints('strides', [2, 3]),
            ints('kernel_shape', [3, 2]),
          ),
        ],
      },
    },
    {
      what: `AveragePool with auto_pad ${mode}`,
      opset: 11,
      kinds: ['AveragePool'],
      spec: {
        inputs: [x([1, 2, 6, 7])],
        nodes: [
          node(
            'AveragePool',
            ['x'],
            ['y'],
            string('auto_pad', mode),
            ints('strides', [2, 3]),
            ints('kernel_shape', [3, 2]),
          ),
        ],
      },
    },
    {
      what: `ConvTranspose with auto_pad ${mode}`,
      opset: 11,
      kinds: ['ConvTranspose'],
      spec: {
        inputs: [x([1, 2, 3, 4])],
        nodes: [node('ConvTranspose', ['x', 'w'], ['y'], string('auto_pad', mode), ints('strides', [2, 2]))],
        initializers: [
          tensor(
            'w',
            'float32',
            [2, 2, 3, 3],
            Array.from({ length: 36 }, (_, i) => (i % 7) - 3),
          ),
        ],
      },
    },
  ]),
  ...[
    [9, 12],
    [6, 9],
    [8, 10],
  ].map(
    (shape): Case => ({
      what: `ConvTranspose with output_shape ${shape}`,
      opset: 11,
      kinds: ['ConvTranspose'],
      spec: {
        inputs: [x([1, 2, 3, 4])],
        nodes: [
          node('ConvTranspose', ['x', 'w'], ['y'], ints('output_shape', shape), ints('strides', [3, 3])),
        ],
        initializers: [
          tensor(
            'w',
            'float32',
            [2, 1, 3, 3],
            Array.from({ length: 18 }, (_, i) => (i % 7) - 3),
          ),
        ],
      },
    }),
  ),
  {
    what: 'Conv in groups, one dimension',
    opset: 13,
    kinds: ['Conv'],
    spec: {
      inputs: [x([2, 4, 9])],
      nodes: [
        node('Conv', ['x', 'w', 'b'], ['y'], int('group', 2), ints('pads', [2, 1]), ints('dilations', [2])),
      ],
      initializers: [
        tensor(
          'w',
          'float32',
          [2, 2, 3],
          Array.from({ length: 12 }, (_, i) => i - 4),
        ),
        tensor('b', 'float32', [2], [1, -1]),
      ],
    },
  },
  {
    what: 'Conv in three dimensions is carried',
    opset: 13,
    kinds: ['Opaque Conv'],
    spec: {
      inputs: [x([1, 1, 4, 4, 4])],
      nodes: [node('Conv', ['x', 'w'], ['y'])],
      initializers: [tensor('w', 'float32', [1, 1, 2, 2, 2], [1, 2, 3, 4, 5, 6, 7, 8])],
    },
  },
  ...[11, 19].flatMap((opset) =>
    [0, 1].map(
      (counted): Case => ({
        what: `AveragePool rounding up${counted ? ', padding counted' : ''}`,
        opset,
        kinds: ['AveragePool'],
        spec: {
          inputs: [x([1, 1, 6, 7])],
          nodes: [
            node(
              'AveragePool',
              ['x'],
              ['y'],
              ints('kernel_shape', [3, 3]),
              ints('strides', [2, 2]),
              ints('pads', [1, 1, 1, 1]),
              int('ceil_mode', 1),
              int('count_include_pad', counted),
            ),
          ],
        },
      }),
    ),
  ),
  ...['half_pixel', 'pytorch_half_pixel', 'align_corners', 'asymmetric'].flatMap((coordinates) =>
    ['nearest', 'linear', 'cubic'].map(
      (mode): Case => ({
        what: `Resize, ${mode}, ${coordinates}`,
        opset: 13,
        kinds: ['Resize'],
        spec: {
          inputs: [x([1, 2, 8, 9])],
          nodes: [
            node(
              'Resize',
              ['x', '', 'f'],
              ['y'],
              string('mode', mode),
              string('coordinate_transformation_mode', coordinates),
            ),
          ],
          initializers: [tensor('f', 'float32', [4], [1, 1, 1.6, 0.45])],
        },
      }),
    ),
  ),
  {
    what: 'MaxPool rounding up',
    opset: 12,
    kinds: ['MaxPool'],
    spec: {
      inputs: [x([1, 1, 5, 6])],
      nodes: [
        node(
          'MaxPool',
          ['x'],
          ['y'],
          ints('kernel_shape', [2, 2]),
          ints('strides', [2, 2]),
          int('ceil_mode', 1),
        ),
      ],
    },
  },
  {
    what: 'MaxPool whose indices are used is carried',
    opset: 12,
    kinds: ['Opaque MaxPool'],
    spec: {
      inputs: [x([1, 1, 4, 4])],
      nodes: [node('MaxPool', ['x'], ['y', 'i'], ints('kernel_shape', [2, 2]))],
      outputs: ['y', 'i'],
    },
  },
]

describe('each operator set’s spelling means the same after reading and writing', () => {
  for (const { what, opset, kinds, spec } of cases)
    it(`${what}, operator set ${opset}`, async () => {
      const result = await roundTrip(modelOf({ outputs: ['y'], ...spec, opset }))
      assertSame(result)
      assert.deepEqual(result.kinds, kinds)
    })
})
