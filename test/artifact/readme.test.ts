import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'node:test'
import { fileURLToPath } from 'node:url'
import * as ort from 'onnxruntime-node'
import type { Manifest, ManifestTensor } from '../../src/artifact/manifest.ts'
import { artifactReadme } from '../../src/artifact/readme.ts'
import { encodeModel } from '../../src/formats/onnx/proto.ts'
import { fixture, fixturesMissing, repositoryRoot } from '../fixtures.ts'

const scratch = mkdtempSync(join(tmpdir(), 'edgewright-readme-'))
test.after(() => rmSync(scratch, { recursive: true, force: true }))

// Where packages of a folder are looked for, so that programs find what a user would have installed.
symlinkSync(join(repositoryRoot, 'node_modules'), join(scratch, 'node_modules'))

const python = process.env.EDGEWRIGHT_PYTHON ?? 'python3'
const pythonMissing =
  spawnSync(python, ['-c', 'import onnxruntime, numpy'], { timeout: 60_000 }).status === 0
    ? false
    : 'needs a Python with onnxruntime and numpy: pip install onnxruntime numpy, and name it in EDGEWRIGHT_PYTHON'
const compilerMissing =
  spawnSync('g++', ['--version']).status === 0 ? false : 'needs g++: apt-get install g++'

const tensor = (
  name: string,
  dtype: string,
  shape: number[],
  scale?: number,
  zeroPoint = 0,
): ManifestTensor => ({
  name,
  dtype,
  shape,
  shapeSignature: shape,
  quantization: scale === undefined ? null : { scale, zeroPoint },
  layout: shape.length === 4 ? 'NCHW' : null,
})

function manifest(changes: Partial<Manifest>): Manifest {
  return {
    schemaVersion: 1,
    name: 'net',
    target: 'onnxruntime',
    profile: 'raspberry-pi-4b',
    scheme: 'full-int8',
    model: 'model.onnx',
    files: [],
    runtimes: [
      {
        name: 'onnxruntime',
        version: '1.30.0',
        library: 'libonnxruntime.so.1',
        builds: [{ architecture: 'aarch64', sha256: 'a'.repeat(64), bytes: 1, glibc: '2.28' }],
      },
    ],
    prepare: null,
    inputs: [],
    outputs: [],
    preprocessing: null,
    labels: null,
    calibrated: true,
    integerOnly: true,
    recipe: {},
    source: { path: 'net.onnx', sha256: 'b'.repeat(64), bytes: 1, format: 'onnx' },
    madeBy: { edgewright: '0.1.0', cpu: 'x', threads: 1 },
    ...changes,
  }
}

/** The program under the README's heading for a language. */
function program(readme: string, language: 'python' | 'js' | 'cpp'): string {
  const found = new RegExp(`\`\`\`${language}\\n([\\s\\S]*?)\`\`\``).exec(readme)
  assert.ok(found?.[1], `no ${language} program`)
  return found[1]
}

function replaced(text: string, from: string, to: string): string {
  assert.ok(text.includes(from), `${from} is not in\n${text}`)
  return text.replace(from, to)
}

function run(command: string, args: string[], cwd: string): string {
  const { status, stdout, stderr } = spawnSync(command, args, { cwd, encoding: 'utf8', timeout: 60_000 })
  assert.equal(status, 0, stderr)
  return stdout
}

// y = quantize(dequantize(x) · W), int8 in, uint8 out, with names that no program may stumble over.
const oddInput = 'in\'put "x`\\ é 🐙'
const oddOutput = 'Identity:0'
const inputScale = Math.fround(0.1)
const outputScale = Math.fround(0.25)

