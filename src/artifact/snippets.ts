import type { Manifest, ManifestTensor } from './manifest.ts'

interface ElementType {
  readonly numpy: string
  readonly js: string
  readonly cpp: string
}

const elementTypes: Readonly<Record<string, ElementType>> = {
  float32: { numpy: 'float32', js: 'Float32Array', cpp: 'float' },
  float64: { numpy: 'float64', js: 'Float64Array', cpp: 'double' },
  float16: { numpy: 'float16', js: 'Uint16Array', cpp: 'Ort::Float16_t' },
  int8: { numpy: 'int8', js: 'Int8Array', cpp: 'int8_t' },
  uint8: { numpy: 'uint8', js: 'Uint8Array', cpp: 'uint8_t' },
  int16: { numpy: 'int16', js: 'Int16Array', cpp: 'int16_t' },
  uint16: { numpy: 'uint16', js: 'Uint16Array', cpp: 'uint16_t' },
  int32: { numpy: 'int32', js: 'Int32Array', cpp: 'int32_t' },
  uint32: { numpy: 'uint32', js: 'Uint32Array', cpp: 'uint32_t' },
  int64: { numpy: 'int64', js: 'BigInt64Array', cpp: 'int64_t' },
  uint64: { numpy: 'uint64', js: 'BigUint64Array', cpp: 'uint64_t' },
  bool: { numpy: 'bool', js: 'Uint8Array', cpp: 'bool' },
}

/** What a program calls a tensor: its role, numbered where there are several. */
interface Named extends ManifestTensor {
  readonly variable: string
  readonly type: ElementType
  readonly count: number
  /** Range of the stored integers. */
  readonly low: number
  readonly high: number
}

type Subject = Pick<Manifest, 'model' | 'inputs' | 'outputs' | 'labels'>

/** A whole program for Python with onnxruntime and numpy. It reads real numbers in and gives real numbers out. */
export function pythonSnippet(manifest: Subject): string {
  const inputs = named(manifest.inputs, 'input')
  const outputs = named(manifest.outputs, 'output')
  return program([
    'import numpy as np',
    'import onnxruntime as ort',
    '',
    `session = ort.InferenceSession(${pythonString(manifest.model)}, providers=["CPUExecutionProvider"])`,
    ...inputs.flatMap(({ variable, shape, type, quantization, low, high }) => {
      const tuple = `(${shape.join(', ')}${shape.length === 1 ? ',' : ''})`
      if (quantization === null)
        return [`${variable} = np.zeros(${tuple}, dtype=np.${type.numpy})  # your sample`]
      const { scale, zeroPoint } = quantization
      return [
        `real_${variable} = np.zeros(${tuple}, dtype=np.float32)  # your sample`,
        `${variable} = np.clip(np.rint(real_${variable} / np.float32(${scale})) + ${zeroPoint}, ${low}, ${high}).astype(np.${type.numpy})`,
      ]
    }),
    '',
    `${outputs.map(({ variable }) => variable).join(', ')}${outputs.length === 1 ? ',' : ''} = session.run([${outputs.map(({ name }) => pythonString(name)).join(', ')}], {${inputs.map(({ name, variable }) => `${pythonString(name)}: ${variable}`).join(', ')}})`,
    ...outputs.flatMap(({ variable, quantization }) =>
      quantization === null
        ? []
        : [
            `${variable} = (${variable}.astype(np.float32) - ${quantization.zeroPoint}) * np.float32(${quantization.scale})`,
          ],
    ),
    ...(manifest.labels
      ? [
          'labels = open("labels.txt", encoding="utf-8").read().splitlines()',
          `best = int(np.argmax(${outputs[0]!.variable}))`,
          `print(labels[best], float(${outputs[0]!.variable}.flat[best]))`,
        ]
      : outputs.map(({ variable }) => `print(${variable}.shape, ${variable}.ravel()[:10])`)),
  ])
}

