import { readArtifact } from '../artifact/folder.ts'
import { deployArtifact } from '../deploy/release.ts'
import { EdgewrightError } from '../error.ts'
import type { Progress } from '../progress.ts'
import { type ConnectionOptions, openBoard } from './open-device.ts'
import { type Verification, verifyRelease } from './verify-release.ts'

export interface DeployRequest {
  readonly artifact: string
  readonly device: string
  /** Undefined: the artifact's own name. */
  readonly name: string | undefined
  /** Quantization steps that board and host may lie apart; null: not verified. */
  readonly verifySteps: number | null
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
  /** Null where it was not asked for, or the release was current already. */
  readonly verified: Verification | null
}

/** Puts an artifact on a board, whole and proved to compute what it computes here, or not at all. */
export async function deployTo(request: DeployRequest, progress: Progress): Promise<Deployed> {
  const manifest = await readArtifact(request.artifact)
  const { verifySteps } = request
  if (verifySteps !== null && manifest.prepare)
    throw new EdgewrightError(
      'USAGE',
      'This artifact is built on the board and cannot be verified at deploy.',
      {
        where: request.artifact,
        hint: 'Deploy it with --no-verify; edgewright bench builds and measures it.',
      },
    )
  const board = await openBoard(request.device, undefined, request.connection, progress)
  const { device } = board
  try {
    progress.stage('deploy', device.name)
    let verified: Verification | null = null
    const release = await deployArtifact(device, request.artifact, {
      name: request.name ?? manifest.name,
      progress,
      ...(verifySteps === null
        ? {}
        : {
            verify: async (installed) => {
              verified = await verifyRelease(
                board,
                request.artifact,
                manifest,
                installed,
                verifySteps,
                progress,
              )
            },
          }),
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
      verified,
    }
  } finally {
    await board.close()
  }
}
