/**
 * Training needs a fast backend. TensorFlow's own library (`@tensorflow/tfjs-node`) is the fastest, where it is installed.
 * The WebAssembly backend needs no native code but lacks one kernel that training a Conv2D calls; here it is.
 */
import { createRequire } from 'node:module'
import { dirname } from 'node:path'
import * as tf from '@tensorflow/tfjs'
import { setWasmPaths } from '@tensorflow/tfjs-backend-wasm'

const require = createRequire(import.meta.url)

/** Makes the fastest backend that is installed the current one; returns its name. */
export async function useFastestBackend(): Promise<string> {
  if (!(await useNative())) await useWasm()
  return tf.getBackend()
}

async function useNative(): Promise<boolean> {
  const native = '@tensorflow/tfjs-node'
  try {
    // Registers itself as the backend `tensorflow` in the TensorFlow.js that is loaded already
    await import(native)
    return await tf.setBackend('tensorflow')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ERR_MODULE_NOT_FOUND')
      console.warn(
        `${native} is installed but does not start (${(error as Error).message}); using WebAssembly.`,
      )
    return false
  }
}

export async function useWasm(): Promise<void> {
  setWasmPaths(`${dirname(require.resolve('@tensorflow/tfjs-backend-wasm'))}/`)
  if (!tf.getKernel('Conv2DBackpropFilter', 'wasm')) tf.registerKernel(conv2DBackpropFilter)
  if (!(await tf.setBackend('wasm'))) throw new Error('The WebAssembly backend does not start.')
}

/** What kernels pass to each other: a tensor without the bookkeeping of `tf.Tensor`, freed by hand. */
type Info = tf.TensorInfo

/**
 * The gradient of a convolution by its filter is a convolution too: of the input by the gradient of the output, the
 * batch taking the place of the channels, strides and dilations exchanged.
 *
 *     dw[kh, kw, ci, co] = Σ over b, oh, ow of x[b, oh·stride + kh·dilation, ow·stride + kw·dilation, ci] · dy[b, oh, ow, co]
 */
const conv2DBackpropFilter: tf.KernelConfig = {
  kernelName: 'Conv2DBackpropFilter',
  backendName: 'wasm',
  kernelFunc({ inputs, attrs, backend }) {
    const { x, dy } = inputs as unknown as { x: Info; dy: Info }
    const memory = backend as tf.KernelBackend
    const { strides, pad, dimRoundingMode, filterShape } = attrs as unknown as tf.Conv2DBackpropFilterAttrs
    const shape4 = x.shape as [number, number, number, number]
    const conv = tf.backend_util.computeConv2DInfo(shape4, filterShape, strides, 1, pad, dimRoundingMode)
    const { top, bottom, left, right } = conv.padInfo
    const kernel = (name: string, operands: Record<string, Info>, attributes: object): Info =>
      tf.getKernel(name, 'wasm').kernelFunc({
        inputs: operands as never,
        attrs: attributes as never,
        backend,
      }) as Info

    const padded = kernel(
      'PadV2',
      { x },
      {
        paddings: [
          [0, 0],
          [top, bottom],
          [left, right],
          [0, 0],
        ],
        constantValue: 0,
      },
    )
    const image = kernel('Transpose', { x: padded }, { perm: [3, 1, 2, 0] })
    const filter = kernel('Transpose', { x: dy }, { perm: [1, 2, 0, 3] })
    const gradient = kernel(
      'Conv2D',
      { x: image, filter },
      { strides: 1, pad: 'valid', dataFormat: 'NHWC', dilations: [conv.strideHeight, conv.strideWidth] },
    )
    // Where the stride did not divide the input, the last rows met no filter
    const { filterHeight, filterWidth, inChannels, outChannels } = conv
    const size = [inChannels, filterHeight, filterWidth, outChannels]
    const exact = kernel('Slice', { x: gradient }, { begin: [0, 0, 0, 0], size })
    const result = kernel('Transpose', { x: exact }, { perm: [1, 2, 0, 3] })
    for (const { dataId } of [padded, image, filter, gradient, exact]) memory.disposeData(dataId)
    return result
  },
}