/** A whole program for Node with onnxruntime-node, as an ES module. */
export function nodeSnippet(manifest: Subject): string {
  const inputs = named(manifest.inputs, 'input')
  const outputs = named(manifest.outputs, 'output')
  const quantized = inputs.some(({ quantization }) => quantization !== null)
  return program([
    ...(manifest.labels ? ["import { readFileSync } from 'node:fs'"] : []),
    "import ort from 'onnxruntime-node'",
    '',
    ...(quantized
      ? [
          '// Halves go to the even neighbour, as in the runtime; Math.round would send them up.',
          'function quantize(real, scale, zeroPoint, Integers, low, high) {',
          '  return Integers.from(real, (value) => {',
          '    const exact = Math.fround(value / scale)',
          '    const floor = Math.floor(exact)',
          '    const rest = exact - floor',
          '    const rounded = rest > 0.5 || (rest === 0.5 && floor % 2 !== 0) ? floor + 1 : floor',
          '    return Math.min(high, Math.max(low, rounded + zeroPoint))',
          '  })',
          '}',
          '',
        ]
      : []),
    `const session = await ort.InferenceSession.create(${jsString(manifest.model)})`,
    ...inputs.flatMap(({ variable, type, count, quantization, low, high }) => {
      if (quantization === null) return [`const ${variable} = new ${type.js}(${count}) // your sample`]
      const { scale, zeroPoint } = quantization
      return [
        `const real${capital(variable)} = new Float32Array(${count}) // your sample`,
        `const ${variable} = quantize(real${capital(variable)}, ${scale}, ${zeroPoint}, ${type.js}, ${low}, ${high})`,
      ]
    }),
    '',
    'const results = await session.run({',
    ...inputs.map(
      ({ name, variable, dtype, shape }) =>
        `  ${jsString(name)}: new ort.Tensor('${dtype}', ${variable}, [${shape.join(', ')}]),`,
    ),
    '})',
    ...outputs.map(({ variable, name, quantization }) => {
      const data = `results[${jsString(name)}].data`
      return quantization === null
        ? `const ${variable} = Array.from(${data}, Number)`
        : `const ${variable} = Array.from(${data}, (stored) => (stored - ${quantization.zeroPoint}) * ${quantization.scale})`
    }),
    ...(manifest.labels
      ? [
          "const labels = readFileSync('labels.txt', 'utf8').split('\\n')",
          `const best = ${outputs[0]!.variable}.indexOf(Math.max(...${outputs[0]!.variable}))`,
          `console.log(labels[best], ${outputs[0]!.variable}[best])`,
        ]
      : outputs.map(({ variable }) => `console.log(${variable}.slice(0, 10))`)),
  ])
}

