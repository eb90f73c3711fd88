import { sha256 } from '../../digest.ts'
import { formatVersion } from '../../measure/trtexec/version.ts'
import type { BoardTensorRt } from './find.ts'

/**
 * Names an engine in the board's cache. Tactics are chosen by timing them, so the power mode is part of it, as are the
 * GPU, the release of TensorRT, and every option.
 *
 * @param command of the build, with placeholders for what is a path of one run
 */
export function engineKey(
  modelSha256: string,
  board: Pick<BoardTensorRt, 'trtexec' | 'gpu' | 'powerMode' | 'l4t'>,
  command: readonly string[],
): string {
  const parts = [
    modelSha256,
    formatVersion(board.trtexec.version),
    board.gpu,
    board.l4t ?? '',
    board.powerMode?.name ?? '',
    // the program's own path says nothing of what it makes
    ...command.slice(1),
  ]
  return sha256(Buffer.from(JSON.stringify(parts))).slice(0, 32)
}
