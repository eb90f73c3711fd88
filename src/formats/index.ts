import { EdgewrightError } from '../error.ts'
import type { Model } from '../graph/types.ts'
import { readOnnx, type ReadOnnxOptions } from './onnx/read.ts'
import { type ModelFormat, recognizeFormat } from './recognize.ts'

export { type ModelFormat, recognizeFormat } from './recognize.ts'

export interface OpenOptions extends ReadOnnxOptions {
  /** Called for each thing that the user should know: what was carried with a shape that depends on the data. */
  readonly warn?: (message: string) => void
}

/** Formats that are told apart but not read, with the tool that makes ONNX of them. */
const conversions: Readonly<
  Record<Exclude<ModelFormat, 'onnx'>, { readonly called: string; readonly hint: string }>
> = {
  tflite: {
    called: 'a TensorFlow Lite model',
    hint: 'Convert it: pip install tf2onnx, then python -m tf2onnx.convert --tflite model.tflite --output model.onnx --opset 17',
  },
  'keras-h5': { called: 'a Keras model (HDF5)', hint: kerasHint('model.h5') },
  keras: { called: 'a Keras model', hint: kerasHint('model.keras') },
  tfjs: {
    called: 'a TensorFlow.js model',
    hint: 'Convert it: pip install tf2onnx, then python -m tf2onnx.convert --tfjs model.json --output model.onnx --opset 17',
  },
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

function kerasHint(file: string): string {
  return `Convert it: pip install tf2onnx, then python -c "import keras, tf2onnx; tf2onnx.convert.from_keras(keras.models.load_model('${file}'), opset=17, output_path='model.onnx')"`
}

/**
 * Opens a model file by its content, whatever its name.
 * @throws MODEL_FORMAT_UNKNOWN, MODEL_FORMAT_UNSUPPORTED, and what the format's reader throws
 */
export async function openModel(path: string, options: OpenOptions = {}): Promise<Model> {
  const format = recognizeFormat(path)
  if (format === null)
    throw new EdgewrightError('MODEL_FORMAT_UNKNOWN', 'The file is not a model that Edgewright knows.', {
      where: path,
      hint: 'Edgewright reads ONNX files. If it is one, it is damaged: compare its size and digest with the original.',
    })
  if (format !== 'onnx') {
    const { called, hint } = conversions[format]
    throw new EdgewrightError(
      'MODEL_FORMAT_UNSUPPORTED',
      `The file is ${called}; this version reads ONNX only.`,
      { where: path, saw: format, hint },
    )
  }
  const model = await readOnnx({ path }, options)
  if (model.metadata.warnings)
    for (const warning of model.metadata.warnings.split('\n')) options.warn?.(warning)
  return model
}
