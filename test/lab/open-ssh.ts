import { execFile } from 'node:child_process'
import { join } from 'node:path'
import type { SshResult } from './board.ts'

/** Options that make OpenSSH's clients use the board's keys and nothing of the person who runs the tests. */
export function openSshOptions(folder: string): string[] {
  const options = [
    `IdentityFile=${join(folder, 'identity')}`,
    'IdentitiesOnly=yes',
    'IdentityAgent=none',
    `UserKnownHostsFile=${join(folder, 'known_hosts')}`,
    'GlobalKnownHostsFile=/dev/null',
    'StrictHostKeyChecking=yes',
    'BatchMode=yes',
    'ConnectTimeout=20',
    'LogLevel=ERROR',
  ]
  return ['-F', '/dev/null', ...options.flatMap((option) => ['-o', option])]
}

/** Runs one command line on the board through OpenSSH's ssh. */
export function openSsh(
  options: readonly string[],
  port: number,
  command: string,
  deadlineMs: number,
): Promise<SshResult> {
  return new Promise((resolve) => {
    execFile(
      'ssh',
      [...options, '-p', String(port), 'pi@127.0.0.1', command],
      { timeout: deadlineMs, maxBuffer: 64 << 20 },
      (error, stdout, stderr) => {
        const code = error === null ? 0 : typeof error.code === 'number' ? error.code : null
        resolve({ exitCode: code, stdout, stderr })
      },
    )
  })
}
