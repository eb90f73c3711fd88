import { createRequire } from 'node:module'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { EdgewrightError } from '../../error.ts'
import { engineNames } from './names.ts'
import type { Tf } from './tfjs-operators.ts'

const packages = { tfjs: '@tensorflow/tfjs', 'tfjs-node': '@tensorflow/tfjs-node' } as const

/**
 * The user's own TensorFlow.js: of the project in a folder, or of one above it.
 *
 * @throws CONFIG_INVALID where it is not installed, or does not load
 */
export async function loadTfjs(engine: keyof typeof packages, folder: string): Promise<Tf> {
  const name = packages[engine]
  const missing = (saw: string) =>
    new EdgewrightError('CONFIG_INVALID', `The training engine ${engine} is not there.`, {
      where: '--engine',
      saw,
      hint: `npm install ${name} in your project, or train with --engine onnxruntime, which is as exact.`,
    })
  if (!Object.hasOwn(packages, engine))
    throw new EdgewrightError('CONFIG_INVALID', 'There is no such training engine.', {
      where: '--engine',
      saw: String(engine),
      hint: `Engines are ${engineNames.join(', ')}.`,
    })
  let path: string
  try {
    path = createRequire(join(folder, 'package.json')).resolve(name)
  } catch {
    throw missing(`no ${name} in ${folder} and above`)
  }
  try {
    const loaded = (await import(pathToFileURL(path).href)) as Tf & { readonly default?: Tf }
    const found = typeof loaded.tidy === 'function' ? loaded : loaded.default
    if (typeof found?.tidy === 'function') return found
  } catch (cause) {
    throw missing(`${path}: ${cause instanceof Error ? cause.message.split('\n')[0] : String(cause)}`)
  }
  throw missing(`${path} is no TensorFlow.js`)
}
