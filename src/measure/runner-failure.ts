import { EdgewrightError, type ErrorCode } from '../error.ts'
import type { RunEnd } from './collect.ts'

/** Exit statuses of the runner (runner/version.h). */
export const runnerStatus = {
  ok: 0,
  usage: 2,
  plan: 3,
  failed: 4,
  interrupted: 5,
  events: 6,
  diskFull: 7,
} as const

const known: Record<string, { code: ErrorCode; message: string; hint?: string }> = {
  LIBRARY_OPEN: {
    code: 'RUNTIME_MISSING',
    message: 'The board cannot open the runtime library.',
    hint: 'ONNX Runtime needs glibc 2.28 or newer, LiteRT on arm64 2.34; both need libstdc++6 (apt install libstdc++6).',
  },
  LIBRARY_VERSION: { code: 'RUNTIME_MISSING', message: 'The runtime library is too old for the runner.' },
  MODEL_LOAD: { code: 'RUNNER_FAILED', message: 'The runtime refused the model.' },
  RUN_FAILED: { code: 'RUNNER_FAILED', message: 'The runtime failed while it ran the model.' },
  INPUT_SHAPE: { code: 'MODEL_SHAPE_INVALID', message: 'The input shape asked for does not fit the model.' },
  INPUT_FILE: { code: 'RUNNER_FAILED', message: 'The board could not read an input file as planned.' },
  PROFILE_FAILED: { code: 'RUNNER_FAILED', message: 'The runtime gave no operator times.' },
  DELEGATE_OPEN: {
    code: 'RUNTIME_MISSING',
    message: 'The board cannot open the delegate’s library.',
    hint: 'For an Edge TPU install libedgetpu1-std on the board.',
  },
  DELEGATE_DEVICE: {
    code: 'DEVICE_UNSUPPORTED',
    message: 'The board sees no Edge TPU.',
    hint: 'Check that it is plugged in, that the user may use it (group plugdev or apex), and that no other program holds it.',
  },
  DELEGATE_FAILED: { code: 'RUNNER_FAILED', message: 'The delegate could not be used.' },
  OUT_OF_MEMORY: { code: 'RUNNER_FAILED', message: 'The board ran out of memory.' },
  AFFINITY: {
    code: 'RUNNER_FAILED',
    message: 'The board does not have the CPUs that the run was to be pinned to.',
    hint: 'Leave the affinity out, or name CPUs that are online.',
  },
  DISK_FULL: {
    code: 'DEVICE_DISK_FULL',
    message: 'The board’s disk is full.',
    hint: 'Free some space on the board; old runs and releases are under its Edgewright folder.',
  },
}

/**
 * The error that an ended run stands for, or null where it is complete.
 *
 * @param exitStatus of the runner's process where it is known; null where it ended by a signal or is not known.
 */
export function runnerFailure(
  end: RunEnd,
  where: string,
  exitStatus: number | null = null,
): EdgewrightError | null {
  if (end.state === 'complete') return null
  if (exitStatus === runnerStatus.diskFull && end.state === 'unfinished')
    return fromCode('DISK_FULL', 'no room for the run’s own results', where)
  if (end.state === 'failed') return fromCode(end.code, end.message, where)
  if (end.state === 'interrupted')
    return new EdgewrightError('RUNNER_FAILED', 'The run was stopped on the board.', {
      where,
      saw: end.message,
      hint: 'Something there sent it SIGTERM: a shutdown, a supervisor, or another user.',
    })
  return new EdgewrightError('RUNNER_FAILED', 'The runner ended without a last word.', {
    where,
    saw: exitStatus === null ? 'no end in its results' : `exit status ${exitStatus}`,
    hint: 'It was killed or crashed: look for the kernel’s out-of-memory killer in `dmesg`, or an instruction that the CPU lacks.',
  })
}

function fromCode(code: string, saw: string, where: string): EdgewrightError {
  const entry = known[code] ?? {
    code: 'RUNNER_FAILED' as const,
    message: `The run failed on the board (${code}).`,
  }
  return new EdgewrightError(entry.code, entry.message, { where, saw, hint: entry.hint })
}
