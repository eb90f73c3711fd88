import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { EdgewrightError } from '../error.ts'
import type { Model } from '../graph/types.ts'
import { readKeras } from './keras/read.ts'
import { readOnnx, type ReadOnnxOptions } from './onnx/read.ts'
import { type ModelFormat, recognizeFormat } from './recognize.ts'
import { readTfjs } from './tfjs/read.ts'
import { readTflite } from './tflite/read.ts'

export { type ModelFormat, recognizeFormat } from './recognize.ts'

export interface OpenOptions extends ReadOnnxOptions {
  /** Called for each thing that the user should know: what was carried with a shape that depends on the data. */
  readonly warn?: (message: string) => void
  /** Which signature of a TensorFlow Lite file to read, where it has several. */
  readonly signature?: string
}

/** Formats that are told apart but not read, with the tool that makes ONNX of them. */
const conversions: Readonly<
  Record<
    Exclude<ModelFormat, 'keras' | 'keras-h5' | 'tfjs' | 'onnx' | 'tflite'>,
    { readonly called: string; readonly hint: string }
  >
> = {
  'saved-model': {
    called: 'a TensorFlow SavedModel',
    hint: 'Convert it: pip install tf2onnx, then python -m tf2onnx.convert --saved-model FOLDER --output model.onnx --opset 17',
  },
  'frozen-graph': {
    called: 'a frozen TensorFlow graph',
    hint: 'Convert it: pip install tf2onnx, then python -m tf2onnx.convert --graphdef model.pb --inputs X:0 --outputs Y:0 --output model.onnx --opset 17',
  },
  pytorch: {
    called: 'a PyTorch file',
    hint: 'Export it from the program that made it: torch.onnx.export(model.eval(), torch.randn(1, 3, 224, 224), "model.onnx", opset_version=17)',
  },
  safetensors: {
    called: 'a file of weights without a network (safetensors)',
    hint: 'Load them in the program that made them and export: torch.onnx.export(model.eval(), example, "model.onnx", opset_version=17)',
  },
}

/**
 * Opens a model file by its content, whatever its name.
 * @throws MODEL_FORMAT_UNKNOWN, MODEL_FORMAT_UNSUPPORTED, and what the format's reader throws
 */
export async function openModel(path: string, options: OpenOptions = {}): Promise<Model> {
  const format = recognizeFormat(path)
  if (format === null && existsSync(join(path, 'manifest.json')))
    throw new EdgewrightError(
      'MODEL_FORMAT_UNSUPPORTED',
      'This is a folder that compile made, not a network.',
      {
        where: path,
        hint: 'Give the network that it was made from, or the model file in it.',
      },
    )
  if (format === null)
    throw new EdgewrightError('MODEL_FORMAT_UNKNOWN', 'The file is not a model that Edgewright knows.', {
      where: path,
      hint: 'Edgewright reads ONNX, TensorFlow Lite, Keras and TensorFlow.js files. If it is one, it is damaged: compare its size and digest with the original.',
    })
  if (format === 'tflite') return readTflite({ path }, options)
  if (format === 'keras' || format === 'keras-h5') return readKeras({ path }, options)
  if (format === 'tfjs') return readTfjs(path, options)
  if (format !== 'onnx') {
    const { called, hint } = conversions[format]
    throw new EdgewrightError(
      'MODEL_FORMAT_UNSUPPORTED',
      `The file is ${called}; Edgewright reads ONNX, TensorFlow Lite, Keras and TensorFlow.js layers models.`,
      { where: path, saw: format, hint },
    )
  }
  const model = await readOnnx({ path }, options)
  if (model.metadata.warnings)
    for (const warning of model.metadata.warnings.split('\n')) options.warn?.(warning)
  return model
}
