import { EdgewrightError } from '../error.ts'
import { lastLine, printable } from './printable.ts'
import type { Device, ExecOptions } from './types.ts'

/**
 * Runs one of our scripts on a board and gives its answer as lines of words. The script's body becomes a function that
 * is called at its very end: a link cut while the script is sent runs nothing of it.
 */
export async function remoteScript(
  device: Device,
  what: string,
  body: string,
  args: readonly string[],
  options: Omit<ExecOptions, 'stdin'> = {},
): Promise<string[][]> {
  const result = await device.connection.script(
    `set -u\numask 022\nmain() {\n${body}\n}\nmain "$@" </dev/null\n`,
    args,
    {
      maxOutputBytes: 256 * 1024,
      ...options,
    },
  )
  if (result.exitCode !== 0 || result.truncated)
    throw scriptFailed(device, what, result.stderr, result.exitCode)
  return result.stdout
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => printable(line, 1000).split(' '))
}

function scriptFailed(
  device: Device,
  what: string,
  stderr: string,
  exitCode: number | null,
): EdgewrightError {
  const full = /no space left|disk quota exceeded/i.test(stderr)
  return new EdgewrightError(
    full ? 'DEVICE_DISK_FULL' : 'DEVICE_COMMAND_FAILED',
    full ? `The disk of ${device.name} is full.` : `${device.name}: ${what} failed.`,
    {
      where: device.root,
      saw: lastLine(stderr) || `exit code ${exitCode}`,
      hint: full
        ? 'Free some space on the board, or give another --root.'
        : 'Check that the folder may be written by this user, or give another --root.',
    },
  )
}

/** A line's word that must be there and be a whole number. */
export function wholeNumber(device: Device, word: string | undefined): number {
  if (word !== undefined && /^\d{1,15}$/.test(word)) return Number(word)
  throw new EdgewrightError('DEVICE_ANSWER_INVALID', `${device.name} gave an answer that makes no sense.`, {
    where: device.name,
    saw: printable(word ?? 'nothing'),
  })
}
