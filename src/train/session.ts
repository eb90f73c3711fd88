import { createOnnxEvaluator } from '../execute/onnxruntime.ts'
import { EdgewrightError } from '../error.ts'
import { writeOnnx } from '../formats/onnx/write.ts'
import { elementCount, type Tensor } from '../tensor.ts'
import type { Program } from './program.ts'

export interface SessionOptions {
  /** Of ONNX Runtime; 1 by default. The same number gives the same result. */
  readonly threads?: number
  /** Values of state tensors by name; those not named begin as the program says. */
  readonly state?: ReadonlyMap<string, Float32Array>
  /** 0 and 1 in the shape of each parameter that the program masks. */
  readonly masks?: ReadonlyMap<string, Float32Array>
}

/** A program that runs, with its state. */
export interface TrainingSession {
  /** Runs one step. @returns the metrics of its batch, before the step */
  step(
    feeds: ReadonlyMap<string, Tensor>,
    learningRate: number,
    step: number,
  ): Promise<Readonly<Record<string, number>>>
  /** Copies of all state tensors by name. */
  state(): Map<string, Float32Array>
  setMasks(masks: ReadonlyMap<string, Float32Array>): void
  close(): Promise<void>
}

/** Loads a program into ONNX Runtime on this computer. Its state lives in two sets of buffers that take turns. */
export async function openSession(program: Program, options: SessionOptions = {}): Promise<TrainingSession> {
  const evaluator = await createOnnxEvaluator(writeOnnx(program.graph), {
    threads: options.threads ?? 1,
    // fake quantization must compute as it is written
    config: { 'session.disable_quant_qdq': '1' },
  })
  const moving = program.state.filter(({ name, next }) => name !== next)
  const buffersOf = () => moving.map(({ shape }) => float32(shape))
  let [current, following] = [buffersOf(), buffersOf()]
  moving.forEach(({ name, initial }, index) => {
    data(current[index]!).set(options.state?.get(name) ?? initial)
  })
  const still = program.state
    .filter(({ name, next }) => name === next)
    .map(({ name, shape, initial }) => [name, float32(shape, options.state?.get(name) ?? initial)] as const)
  const inputs = new Set(program.graph.inputs)
  const fed = new Map<string, Tensor>(still.filter(([name]) => inputs.has(name)))
  const setMasks = (masks: ReadonlyMap<string, Float32Array>) => {
    for (const [parameter, input] of program.masks) {
      const mask = masks.get(parameter) ?? new Float32Array(elementCount(shapeOf(program, input))).fill(1)
      fed.set(input, float32(shapeOf(program, input), mask))
    }
  }
  setMasks(options.masks ?? new Map())
  const results = new Map(Object.values(program.metrics).map((name) => [name, float32([])]))
  return {
    async step(feeds, learningRate, step) {
      const all = new Map([...fed, ...feeds])
      moving.forEach(({ name }, index) => {
        all.set(name, current[index]!)
      })
      all.set(program.learningRate, scalar(learningRate))
      for (const [name, value] of program.scalars(step)) all.set(name, scalar(value))
      const outputs = new Map(results)
      moving.forEach(({ next }, index) => {
        outputs.set(next, following[index]!)
      })
      await evaluator.runInto!(all, outputs)
      ;[current, following] = [following, current]
      return Object.fromEntries(
        Object.entries(program.metrics).map(([name, output]) => [name, Number(results.get(output)!.data[0])]),
      )
    },
    state: () =>
      new Map([
        ...moving.map(({ name }, index) => [name, data(current[index]!).slice()] as const),
        ...still.map(([name, tensor]) => [name, data(tensor).slice()] as const),
      ]),
    setMasks,
    close: () => evaluator.close(),
  }
}

function float32(
  shape: readonly number[],
  values: Float32Array = new Float32Array(elementCount(shape)),
): Tensor {
  if (values.length !== elementCount(shape))
    throw new EdgewrightError('INTERNAL', 'Internal error: a state tensor has another size.', {
      saw: `${values.length} elements for [${shape.join(', ')}]`,
    })
  return { dtype: 'float32', shape, data: values }
}

function scalar(value: number): Tensor {
  return { dtype: 'float32', shape: [], data: Float32Array.of(value) }
}

function data(tensor: Tensor): Float32Array {
  return tensor.data as Float32Array
}

function shapeOf({ graph }: Program, name: string): readonly number[] {
  return graph.values.get(name)!.type.shape
}
