/** What a kind of pruning brings on a runtime. */
export interface Profit {
  readonly profits: boolean
  readonly sentence: string
  readonly source: string
}

export type PruningKind = 'channels' | 'magnitude' | '2:4'

/** What a target makes of zeros: they are only worth something where the kernels skip them. */
export function profitOf(kind: PruningKind, target: string): Profit {
  if (kind === 'channels')
    return {
      profits: true,
      sentence: 'Every runtime profits: the layers themselves are smaller.',
      source: 'measured: test/lab, instruction counts',
    }
  if (kind === '2:4' && target === 'tensorrt')
    return {
      profits: true,
      sentence:
        'TensorRT profits on GPUs of compute capability 8.0 and later (Orin; not Nano, TX2 or Xavier) where the engine is built with --sparsity=enable.',
      source: 'TensorRT developer guide, "Structured Sparsity"',
    }
  return {
    profits: false,
    sentence:
      kind === '2:4'
        ? `${target} has no kernels for 2:4: the zeros are multiplied like any other weight, and the file keeps its size.`
        : `${target} has no kernels for scattered zeros in int8: they are multiplied like any other weight; only a compressed download of the file gets smaller.`,
    source:
      'operators of ONNX Runtime 1.30 (CPU provider) and of LiteRT with XNNPACK; Edge TPU model requirements',
  }
}