function writeIntegerModel(folder: string): void {
  const float32 = (name: string, values: number[], dims: number[]) => ({
    name,
    dims,
    dataType: 1,
    rawData: new Uint8Array(Float32Array.from(values).buffer),
  })
  const value = (name: string, elemType: number, dims: number[]) => ({
    name,
    type: { tensorType: { elemType, shape: { dim: dims.map((dimValue) => ({ dimValue })) } } },
  })
  const bytes = encodeModel({
    irVersion: 8,
    opsetImport: [{ domain: '', version: 13 }],
    graph: {
      name: 'g',
      node: [
        { opType: 'DequantizeLinear', input: [oddInput, 'xs', 'xz'], output: ['real'] },
        { opType: 'MatMul', input: ['real', 'W'], output: ['product'] },
        { opType: 'QuantizeLinear', input: ['product', 'ys', 'yz'], output: [oddOutput] },
      ],
      initializer: [
        float32('xs', [inputScale], []),
        { name: 'xz', dims: [], dataType: 3, rawData: new Uint8Array([256 - 3]) },
        float32('W', [1, -2, 0.5, 3, 0, 1], [2, 3]),
        float32('ys', [outputScale], []),
        { name: 'yz', dims: [], dataType: 2, rawData: new Uint8Array([100]) },
      ],
      input: [value(oddInput, 3, [1, 2])],
      output: [value(oddOutput, 2, [1, 3])],
    },
  } as Parameters<typeof encodeModel>[0])
  writeFileSync(join(folder, 'model.onnx'), bytes)
}

const integer = manifest({
  inputs: [tensor(oddInput, 'int8', [1, 2], inputScale, -3)],
  outputs: [tensor(oddOutput, 'uint8', [1, 3], outputScale, 100)],
})
// 0.25 / 0.1 is a tie in float32 and goes to the even 2, so the network sees (0.2, −0.7); sent up, the first answer would differ.
const sample = [0.25, -0.7]
const expected = [0.2 * 1 - 0.7 * 3, 0.2 * -2 - 0.7 * 0, 0.2 * 0.5 - 0.7 * 1].map(
  (real) => Math.round(real / outputScale) * outputScale,
)

function folderOf(name: string): string {
  const folder = join(scratch, name)
  mkdirSync(folder)
  return folder
}

test('the Node program quantizes its input, runs an int8 network and gives real numbers back', () => {
  const folder = folderOf('node-integer')
  writeIntegerModel(folder)
  const text = replaced(
    program(artifactReadme(integer), 'js'),
    'new Float32Array(2)',
    `Float32Array.from(${JSON.stringify(sample)})`,
  )
  writeFileSync(
    join(folder, 'use.mjs'),
    text.replace(/console\.log\((.*)\)/, 'console.log(JSON.stringify($1))'),
  )
  assert.deepEqual(JSON.parse(run(process.execPath, ['use.mjs'], folder)), expected)
})

test('the Python program answers as the Node one does', { skip: pythonMissing }, () => {
  const folder = folderOf('python-integer')
  writeIntegerModel(folder)
  const text = replaced(
    program(artifactReadme(integer), 'python'),
    'np.zeros((1, 2), dtype=np.float32)',
    `np.array([${JSON.stringify(sample)}], dtype=np.float32)`,
  )
  writeFileSync(join(folder, 'use.py'), `${text}import json\nprint(json.dumps(output.ravel().tolist()))\n`)
  assert.deepEqual(JSON.parse(run(python, ['use.py'], folder).trim().split('\n').at(-1)!), expected)
})

test('the C++ program is valid C++17 against the declarations it uses', { skip: compilerMissing }, () => {
  const folder = folderOf('cpp')
  const several = manifest({
    inputs: [tensor('a', 'float32', [1, 3]), tensor('b', 'int64', []), tensor('c', 'uint8', [4], 1, 128)],
    outputs: [tensor('y', 'int8', [1, 10], 0.00390625, -128), tensor('z', 'float32', [2])],
  })
  for (const [i, subject] of [integer, several, { ...several, labels: ['a', 'b'] }].entries()) {
    writeFileSync(join(folder, `use${i}.cpp`), program(artifactReadme(subject), 'cpp'))
    const declarations = fileURLToPath(new URL('./cpp-declarations', import.meta.url))
    run(
      'g++',
      ['-std=c++17', '-Wall', '-Werror', '-fsyntax-only', '-isystem', declarations, `use${i}.cpp`],
      folder,
    )
  }
})

