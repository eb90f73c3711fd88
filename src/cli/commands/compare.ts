import {
  affinityOf,
  conditionsOf,
  energyOf,
  presetOf,
  recipeOf,
  shapesOf,
  threadCountOf,
} from '../arguments.ts'
import { type Arguments, type Command, flag, number, text, texts } from '../command.ts'
import { connectionOf } from '../connection.ts'
import { EdgewrightError, exitCodes, toEdgewrightError } from '../../error.ts'
import { meterOptions } from '../meter.ts'
import { conditionOptions, dataOptions, deviceOptions, measureOptions, modelOptions } from '../options.ts'
import type { Contest } from '../../run/compare/request.ts'

const { rate: _rate, threads: _threads, preset: _preset, ...measured } = measureOptions

export const compare: Command = {
  name: 'compare',
  usage: '<a> [b]',
  describe: 'Is B slower than A? Both in turns on one board, with a verdict that holds, and as a gate for CI',
  positionals: {
    a: { type: 'string', describe: 'An artifact folder or a model file' },
    b: { type: 'string', describe: 'What is held against it' },
  },
  options: {
    device: {
      type: 'string',
      default: 'local:',
      describe: 'pi@host, ssh://user@host:port, local: or a name of edgewright devices',
    },
    float: { type: 'boolean', describe: 'Hold the artifact against the float network that it was made from' },
    'fail-if': {
      type: 'string',
      array: true,
      describe:
        "A limit: 'latency.p50 > +3%', 'accuracy < -1%', 'size > +5%', or of B alone: 'latency.p99 > 33ms'",
    },
    preset: { type: 'string', describe: 'quick: 8 short blocks; standard: 12 of about 2.5 s (default)' },
    blocks: { type: 'number', describe: 'Blocks of turns, 2 to 60; below 6 nothing can be proved' },
    'block-seconds': { type: 'number', describe: 'Seconds that each network gets of a block' },
    band: { type: 'string', describe: 'What counts as no difference (default 1%)' },
    seed: { type: 'number', default: 1, describe: 'Draws the order of turns' },
    threads: { type: 'string', describe: 'Intra-op threads (default 1)' },
    ...measured,
    ...conditionOptions,
    ...meterOptions,
    baseline: {
      type: 'string',
      describe: 'Figures of another day in place of A (weaker): of --write-baseline, or of run --json',
    },
    'write-baseline': { type: 'string', describe: "Write the last network's figures there" },
    force: { type: 'boolean', describe: 'Take a baseline of another environment all the same' },
    junit: { type: 'string', describe: 'Write JUnit XML there' },
    markdown: { type: 'string', describe: 'Write Markdown there, for a comment on a pull request' },
    report: { type: 'string', describe: 'Write one self-contained HTML page there' },
    data: dataOptions.data,
    metric: dataOptions.metric,
    'label-offset': dataOptions['label-offset'],
    limit: { type: 'number', describe: 'At most so many samples of the data' },
    ...deviceOptions,
    ...modelOptions,
  },
  examples: [
    ['compare old/ new/ --device pi@board', 'Which of two artifacts is faster'],
    ['compare int8/ --float --device pi@board --data samples/', 'What quantization brought'],
    [
      "compare old/ new/ --device pi@board --fail-if 'latency.p50 > +3%' --junit out.xml",
      'A gate: exit 10 where it is broken, 11 where it cannot be told',
    ],
  ],
  async run(args, context) {
    const [{ compareNetworks }, { parseLimit }, { renderComparison }, { renderComparisonMarkdown }, junit] =
      await Promise.all([
        import('../../run/compare/compare.ts'),
        import('../../run/budget.ts'),
        import('../../report/comparison-text.ts'),
        import('../../report/comparison-markdown.ts'),
        import('../../report/junit.ts'),
      ])
    const device = text(args, 'device')!
    const files = {
      junit: text(args, 'junit'),
      markdown: text(args, 'markdown'),
      report: text(args, 'report'),
    }
    const writeBaseline = text(args, 'write-baseline')
    for (const path of [files.junit, files.markdown, files.report, writeBaseline])
      if (path) await requireWritable(path)
    const request = {
      contest: contestOf(args),
      shapes: shapesOf(args),
      device,
      threads: threadCountOf(args),
      affinity: affinityOf(args),
      preset: comparePreset(args),
      blocks: number(args, 'blocks'),
      blockSeconds: number(args, 'block-seconds'),
      band: bandOf(args),
      seed: number(args, 'seed') ?? 1,
      data: text(args, 'data'),
      metric: text(args, 'metric'),
      limit: number(args, 'limit'),
      recipe: await recipeOf({ 'label-offset': args['label-offset'], seed: args['seed'] }),
      energy: energyOf(args),
      conditions: conditionsOf(args),
      limits: texts(args, 'fail-if').map(parseLimit),
      writeBaseline,
      connection: connectionOf(args, context),
    }
    const { writeFile } = await import('node:fs/promises')
    try {
      const comparison = await compareNetworks(request, context.progress)
      if (files.junit) await writeFile(files.junit, junit.renderJunit(comparison))
      if (files.markdown) await writeFile(files.markdown, renderComparisonMarkdown(comparison))
      if (files.report) {
        const { renderComparisonPage } = await import('../../report/page/comparison-page.ts')
        await writeFile(files.report, renderComparisonPage(comparison))
      }
      const statuses = comparison.gate.map(({ status }) => status)
      return {
        json: comparison,
        text: renderComparison(comparison),
        exitCode: statuses.includes('broken')
          ? exitCodes.gate
          : statuses.includes('inconclusive')
            ? exitCodes.inconclusive
            : exitCodes.ok,
      }
    } catch (thrown) {
      // CI reads the file, not the exit status: a board that is away must not look like no test at all
      const error = toEdgewrightError(thrown)
      if (files.junit && error.code !== 'INTERRUPTED')
        await writeFile(files.junit, junit.renderJunitError(error, device, new Date().toISOString()))
      throw error
    }
  },
}

