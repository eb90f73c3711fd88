import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { repositoryRoot } from '../../test/fixtures.ts'

/** Where everything that the bench makes or fetches is; not part of the repository. */
export const lab = join(repositoryRoot, '.lab', 'peers')

export const here = (file: string) => fileURLToPath(new URL(file, import.meta.url))

export const runtimes = ['onnx', 'litert'] as const
export type Runtime = (typeof runtimes)[number]

export const venvOf = (runtime: Runtime) => join(lab, `venv-${runtime}`)
export const pythonOf = (runtime: Runtime) => join(venvOf(runtime), 'bin', 'python')
