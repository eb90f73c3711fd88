import { deployArtifact } from '../deploy/release.ts'
import type { Progress } from '../progress.ts'
import { readArtifact } from '../artifact/folder.ts'
import { type ConnectionOptions, openBoard } from './open-device.ts'

export interface DeployRequest {
  readonly artifact: string
  readonly device: string
  /** Undefined: the artifact's own name. */
  readonly name: string | undefined
  readonly connection: ConnectionOptions
}

/** A release as the command line tells of it. */
export interface Deployed {
  readonly device: string
  readonly name: string
  readonly number: number
  readonly path: string
  readonly currentPath: string
  readonly model: string
  readonly sentBytes: number
  readonly alreadyThere: boolean
}

/** Puts an artifact on a board, whole or not at all. */
export async function deployTo(request: DeployRequest, progress: Progress): Promise<Deployed> {
  const manifest = await readArtifact(request.artifact)
  const board = await openBoard(request.device, undefined, request.connection, progress)
  const { device } = board
  try {
    progress.stage('deploy', device.name)
    const release = await deployArtifact(device, request.artifact, {
      name: request.name ?? manifest.name,
      progress,
    })
    return {
      device: device.name,
      name: release.name,
      number: release.number,
      path: release.path,
      currentPath: release.currentPath,
      model: manifest.model,
      sentBytes: release.sentBytes,
      alreadyThere: release.alreadyThere,
    }
  } finally {
    await board.close()
  }
}