function contestOf(args: Arguments): Contest {
  const [a, b, file] = [text(args, 'a')!, text(args, 'b'), text(args, 'baseline')]
  const usage = (message: string, where: string) =>
    new EdgewrightError('USAGE', message, {
      where,
      hint: 'edgewright compare A B, compare ARTIFACT --float, or compare B --baseline FILE.',
    })
  if (flag(args, 'float') && file) throw usage('A is either the float network or a baseline.', '--float')
  if (b !== undefined && (flag(args, 'float') || file))
    throw usage(
      'One network is enough: the other is named by the option.',
      flag(args, 'float') ? '--float' : '--baseline',
    )
  if (flag(args, 'force') && !file) throw usage('--force is about a baseline.', '--force')
  if (flag(args, 'float')) return { kind: 'float', b: a }
  if (file) return { kind: 'baseline', b: a, file, force: flag(args, 'force') }
  if (b !== undefined) return { kind: 'pair', a, b }
  // its figures alone are wanted: it is its own opponent, which also tests the device
  if (text(args, 'write-baseline')) return { kind: 'pair', a, b: a }
  throw usage('There is nothing to compare it with.', '<b>')
}

function comparePreset(args: Arguments): 'quick' | 'standard' {
  const preset = presetOf(args, 'measure') ?? 'standard'
  if (preset === 'quick' || preset === 'standard') return preset
  throw new EdgewrightError('USAGE', `compare has no preset ${preset}.`, {
    where: '--preset',
    hint: 'quick or standard; --blocks and --block-seconds make it longer.',
  })
}

function bandOf(args: Arguments): number {
  const written = text(args, 'band') ?? '1%'
  const match = /^(\d+(?:\.\d+)?)\s*%$/.exec(written.trim())
  if (match && Number(match[1]) < 100) return Number(match[1]) / 100
  throw new EdgewrightError('USAGE', `Not a band: ${JSON.stringify(written)}.`, {
    where: '--band',
    hint: 'Write --band 1%.',
  })
}

/** What cannot be written shows before the board is measured, not after. */
async function requireWritable(path: string): Promise<void> {
  const { access, constants } = await import('node:fs/promises')
  const { dirname, resolve } = await import('node:path')
  await access(dirname(resolve(path)), constants.W_OK).catch((error: Error) => {
    throw new EdgewrightError('USAGE', 'This cannot be written there.', {
      where: path,
      saw: error.message,
      hint: 'Name a file in a folder that exists.',
    })
  })
}
