import { createOnnxEvaluator } from '../../../src/execute/onnxruntime.ts'
import { writeOnnx } from '../../../src/formats/onnx/write.ts'
import { elementCount, type Tensor } from '../../../src/tensor.ts'
import { GraphBuilder } from '../../../src/train/builder.ts'
import { gradientsOf } from '../../../src/train/differentiate.ts'

export interface Point {
  readonly shape: readonly number[]
  readonly data: ArrayLike<number>
}

/** Gradients of Σ output by each input at one point, by ONNX Runtime; zeros where none comes to it. */
export async function gradientsAt(
  points: readonly Point[],
  build: (b: GraphBuilder, ...inputs: string[]) => string,
  threads = 1,
): Promise<Float32Array[]> {
  const b = GraphBuilder.empty('point')
  const names = points.map(({ shape }, index) => b.input(`input_${index}`, shape))
  const loss = b.reduceAll('Sum', build(b, ...names))
  const gradients = gradientsOf(b, loss, names)
  const evaluator = await createOnnxEvaluator(writeOnnx(b.finish([loss, ...gradients.values()])), { threads })
  try {
    const feeds = points.map(({ shape, data }, index): [string, Tensor] => [
      names[index]!,
      { dtype: 'float32', shape, data: Float32Array.from(data) },
    ])
    const results = await evaluator.run(new Map(feeds))
    return names.map((name, index) => {
      const gradient = gradients.get(name)
      return gradient === undefined
        ? new Float32Array(elementCount(points[index]!.shape))
        : (results.get(gradient)!.data as Float32Array)
    })
  } finally {
    await evaluator.close()
  }
}

/** A row of numbers. */
export function row(...data: number[]): Point {
  return { shape: [data.length], data }
}
