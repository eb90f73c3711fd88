/** Exit codes of the command line, by what kind of thing went wrong. */
export const exitCodes = {
  ok: 0,
  internal: 1,
  usage: 2,
  input: 3,
  device: 4,
  gate: 10,
  inconclusive: 11,
  interrupted: 130,
} as const

export type ErrorKind = Exclude<keyof typeof exitCodes, 'ok'>

/**
 * The one catalogue of error codes. A code names what went wrong, never where; it is stable once published.
 * The kind decides the exit status.
 */
export const errorCatalogue = {
  INTERNAL: 'internal',
  USAGE: 'usage',
  INTERRUPTED: 'interrupted',
  // model files
  MODEL_NOT_FOUND: 'input',
  MODEL_FORMAT_UNKNOWN: 'input',
  MODEL_FORMAT_UNSUPPORTED: 'input',
  MODEL_BROKEN: 'input',
  MODEL_TOO_LARGE: 'input',
  MODEL_EXTERNAL_DATA: 'input',
  MODEL_OPSET_UNSUPPORTED: 'input',
  MODEL_SIGNATURE: 'input',
  MODEL_SHAPE_MISSING: 'input',
  MODEL_SHAPE_INVALID: 'input',
  MODEL_NAN_WEIGHTS: 'input',
  GRAPH_INVALID: 'input',
  OPERATOR_UNSUPPORTED: 'input',
  TARGET_CANNOT_RUN: 'input',
  // data, recipes, profiles, artifacts
  DATA_NOT_FOUND: 'input',
  DATA_EMPTY: 'input',
  DATA_BROKEN: 'input',
  DATA_SHAPE: 'input',
  DATA_LABELS: 'input',
  RECIPE_INVALID: 'input',
  CONFIG_INVALID: 'input',
  PROFILE_INVALID: 'input',
  PROFILE_UNKNOWN: 'input',
  TARGET_UNKNOWN: 'input',
  ARTIFACT_INVALID: 'input',
  ARTIFACT_NOT_FOUND: 'input',
  // devices
  DEVICE_UNKNOWN: 'device',
  DEVICE_UNREACHABLE: 'device',
  DEVICE_AUTH: 'device',
  DEVICE_HOST_KEY_UNKNOWN: 'device',
  DEVICE_HOST_KEY_CHANGED: 'device',
  DEVICE_LOST: 'device',
  DEVICE_TIMEOUT: 'device',
  DEVICE_BUSY: 'device',
  DEVICE_DISK_FULL: 'device',
  DEVICE_COMMAND_FAILED: 'device',
  DEVICE_UNSUPPORTED: 'device',
  DEVICE_ANSWER_INVALID: 'device',
  RUNTIME_MISSING: 'device',
  RUNNER_FAILED: 'device',
  /** A power meter that is not there, does not answer, or answers nonsense. */
  METER_FAILED: 'device',
  /** A meter whose supply or range would harm the board or itself. */
  METER_REFUSED: 'device',
  /** The board did not come down to the temperature that was asked for. */
  DEVICE_NOT_READY: 'device',
  /** A deployed artifact did not give the host's outputs; the release before is current. */
  RELEASE_NOT_VERIFIED: 'device',
  /** trtexec did not build or run an engine. */
  ENGINE_FAILED: 'device',
  RELEASE_NOT_FOUND: 'input',
  BASELINE_INVALID: 'input',
  /** A loss became infinite or no number. */
  TRAINING_DIVERGED: 'input',
  /** A checkpoint is damaged, or of another training. */
  CHECKPOINT_INVALID: 'input',
  /** The disk is full, or the folder may not be written. */
  CHECKPOINT_NOT_WRITTEN: 'input',
  RUN_NOT_FOUND: 'input',
  STORE_BROKEN: 'internal',
  // gates
  GATE_FAILED: 'gate',
  ACCURACY_LIMIT: 'gate',
  GATE_INCONCLUSIVE: 'inconclusive',
} as const satisfies Record<string, ErrorKind>

export type ErrorCode = keyof typeof errorCatalogue

export interface ErrorDetails {
  /** File, operator, tensor, option or device the error is about. */
  where?: string
  /** What was seen there. */
  saw?: string
  /** What the user can do about it. */
  hint?: string
  cause?: unknown
}

/** Every error a user can meet: a stable code, one sentence, where, what was seen, and what to do. */
export class EdgewrightError extends Error {
  readonly code: ErrorCode
  readonly where: string | undefined
  readonly saw: string | undefined
  readonly hint: string | undefined

  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause })
    this.name = 'EdgewrightError'
    this.code = code
    this.where = details.where
    this.saw = details.saw
    this.hint = details.hint
  }

  get kind(): ErrorKind {
    return errorCatalogue[this.code]
  }

  get exitCode(): number {
    return exitCodes[this.kind]
  }

  toJSON(): { code: ErrorCode; message: string; where?: string; saw?: string; hint?: string } {
    return { code: this.code, message: this.message, where: this.where, saw: this.saw, hint: this.hint }
  }
}

/** What an unknown throw becomes at the edge: ours as it is, anything else an INTERNAL. */
export function toEdgewrightError(error: unknown): EdgewrightError {
  if (error instanceof EdgewrightError) return error
  if (error instanceof Error && error.name === 'AbortError')
    return new EdgewrightError('INTERRUPTED', 'Interrupted.', { cause: error })
  const message = error instanceof Error ? error.message : String(error)
  return new EdgewrightError('INTERNAL', `Internal error: ${message}`, {
    cause: error,
    hint: 'This is a defect of Edgewright. Run again with EDGEWRIGHT_DEBUG=1 for the stack and report it.',
  })
}
