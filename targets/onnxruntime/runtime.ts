import { stat } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { sha256OfFile } from '../../src/digest.ts'
import { EdgewrightError } from '../../src/error.ts'
import type { RuntimeBuild } from '../target.ts'

const library = 'libonnxruntime.so.1'

/** Folder names of the onnxruntime-node package, and the glibc that its builds ask for. */
const builds: Readonly<Record<string, { folder: string; glibc: string }>> = {
  aarch64: { folder: 'arm64', glibc: '2.28' },
  x86_64: { folder: 'x64', glibc: '2.28' },
}

/** ONNX Runtime as the onnxruntime-node package carries it for Linux. */
export async function runtimes(architecture: string): Promise<RuntimeBuild[]> {
  const build = builds[architecture]
  if (!build)
    throw new EdgewrightError('TARGET_CANNOT_RUN', `There is no build of ONNX Runtime for ${architecture}.`, {
      saw: architecture,
      hint: `Builds exist for ${Object.keys(builds).join(' and ')}; a 32-bit system needs a 64-bit image.`,
    })
  const { version, folder } = installedPackage()
  const path = join(folder, 'bin', 'napi-v6', 'linux', build.folder, library)
  const bytes = await sizeOf(path)
  return [
    {
      need: {
        name: 'onnxruntime',
        version,
        library,
        builds: [{ architecture, sha256: await sha256OfFile(path), bytes, glibc: build.glibc }],
      },
      paths: new Map([[architecture, path]]),
    },
  ]
}

function installedPackage(): { version: string; folder: string } {
  const require = createRequire(import.meta.url)
  try {
    const path = require.resolve('onnxruntime-node/package.json')
    const { version } = require(path) as { version: string }
    return { version, folder: dirname(path) }
  } catch (cause) {
    throw new EdgewrightError('RUNTIME_MISSING', 'The onnxruntime-node package is not installed.', {
      hint: 'Run `npm ci`.',
      cause,
    })
  }
}

async function sizeOf(path: string): Promise<number> {
  try {
    return (await stat(path)).size
  } catch (cause) {
    throw new EdgewrightError(
      'RUNTIME_MISSING',
      'The ONNX Runtime library is not where the onnxruntime-node package has it.',
      {
        where: path,
        hint: 'Run `npm ci`; the package carries the Linux builds for arm64 and x64.',
        cause,
      },
    )
  }
}
