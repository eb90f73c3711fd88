import { EdgewrightError } from '../../src/error.ts'
import type { RuntimeBuild } from '../target.ts'

/** Nothing is pushed: TensorRT belongs to the vendor's image, bound to the driver of the board, and trtexec to it. */
export async function runtimes(architecture: string): Promise<RuntimeBuild[]> {
  if (architecture === 'aarch64' || architecture === 'x86_64') return []
  throw new EdgewrightError('TARGET_CANNOT_RUN', `There is no TensorRT for ${architecture}.`, {
    saw: architecture,
    hint: 'TensorRT runs on 64-bit Arm (Jetson) and x86_64.',
  })
}
