import { add, put } from '../../litert/lower/build.ts'
import { maxMeanPlaces } from '../layer-limits.ts'
import { changed, declined, type Rewrite } from './rewrite.ts'

/** One axis after the other: the mean of means of equal parts. */
export const splitMean: Rewrite = {
  name: 'split-mean',
  sentence: 'A mean over many places becomes one over width, then one over height.',
  needs: null,
  apply(editor, node) {
    const { op } = node
    if (op.kind !== 'Reduce' || op.fn !== 'Mean') return null
    const { shape } = editor.type(node.inputs[0]!)
    const places = op.axes.reduce((count, axis) => count * shape[axis]!, 1)
    if (places <= maxMeanPlaces) return null
    const [outer, inner] = [op.axes.slice(0, -1), op.axes.at(-1)!]
    if (outer.length === 0) return declined('it is over one axis')
    const means = add(editor, node, { ...op, axes: [inner], keepDims: true }, [node.inputs[0]!], 'rows')
    if (op.keepDims) put(editor, node, { ...op, axes: outer }, [means])
    else {
      const rest = add(editor, node, { ...op, axes: outer, keepDims: true }, [means], 'columns')
      put(editor, node, { kind: 'Reshape', shape: editor.type(node.outputs[0]!).shape }, [rest])
    }
    return changed
  },
}
