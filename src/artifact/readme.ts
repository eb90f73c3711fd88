import type { Manifest, ManifestTensor, TrtexecPreparation } from './manifest.ts'
import { preprocessingSteps } from './preprocessing-steps.ts'
import { cppSnippet, nodeSnippet, pythonSnippet } from './snippets.ts'

/** The README.md of an artifact's folder: what goes in, what comes out, and code that runs it. */
export function artifactReadme(manifest: Manifest): string {
  const { name, model, source, target, profile, scheme, calibrated } = manifest
  const steps = preprocessingSteps(manifest.preprocessing)
  const board = profile === null ? '' : ` and the board ${code(profile)}`
  const sections = [
    `# ${plain(name)}`,
    `${code(model)} is ${code(fileName(source.path))} (sha256 ${code(source.sha256.slice(0, 16))}) compiled to ${scheme} for the target ${code(target)}${board} by Edgewright ${plain(manifest.madeBy.edgewright)}. \`manifest.json\` says the same to programs.`,
    ...(calibrated || scheme === 'float'
      ? []
      : [
          '**Not calibrated.** Its ranges come from random inputs, so its answers mean nothing yet: compile again with `--data`.',
        ]),
    `## Inputs\n\n${tensorTable(manifest.inputs)}`,
    ...(steps.length > 0
      ? [
          `A sample becomes an input in these steps, as during calibration and evaluation:\n\n${steps.map((step, i) => `${i + 1}. ${plain(step)}`).join('\n')}`,
        ]
      : []),
    `## Outputs\n\n${tensorTable(manifest.outputs)}`,
    ...([...manifest.inputs, ...manifest.outputs].some(({ quantization }) => quantization !== null)
      ? [formulas]
      : []),
    ...(manifest.labels === null ? [] : [labelText(manifest.labels)]),
    ...(manifest.runtimes.length > 0
      ? [`## Runtime\n\n${manifest.runtimes.map(runtimeLine).join('\n')}`]
      : []),
    ...(manifest.prepare && 'kind' in manifest.prepare
      ? [`## Engine\n\n${engineText(manifest.prepare)}`]
      : []),
    '## Use',
    'Each program fills its inputs with zeros where your sample goes, and runs in this folder.',
    `### Python\n\n\`pip install onnxruntime numpy\`\n\n${fenced('python', pythonSnippet(manifest))}`,
    `### Node\n\n\`npm install onnxruntime-node\`\n\n${fenced('js', nodeSnippet(manifest))}`,
    `### C++\n\nWith ONNX Runtime’s headers, linked with \`-lonnxruntime\`:\n\n${fenced('cpp', cppSnippet(manifest))}`,
  ]
  return `${sections.join('\n\n')}\n`
}

const formulas = `Tensors with a scale hold integers that stand for real numbers:

    real   = (stored − zero point) · scale
    stored = round(real / scale) + zero point, cut to the type’s range; halves go to the even neighbour`

function tensorTable(tensors: readonly ManifestTensor[]): string {
  const rows = tensors.map(({ name, dtype, shape, layout, quantization }) => {
    const cells = [
      code(name),
      dtype,
      shape.length === 0 ? 'scalar' : shape.join(' × '),
      layout ?? '',
      quantization === null ? '' : String(quantization.scale),
      quantization === null ? '' : String(quantization.zeroPoint),
    ]
    return `| ${cells.join(' | ')} |`
  })
  return ['| name | type | shape | layout | scale | zero point |', '|---|---|---|---|--:|--:|', ...rows].join(
    '\n',
  )
}

function labelText(labels: readonly string[]): string {
  const few = labels.slice(0, 20).map((label, i) => `${i}: ${plain(label)}`)
  const rest = labels.length > few.length ? `, … up to ${labels.length - 1}` : ''
  return `## Labels\n\nClass by index of the first output; \`labels.txt\` has one a line: ${few.join(', ')}${rest}.`
}

function runtimeLine({ name, version, library, builds }: Manifest['runtimes'][number]): string {
  const systems = builds
    .map(({ architecture, glibc }) => `${plain(architecture)} with glibc ${plain(glibc)} or newer`)
    .join(', ')
  return `- ${plain(name)} ${plain(version)} (${code(library)})${systems === '' ? '' : `: ${systems}`}. Measured with this version; newer ones load the file as well.`
}

/** What `edgewright run` does by itself, for those who build elsewhere. */
function engineText({ weaklyTyped, stronglyTyped, dla, output }: TrtexecPreparation): string {
  const onDla = dla ? ` --useDLACore=${dla.core}${dla.allowGpuFallback ? ' --allowGPUFallback' : ''}` : ''
  const flags = weaklyTyped.allow.map((precision) => ` --${precision}`).join('')
  const commands = [
    '# TensorRT 8 and 10',
    `trtexec --onnx=${weaklyTyped.model}${flags}${onDla} --saveEngine=${output}`,
    '# TensorRT 11; with --stronglyTyped from 10.12 on',
    `trtexec --onnx=${stronglyTyped.model}${onDla} --saveEngine=${output}`,
    '',
  ]
  return `An engine fits one GPU and one TensorRT only, so it is built on the board, by the trtexec that its image has (often \`/usr/src/tensorrt/bin/trtexec\`).\n\n${fenced('sh', commands.join('\n'))}`
}

function fenced(language: string, program: string): string {
  return `\`\`\`${language}\n${program}\`\`\``
}

/** Names come from model files and folders: none of them becomes markup. */
function plain(text: string): string {
  return oneLine(text)
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replace(/[\\`*_[\]|~]/g, '\\$&')
}

function code(text: string): string {
  const clean = oneLine(text).replaceAll('|', '\\|')
  const longest = Math.max(0, ...(clean.match(/`+/g) ?? []).map((run) => run.length))
  const fence = '`'.repeat(longest + 1)
  return longest === 0 ? `\`${clean}\`` : `${fence} ${clean} ${fence}`
}

/** Where the file lay on the computer that compiled it is nobody's business. */
function fileName(path: string): string {
  return path.split(/[/\\]/).at(-1) ?? path
}

function oneLine(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]+/gu, ' ')
}
