import { limits } from './constraints.ts'
import { allowances } from './rewrites/rewrite.ts'
import { rewrites } from './rewrites/index.ts'
import { type Source, sources } from './sources.ts'
import { knownAbsent, supportedOperators } from './supported.ts'

/** docs/edgetpu.md: what is mapped, within which limits, and how each is known. */
export function supportTable(): string {
  return `${[
    '# Edge TPU: what is mapped',
    '',
    '<!-- written by `npm run docs:edgetpu` from targets/edgetpu; do not edit -->',
    '',
    'The target `edgetpu` makes an int8 `.tflite`, rewrites what the Edge TPU lacks, and predicts which operators',
    '`edgetpu_compiler` will map. The sentences below are the ones that `edgewright inspect --target edgetpu` prints.',
    '',
    '## How far this is proved',
    '',
    '- No Coral device and no `edgetpu_compiler` took part: the compiler is closed, x86-64 only, and not free to ship.',
    '- The prediction equals what Google’s compiler did, operator for operator and tensor for tensor, on the six pairs of source and compiled file of google-coral/test_data that the tests read.',
    '- The compiler cuts as TensorFlow Lite’s delegates do: the first part of the Edge TPU takes every operator that needs nothing from an operator left on the CPU; what comes behind stays on the CPU, even where it could be mapped.',
    '- **documented**: Coral or a maintainer says so. **observed**: a compiled file or a compiler log shows it. **assumed**: neither; it is our reading.',
    '- The memory estimate is fitted to three compiled files. `edgetpu_compiler` has the last word.',
    '- A file that `edgetpu_compiler` did not make is an int8 `.tflite` for LiteRT, and is never called an Edge TPU model.',
    '',
    'Not predicted: a compiler that gives up on large activations (google-coral/edgetpu#512, #671) or runs out of its 180 s,',
    'reshapes and activations that it leaves out for their size (Coral names no bound; logs show some at 640×640 inputs),',
    'and operator versions that an old compiler does not know. The minimum runtime is known for few operators.',
    '',
    '## Operators that are mapped',
    '',
    ...table(
      ['Operator', 'Limits', 'Runtime', 'Basis', 'Source'],
      supportedOperators.map(({ type, minRuntime, basis, source }) => [
        `\`${type}\``,
        limitsOf(type),
        minRuntime === null ? '' : `≥ ${minRuntime}`,
        basis,
        source,
      ]),
    ),
    '',
    'Runtime is given where it is known; pass the oldest runtime of your boards to the compiler with `-m`.',
    '',
    '## Operators that are not',
    '',
    'Whatever is not in the table above; among them:',
    '',
    ...table(
      ['Operator', 'Remedy', 'Basis', 'Source'],
      knownAbsent.map(({ type, remedy, basis, source }) => [`\`${type}\``, remedy, basis, source]),
    ),
    '',
    '## Limits',
    '',
    ...table(
      ['Limit', 'Operators', 'Sentence', 'Remedy', 'Compiler’s status', 'Basis', 'Source'],
      limits.map(({ id, operators, sentence, remedy, status, basis, source }) => [
        `\`${id}\``,
        operators === null ? 'all' : operators.map((type) => `\`${type}\``).join(' '),
        sentence,
        remedy ?? '',
        status,
        basis,
        source,
      ]),
    ),
    '',
    '## Rewrites',
    '',
    'Made on a float network before calibration. Those that change the function wait for the user’s word.',
    '',
    ...table(
      ['Rewrite', 'Sentence', 'Function'],
      rewrites.map(({ name, sentence, needs }) => [
        `\`${name}\``,
        sentence,
        needs === null ? 'the same' : `changed: allowance \`${needs}\``,
      ]),
    ),
    '',
    ...Object.entries(allowances).map(([name, sentence]) => `- \`${name}\`: ${sentence}`),
    '- `float-io`: Keep float inputs and outputs; their conversions run on the CPU.',
    '',
    '## Sources',
    '',
    'What the rows rest on, and logs that were read and agree.',
    '',
    ...table(
      ['Source', 'What'],
      (Object.keys(sources) as Source[]).map((source) => [source, sources[source]]),
    ),
  ].join('\n')}\n`
}

function limitsOf(type: string): string {
  const own = limits.filter(({ operators }) => operators?.includes(type))
  return own.map(({ id }) => `\`${id}\``).join(' ')
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const line = (cells: readonly string[]) =>
    `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`
  return [line(head), line(head.map(() => '---')), ...rows.map(line)]
}
