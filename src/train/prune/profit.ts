/** What a kind of pruning brings on a runtime. */
export interface Profit {
  /** False where every zero is stored and multiplied like any other weight. */
  readonly profits: boolean
  /** What it brings, or why nothing, and on what that depends. */
  readonly sentence: string
  /** What says so. */
  readonly source: string
}

export type PruningKind = 'channels' | 'magnitude' | '2:4'

/** Of the board, where it is known. */
export interface ProfitBoard {
  /** Of an NVIDIA GPU, as profiles write it: `8.7`. */
  readonly computeCapability?: string | undefined
}

/** What a target makes of zeros: they are only worth something where its kernels skip them. */
export function profitOf(kind: PruningKind, target: string, board: ProfitBoard = {}): Profit {
  if (kind === 'channels') return channels
  if (target === 'tensorrt' && kind === '2:4') return sparseTensorCores(board)
  return zeros[target]?.[kind] ?? unknown(target)
}

const channels: Profit = {
  profits: true,
  sentence: 'Every runtime profits: the layers themselves are smaller.',
  source: 'the shapes of the network: fewer multiply-adds, weights and activations for any kernel',
}

/** By target and kind, what is known of zeros that are scattered. */
const zeros: Readonly<Record<string, Readonly<Record<'magnitude' | '2:4', Profit>>>> = {
  onnxruntime: {
    magnitude: nothing(
      'ONNX Runtime multiplies zeros like any other weight: only a compressed download of the file gets smaller.',
      'neuralmagic/sparseml issues 1120 and 1529 (80 % zeros, no faster in ONNX Runtime)',
    ),
    '2:4': nothing(
      'The CPU kernels of ONNX Runtime do not know the 2:4 pattern: it takes sparse tensor cores.',
      'Mishra et al. 2021, arXiv 2104.08378; operators of the CPU provider',
    ),
  },
  litert: {
    magnitude: nothing(
      'The int8 kernels of LiteRT multiply zeros like any other weight; XNNPACK skips them only in float, in the 1×1 convolutions of sub-graphs from a 3×3 convolution of 3 channels to a mean, with two thirds or more of zeros and weights stored as sparse tensors, which Edgewright does not write.',
      'tensorflow/tensorflow tensorflow/lite/delegates/xnnpack/README.md, "Sparse Inference"',
    ),
    '2:4': nothing(
      'LiteRT has no kernels for 2:4: half of zeros is below the two thirds at which XNNPACK starts to skip any.',
      'tensorflow/tensorflow tensorflow/lite/delegates/xnnpack/README.md, "Sparse Inference"',
    ),
  },
  edgetpu: {
    magnitude: nothing(
      'The Edge TPU multiplies dense int8 matrices: zeros cost what other weights cost.',
      'coral.ai, "TensorFlow models on the Edge TPU": model requirements name no sparse tensors',
    ),
    '2:4': nothing(
      'The Edge TPU multiplies dense int8 matrices: zeros cost what other weights cost.',
      'coral.ai, "TensorFlow models on the Edge TPU": model requirements name no sparse tensors',
    ),
  },
  tensorrt: {
    magnitude: nothing(
      'TensorRT skips no scattered zeros, only the pattern 2:4.',
      'NVIDIA/TensorRT issue 3282, a maintainer: only 2:4 structure is supported',
    ),
    // asked with the GPU in mind
    '2:4': nothing('TensorRT takes 2:4 on GPUs with sparse tensor cores only.', 'NVIDIA/TensorRT issue 3282'),
  },
  'ethos-u': {
    magnitude: {
      profits: true,
      sentence:
        'The weights of an Ethos-U are compressed by Vela and decoded as they are read: zeros shorten the stream, which helps layers that wait for weights.',
      source:
        'Arm, "Benefit of pruning and clustering a neural network for before deploying on Arm Ethos-U NPU"',
    },
    '2:4': {
      profits: true,
      sentence:
        'The weights of an Ethos-U are compressed by Vela and decoded as they are read: half of zeros shorten the stream, wherever they stand.',
      source:
        'Arm, "Benefit of pruning and clustering a neural network for before deploying on Arm Ethos-U NPU"',
    },
  },
}

function sparseTensorCores({ computeCapability }: ProfitBoard): Profit {
  if (computeCapability !== undefined && Number(computeCapability) < 8)
    return nothing(
      `This GPU (compute capability ${computeCapability}) has no sparse tensor cores: those come with 8.0.`,
      'NVIDIA, "Accelerating Inference with Sparsity Using the NVIDIA Ampere Architecture and NVIDIA TensorRT"',
    )
  return {
    profits: true,
    sentence:
      'TensorRT can profit on GPUs of compute capability 8.0 and later (Orin; not Nano, TX2 or Xavier), in layers with some 256 channels or more on both sides (engines are built with --sparsity=enable there); from Q/DQ networks it has been seen to choose dense kernels all the same.',
    source:
      'NVIDIA, "Accelerating Inference with Sparsity Using the NVIDIA Ampere Architecture and NVIDIA TensorRT"; NVIDIA/TensorRT issues 3849, 4065 (from 256 channels) and 4694 (Q/DQ on Jetson)',
  }
}

function unknown(target: string): Profit {
  return nothing(
    `Nothing is known of kernels of ${target} that skip zeros: count on a smaller compressed file only.`,
    'no statement found',
  )
}

function nothing(sentence: string, source: string): Profit {
  return { profits: false, sentence, source }
}
