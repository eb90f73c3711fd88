import type { Evaluator } from '../../execute/evaluator.ts'
import { GraphEditor } from '../../graph/edit.ts'
import type { Graph } from '../../graph/types.ts'
import type { GramProduct } from '../../quantize/gram.ts'
import { executeGraph } from '../execute-graph.ts'

/** Gram matrices computed by ONNX Runtime, many times faster than by loops. */
export class GramProducts {
  readonly #sessions = new Map<string, Promise<Evaluator>>()

  readonly of: GramProduct = async (rows, count, width) => {
    const key = `${count} ${width}`
    const opened = this.#sessions.get(key) ?? executeGraph(productGraph(count, width))
    this.#sessions.set(key, opened)
    const session = await opened
    const tensor = { dtype: 'float32', shape: [count, width], data: rows } as const
    const results = await session.run(new Map([['rows', tensor]]))
    return results.get('product')!.data as Float32Array
  }

  async close(): Promise<void> {
    for (const session of this.#sessions.values()) await (await session).close()
  }
}

function productGraph(count: number, width: number): Graph {
  const editor = GraphEditor.empty('gram')
  editor.addInput('rows', { dtype: 'float32', shape: [count, width], quantization: null })
  editor.addNode({
    name: 'product',
    op: { kind: 'Gemm', alpha: 1, beta: 1, transA: true, transB: false },
    inputs: ['rows', 'rows'],
    outputs: [{ name: 'product', type: { dtype: 'float32', shape: [width, width], quantization: null } }],
  })
  editor.outputs = ['product']
  return editor.finish()
}
