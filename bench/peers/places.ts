import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { repositoryRoot } from '../../test/fixtures.ts'

/** Where everything that the bench makes or fetches is; not part of the repository. */
export const lab = join(repositoryRoot, '.lab', 'peers')

export const here = (file: string) => fileURLToPath(new URL(file, import.meta.url))

export const runtimes = ['onnx', 'litert'] as const
export type Runtime = (typeof runtimes)[number]

/** Python environments: a runtime with the quantizers that get along with it, and those that want others beside them. */
export const environments = [...runtimes, 'aimet', 'modelopt'] as const
export type Environment = (typeof environments)[number]

export const venvOf = (environment: Environment) => join(lab, `venv-${environment}`)
export const pythonOf = (environment: Environment) => join(venvOf(environment), 'bin', 'python')
