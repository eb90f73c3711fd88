import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'
import { openConnection } from '../deploy/connect.ts'
import type { Connection } from '../deploy/types.ts'
import type { Progress } from '../progress.ts'
import type { ConnectionOptions } from './open-device.ts'

const edgetpuCompiler = 'edgetpu_compiler'

/**
 * Where Google's Edge TPU compiler runs: the computer that was named, this one where it is on PATH, or nowhere (null).
 * The caller closes the connection.
 */
export async function openCompilerHost(
  named: string | undefined,
  options: ConnectionOptions,
  progress: Progress,
): Promise<Connection | null> {
  if (named === undefined && !isOnPath(edgetpuCompiler)) return null
  return openConnection(named ?? 'local:', {
    identity: options.identity,
    hostKey: options.hostKey,
    knownHostsPath: options.knownHosts,
    prompt: options.askSecret,
    confirmHostKey: options.confirmHostKey,
    progress,
  })
}

function isOnPath(program: string): boolean {
  return (process.env['PATH'] ?? '').split(delimiter).some((folder) => {
    try {
      accessSync(join(folder, program), constants.X_OK)
      return folder !== ''
    } catch {
      return false
    }
  })
}
