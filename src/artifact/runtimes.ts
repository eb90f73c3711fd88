import { createHash } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { EdgewrightError } from '../error.ts'
import type { RuntimeNeed } from './manifest.ts'

/** One build of ONNX Runtime's shared library, as this computer can send it to a board. */
export interface RuntimeBuild {
  /** As `uname -m` says it. */
  readonly architecture: 'aarch64' | 'x86_64'
  readonly path: string
  readonly sha256: string
  readonly bytes: number
  /** Oldest glibc it loads with. */
  readonly glibc: string
  readonly version: string
}

/** The file name that is opened on the board. */
export const onnxRuntimeLibrary = 'libonnxruntime.so.1'

const architectures = { arm64: 'aarch64', x64: 'x86_64' } as const

let builds: readonly RuntimeBuild[] | undefined

/**
 * The Linux builds inside the installed `onnxruntime-node` package, arm64 and x64, with their digests (made once).
 *
 * @throws EdgewrightError RUNTIME_MISSING where the package is not installed or holds none
 */
export function onnxRuntimeBuilds(): readonly RuntimeBuild[] {
  builds ??= findBuilds()
  return builds
}

/** The build for a board, `architecture` as `uname -m` says it; undefined where there is none. */
export function onnxRuntimeBuild(architecture: string): RuntimeBuild | undefined {
  return onnxRuntimeBuilds().find((build) => build.architecture === architecture)
}

/** ONNX Runtime as a manifest names it. */
export function onnxRuntimeNeed(): RuntimeNeed {
  const found = onnxRuntimeBuilds()
  return {
    name: 'onnxruntime',
    version: found[0]!.version,
    library: onnxRuntimeLibrary,
    builds: found.map(({ architecture, sha256, bytes, glibc }) => ({ architecture, sha256, bytes, glibc })),
  }
}

function findBuilds(): RuntimeBuild[] {
  const { folder, version } = findPackage()
  const found: RuntimeBuild[] = []
  for (const [name, architecture] of Object.entries(architectures)) {
    const path = join(folder, 'bin', 'napi-v6', 'linux', name, onnxRuntimeLibrary)
    if (!existsSync(path)) continue
    const content = readFileSync(path)
    const sha256 = createHash('sha256').update(content).digest('hex')
    found.push({ architecture, path, sha256, bytes: content.byteLength, glibc: '2.28', version })
  }
  if (found.length > 0) return found
  throw new EdgewrightError(
    'RUNTIME_MISSING',
    'The onnxruntime-node package holds no Linux build of ONNX Runtime.',
    {
      where: folder,
      hint: 'Install it again: npm install onnxruntime-node',
    },
  )
}

function findPackage(): { folder: string; version: string } {
  try {
    const path = createRequire(import.meta.url).resolve('onnxruntime-node/package.json')
    const { version } = JSON.parse(readFileSync(path, 'utf8')) as { version: string }
    return { folder: dirname(path), version }
  } catch (cause) {
    throw new EdgewrightError('RUNTIME_MISSING', 'The onnxruntime-node package is not installed.', {
      hint: 'Run `npm install` where Edgewright is installed.',
      cause,
    })
  }
}