test('the Node program of a float network names the digit that the runtime finds', {
  skip: fixturesMissing,
}, async () => {
  const folder = folderOf('node-float')
  const model = readFileSync(fixture('mnist/mnist_cntk.onnx'))
  writeFileSync(join(folder, 'model.onnx'), model)
  const session = await ort.InferenceSession.create(model)
  const [inputName, outputName] = [session.inputNames[0]!, session.outputNames[0]!]
  const labels = ['zero', 'one', 'two', 'three', 'four', 'five', 'six', 'seven', 'eight', 'nine']
  writeFileSync(join(folder, 'labels.txt'), `${labels.join('\n')}\n`)
  const images = readFileSync(fixture('data/mnist_images.idx3-ubyte'))
  const pixels = Array.from(images.subarray(16, 16 + 784))
  const label = readFileSync(fixture('data/mnist_labels.idx1-ubyte'))[8]!
  const readme = artifactReadme(
    manifest({
      scheme: 'float',
      labels,
      inputs: [tensor(inputName, 'float32', [1, 1, 28, 28])],
      outputs: [tensor(outputName, 'float32', [1, 10])],
    }),
  )
  writeFileSync(
    join(folder, 'use.mjs'),
    replaced(program(readme, 'js'), 'new Float32Array(784)', `Float32Array.from(${JSON.stringify(pixels)})`),
  )
  const [word, score] = run(process.execPath, ['use.mjs'], folder).trim().split(' ')
  assert.equal(word, labels[label])
  const direct = await session.run({
    [inputName]: new ort.Tensor('float32', Float32Array.from(pixels), [1, 1, 28, 28]),
  })
  assert.equal(Number(score), Math.max(...(direct[outputName]!.data as Float32Array)))
})

test('the README says shapes, layout, scales, labels, preprocessing and the runtime', () => {
  const readme = artifactReadme(
    manifest({
      inputs: [tensor('image', 'uint8', [1, 3, 224, 224], 0.017, 114)],
      outputs: [tensor('scores', 'float32', [1, 3])],
      labels: ['cat', 'dog|fox', 'bird'],
      preprocessing: {
        kind: 'image',
        resize: { height: 256, width: 256, fit: 'short-side', kernel: 'bilinear', antialias: true },
        crop: { height: 224, width: 224, anchor: 'centre' },
        channelOrder: 'RGB',
        layout: 'NCHW',
        scale: 1 / 255,
        mean: [0.485, 0.456, 0.406],
        std: [0.229, 0.224, 0.225],
        audio: null,
        dequantize: null,
        labelOffset: 0,
      },
    }),
  )
  assert.match(readme, /\| `image` \| uint8 \| 1 × 3 × 224 × 224 \| NCHW \| 0\.017 \| 114 \|/)
  assert.match(readme, /1\. Resize to 256 × 256 .*shorter side.*bilinear, with antialiasing/)
  assert.match(readme, /2\. Crop the centre to 224 × 224/)
  assert.match(readme, /mean \(0\.485, 0\.456, 0\.406\) by channel/)
  assert.match(readme, /0: cat, 1: dog\\\|fox, 2: bird/)
  assert.match(readme, /onnxruntime 1\.30\.0 \(`libonnxruntime\.so\.1`\): aarch64 with glibc 2\.28/)
  assert.match(readme, /real {3}= \(stored − zero point\) · scale/)
  assert.doesNotMatch(readme, /Not calibrated/)
  assert.match(artifactReadme(manifest({ calibrated: false })), /Not calibrated/)
})

test('a letterbox is told with its border', () => {
  const resize = {
    height: 640,
    width: 640,
    fit: 'letterbox',
    kernel: 'bilinear',
    antialias: false,
    padValue: 114,
  }
  const readme = artifactReadme(manifest({ preprocessing: { kind: 'image', resize } }))
  assert.match(
    readme,
    /Resize to 640 × 640 .*longer side.*in the middle of a border of 114; bilinear, without/,
  )
})

test('hostile names become neither markup nor code', () => {
  const evil = '```\n# x <img src=x onerror=alert(1)> `; rm -rf / #'
  const readme = artifactReadme(
    manifest({
      name: evil,
      inputs: [tensor(evil, 'float32', [1])],
      outputs: [tensor(evil, 'float32', [1])],
      source: { path: evil, sha256: 'b'.repeat(64), bytes: 1, format: 'onnx' },
    }),
  )
  assert.equal(readme.match(/^```/gm)?.length, 6)
  assert.doesNotMatch(readme, /^# x/m)
  const prose = readme.replace(/^```[\s\S]*?^```/gm, '').replace(/(`+) .*? \1/g, '')
  assert.doesNotMatch(prose, /<img/)
})
