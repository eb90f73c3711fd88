import type { Evaluator } from '../execute/evaluator.ts'
import { createOnnxEvaluator } from '../execute/onnxruntime.ts'
import { EdgewrightError } from '../error.ts'
import { writeOnnx } from '../formats/onnx/write.ts'
import { GraphEditor } from '../graph/edit.ts'
import type { Graph } from '../graph/types.ts'
import { convertLayout } from '../passes/layout.ts'
import type { Batch, BatchSource } from '../train/batches.ts'
import { teacherInput } from '../train/losses.ts'
import { rebatch } from '../train/rebatch.ts'
import type { Tensor } from '../tensor.ts'

/** A value of a teacher and the data input of the program that it feeds. */
export interface TaughtValue {
  readonly value: string
  /** Name that the loss knows it by. */
  readonly name: string
  readonly shape: readonly number[]
}

export interface Teacher {
  feeds(batch: Batch): Promise<Map<string, Tensor>>
  close(): Promise<void>
}

/** @param shape of each value in a batch, as the program's input has it: the teacher's may have axes of size 1 besides */
export async function openTeacher(
  graph: Graph,
  batchSize: number,
  values: readonly TaughtValue[],
  threads: number,
): Promise<Teacher> {
  // inner values are compared in the layout that training computes in
  const editor = new GraphEditor(convertLayout(rebatch(graph, batchSize), 'channels-first'))
  editor.outputs = [...new Set(values.map(({ value }) => value))]
  const evaluator: Evaluator = await createOnnxEvaluator(writeOnnx(editor.finish()), { threads })
  const inputs = evaluator.inputs.map(({ name }) => name)
  return {
    async feeds(batch) {
      const given = new Map(inputs.map((name) => [name, inputOf(batch, name)]))
      const results = await evaluator.run(given)
      return new Map(
        values.map(({ value, name, shape }) => {
          const tensor = results.get(value)!
          return [teacherInput(name), { ...tensor, shape }] as const
        }),
      )
    },
    close: () => evaluator.close(),
  }
}

function inputOf({ feeds }: Batch, name: string): Tensor {
  const tensor = feeds.get(name)
  if (tensor) return tensor
  throw new EdgewrightError('DATA_SHAPE', 'The teacher takes another input than the network.', {
    where: name,
    saw: [...feeds.keys()].join(', '),
    hint: 'Teacher and network must have the same inputs, by name and shape.',
  })
}

/** The batches of a source with what a teacher says of each. */
export function taughtBatches(batches: BatchSource, teacher: Teacher): BatchSource {
  return {
    length: batches.length,
    batchSize: batches.batchSize,
    steps: batches.steps,
    async *epoch(epoch, fromStep, signal) {
      for await (const batch of batches.epoch(epoch, fromStep, signal))
        yield { ...batch, feeds: new Map([...batch.feeds, ...(await teacher.feeds(batch))]) }
    },
  }
}

/** The value behind a Softmax that ends the network at an output: its logits; the output itself where there is none. */
export function logitsValueOf(graph: Graph, output: string): string {
  const producers = new Map(graph.nodes.flatMap((node) => node.outputs.map((name) => [name, node] as const)))
  for (let name: string | null | undefined = output; name; ) {
    const node = producers.get(name)
    if (node?.op.kind === 'Softmax') return node.inputs[0]!
    name = node?.op.kind === 'Identity' || node?.op.kind === 'Reshape' ? node.inputs[0] : null
  }
  return output
}
