import { EdgewrightError, type ErrorCode } from '../error.ts'
import { printable } from './printable.ts'

/** A release, run or file name on a board: letters, digits, dot, dash, underscore; never hidden, never a path. */
export function checkName(name: string, what: string, code: ErrorCode = 'USAGE'): string {
  if (/^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$/.test(name)) return name
  throw new EdgewrightError(code, `"${printable(name)}" cannot be ${what}.`, {
    where: printable(name),
    hint: 'Use letters, digits, dot, dash and underscore, not starting with a dot or dash.',
  })
}

/** A file's path inside a release: names joined by slashes. */
export function checkRelativePath(path: string): string {
  if (path.length > 512)
    throw new EdgewrightError('ARTIFACT_INVALID', 'A path in the artifact is too long.', {
      where: printable(path),
    })
  for (const part of path.split('/')) checkName(part, 'part of a path in an artifact', 'ARTIFACT_INVALID')
  return path
}

export function checkDigest(sha256: string): string {
  if (/^[0-9a-f]{64}$/.test(sha256)) return sha256
  throw new EdgewrightError('ARTIFACT_INVALID', 'A digest is not a sha256 in lower-case hex.', {
    saw: printable(sha256),
  })
}

/** An absolute folder on a board, as the user or the board gave it. */
export function checkAbsoluteFolder(path: string, what: string, code: ErrorCode): string {
  const trimmed = path.length > 1 ? path.replace(/\/+$/, '') : path
  const fine =
    trimmed.startsWith('/') &&
    trimmed.length > 1 &&
    trimmed.length <= 512 &&
    !/[\u0000-\u001f\u007f]/.test(trimmed) &&
    !trimmed.split('/').includes('..')
  if (fine) return trimmed
  throw new EdgewrightError(code, `${what} is not an absolute folder.`, {
    saw: printable(path),
    hint: 'Give one with --root, e.g. --root /home/pi/edgewright.',
  })
}