/** A whole program for ONNX Runtime's C++ API (C++17). */
export function cppSnippet(manifest: Subject): string {
  const inputs = named(manifest.inputs, 'input')
  const outputs = named(manifest.outputs, 'output')
  const names = (tensors: readonly Named[]) => tensors.map(({ name }) => cppString(name)).join(', ')
  return program([
    '#include <algorithm>',
    '#include <array>',
    '#include <cmath>',
    '#include <cstdint>',
    '#include <cstdio>',
    ...(manifest.labels ? ['#include <fstream>', '#include <string>'] : []),
    '#include <vector>',
    '#include <onnxruntime_cxx_api.h>',
    '',
    'int main() {',
    '  Ort::Env env(ORT_LOGGING_LEVEL_WARNING, "app");',
    `  Ort::Session session(env, ${cppString(manifest.model)}, Ort::SessionOptions{});`,
    '  auto memory = Ort::MemoryInfo::CreateCpu(OrtArenaAllocator, OrtMemTypeDefault);',
    '  std::vector<Ort::Value> inputs;',
    ...inputs.flatMap(({ variable, type, count, shape, quantization, low, high }) => {
      const lines =
        quantization === null
          ? [`  std::array<${type.cpp}, ${count}> ${variable}{};  // your sample`]
          : [
              `  std::array<float, ${count}> real_${variable}{};  // your sample`,
              `  std::array<${type.cpp}, ${count}> ${variable};`,
              `  for (size_t i = 0; i < ${variable}.size(); i++)  // std::nearbyint sends halves to the even neighbour`,
              `    ${variable}[i] = static_cast<${type.cpp}>(std::clamp(std::nearbyint(real_${variable}[i] / ${cppFloat(quantization.scale)}) + (${quantization.zeroPoint}), ${low}.0f, ${high}.0f));`,
            ]
      return [
        ...lines,
        `  const std::array<int64_t, ${shape.length}> ${variable}_shape{${shape.join(', ')}};`,
        `  inputs.push_back(Ort::Value::CreateTensor<${type.cpp}>(memory, ${variable}.data(), ${variable}.size(), ${variable}_shape.data(), ${variable}_shape.size()));`,
      ]
    }),
    `  const char* input_names[] = {${names(inputs)}};`,
    `  const char* output_names[] = {${names(outputs)}};`,
    `  auto outputs = session.Run(Ort::RunOptions{nullptr}, input_names, inputs.data(), inputs.size(), output_names, ${outputs.length});`,
    ...outputs.flatMap(({ variable, type, count, quantization }, i) => [
      `  const ${type.cpp}* stored_${variable} = outputs[${i}].GetTensorData<${type.cpp}>();`,
      `  std::vector<float> ${variable}(${count});`,
      `  for (size_t i = 0; i < ${variable}.size(); i++) ${variable}[i] = ${quantization === null ? `static_cast<float>(stored_${variable}[i])` : `(stored_${variable}[i] - (${quantization.zeroPoint})) * ${cppFloat(quantization.scale)}`};`,
    ]),
    ...(manifest.labels
      ? [
          `  const size_t best = std::max_element(${outputs[0]!.variable}.begin(), ${outputs[0]!.variable}.end()) - ${outputs[0]!.variable}.begin();`,
          '  std::ifstream file("labels.txt");',
          '  std::string label;',
          '  for (size_t i = 0; i <= best; i++) std::getline(file, label);',
          `  std::printf("%s %g\\n", label.c_str(), ${outputs[0]!.variable}[best]);`,
        ]
      : outputs.flatMap(({ variable }) => [
          `  for (size_t i = 0; i < std::min<size_t>(10, ${variable}.size()); i++) std::printf("%g ", ${variable}[i]);`,
          '  std::printf("\\n");',
        ])),
    '}',
  ])
}

function named(tensors: readonly ManifestTensor[], role: string): Named[] {
  return tensors.map((tensor, i) => {
    const type = elementTypes[tensor.dtype] ?? elementTypes.float32!
    const bits = Number(/^u?int(8|16|32)$/.exec(tensor.dtype)?.[1] ?? 8)
    const unsigned = tensor.dtype.startsWith('u')
    return {
      ...tensor,
      variable: tensors.length === 1 ? role : `${role}${i}`,
      type,
      count: tensor.shape.reduce((product, size) => product * size, 1),
      low: unsigned ? 0 : -(2 ** (bits - 1)),
      high: unsigned ? 2 ** bits - 1 : 2 ** (bits - 1) - 1,
    }
  })
}

function program(lines: readonly string[]): string {
  return `${lines.join('\n')}\n`
}

// Names come from model files. As literals they are ASCII without quotes, backticks or line ends, so that they can end
// neither the string nor the fence around the program.

function jsString(text: string): string {
  return `'${text.replace(/[^ -~]|['\\`]/g, (unit) => `\\u${hex(unit.charCodeAt(0), 4)}`)}'`
}

function pythonString(text: string): string {
  return `"${text.replace(/[^ -~]|["\\`]/gu, (character) => `\\U${hex(character.codePointAt(0)!, 8)}`)}"`
}

function cppString(text: string): string {
  const bytes = [...new TextEncoder().encode(text)]
  return `"${bytes.map((byte) => (byte < 0x20 || byte > 0x7e || '"\\`?'.includes(String.fromCharCode(byte)) ? `\\${byte.toString(8).padStart(3, '0')}` : String.fromCharCode(byte))).join('')}"`
}

function cppFloat(value: number): string {
  const text = String(value)
  return `${/[.e]/.test(text) ? text : `${text}.0`}f`
}

function hex(value: number, digits: number): string {
  return value.toString(16).padStart(digits, '0')
}

function capital(word: string): string {
  return word[0]!.toUpperCase() + word.slice(1)
}
