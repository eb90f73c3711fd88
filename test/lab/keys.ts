import { execFile } from 'node:child_process'
import { appendFileSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)

/** Makes a board's host key and its user's key in `folder`; returns the host key's fingerprint. */
export async function makeKeys(folder: string): Promise<{ fingerprint: string }> {
  const make = (name: string, comment: string) =>
    run('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', comment, '-f', join(folder, name)])
  await Promise.all([make('host_key', 'board'), make('identity', 'lab')])
  const { stdout } = await run('ssh-keygen', ['-l', '-f', join(folder, 'host_key.pub')])
  return { fingerprint: stdout.split(' ')[1]! }
}

/** Lets OpenSSH's and our own client know the board's key under this port. */
export function trustHostKey(folder: string, port: number): void {
  const [type, key] = readFileSync(join(folder, 'host_key.pub'), 'utf8').split(' ')
  appendFileSync(join(folder, 'known_hosts'), `[127.0.0.1]:${port} ${type} ${key}\n`)
}
