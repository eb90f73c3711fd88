import { createOnnxEvaluator } from '../execute/onnxruntime.ts'
import { writeOnnx } from '../formats/onnx/write.ts'
import type { Tensor } from '../tensor.ts'
import { GraphBuilder } from './builder.ts'
import { gradientsOf } from './differentiate.ts'
import type { Loss } from './losses.ts'
import { initialValues, type Network } from './network.ts'

/** Gradients of a loss by the parameters of a network that stands still. */
export interface GradientSession {
  /** By name of a parameter. */
  run(feeds: ReadonlyMap<string, Tensor>): Promise<ReadonlyMap<string, Float32Array>>
  close(): Promise<void>
}

/** Loads forward and backward pass of a network with its initial values into ONNX Runtime on this computer. */
export async function openGradients(network: Network, loss: Loss, threads = 1): Promise<GradientSession> {
  const b = new GraphBuilder(network.graph, network.customGradients)
  const { loss: value } = loss(b, network)
  const trainable = network.parameters.filter((parameter) => parameter.trainable)
  const gradients = gradientsOf(
    b,
    value,
    trainable.map(({ name }) => name),
  )
  const graph = b.finish([...new Set(gradients.values())])
  const evaluator = await createOnnxEvaluator(writeOnnx(graph), {
    threads,
    config: { 'session.disable_quant_qdq': '1' },
  })
  const values = initialValues(network)
  const still = [...network.parameters, ...network.statistics].map(
    ({ name, shape }) =>
      [name, { dtype: 'float32', shape, data: values.get(name)! } satisfies Tensor] as const,
  )
  return {
    async run(feeds) {
      const results = await evaluator.run(new Map([...still, ...feeds]))
      return new Map(
        [...gradients].map(([name, output]) => [name, results.get(output)!.data as Float32Array]),
      )
    },
    close: () => evaluator.close(),
  }
}
