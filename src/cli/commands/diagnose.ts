import { writeFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import { EdgewrightError } from '../../error.ts'
import { calibrationCacheOf, recipeOf, shapesOf } from '../arguments.ts'
import { type Arguments, type Command, number, text } from '../command.ts'
import { dataOptions, modelOptions, presetOption, recipeOptions } from '../options.ts'

export const diagnose: Command = {
  name: 'diagnose',
  usage: '<subject>',
  describe: 'Where int8 loses its nearness to float, tensor by tensor: the cause in words and what helps',
  positionals: {
    subject: {
      type: 'string',
      describe: 'A trained network, or an artifact folder (made again of its model)',
    },
  },
  options: {
    profile: {
      type: 'string',
      describe: "A board or the path of a profile; default: the artifact's, else this-computer",
    },
    target: { type: 'string', describe: "A runtime (edgewright targets); default: the profile's best" },
    limit: { type: 'number', describe: 'Look at so many samples (default 16)' },
    try: {
      type: 'number',
      describe: 'Try the remedies of so many of the worst tensors, and say what they give',
    },
    worst: { type: 'number', describe: 'Show so many tensors (default 10)' },
    report: { type: 'string', describe: 'Write the HTML report there: all tensors, sortable, with a plot' },
    ...dataOptions,
    ...presetOption,
    ...recipeOptions,
    ...modelOptions,
  },
  examples: [
    ['diagnose net.onnx --data samples/ --profile raspberry-pi-5', 'The worst tensors and why'],
    ['diagnose net.onnx --data samples/ --try 3 --report out.html', 'With remedies tried'],
  ],
  async run(args, context) {
    const [{ diagnoseModel, fewSamples }, { remakingOf }, { renderFidelity }, { printable }] =
      await Promise.all([
        import('../../compile/diagnose/diagnose.ts'),
        import('../../compile/diagnose/subject.ts'),
        import('../../report/fidelity-table.ts'),
        import('../../report/format.ts'),
      ])
    const subject = text(args, 'subject')!
    const remaking = await remakingOf(subject)
    const diagnosed = await diagnoseModel(
      {
        model: remaking?.model ?? subject,
        shapes: { ...remaking?.shapes, ...shapesOf(args) },
        signature: text(args, 'signature'),
        data: text(args, 'data'),
        calibrationData: text(args, 'calibration-data'),
        calibrationCache: calibrationCacheOf(args),
        metric: text(args, 'metric'),
        recipe: await recipeOf(args, remaking?.recipe),
        profile: text(args, 'profile') ?? remaking?.profile ?? 'this-computer',
        target: text(args, 'target') ?? remaking?.target,
        limit: count(args, 'limit', 1) ?? fewSamples,
        tries: count(args, 'try', 0) ?? 0,
        artifact: remaking?.artifact ?? null,
      },
      context.progress,
    )
    const document = { schemaVersion: 1, ...diagnosed, warnings: context.progress.warnings } as const
    const report = text(args, 'report')
    if (report) {
      const { renderDiagnosis } = await import('../../report/page/fidelity-page.ts')
      await writeFile(resolve(report), renderDiagnosis(document))
    }
    const { model, profile, target, scheme } = diagnosed
    const table = renderFidelity(diagnosed.diagnosis, {
      color: context.colour,
      width: context.width,
      worst: count(args, 'worst', 1) ?? 10,
    })
    return {
      json: document,
      text: [
        printable(`${model.path}  ${scheme} for ${profile} on ${target}`),
        table,
        ...(report ? ['', `report    ${resolve(report)}`] : []),
      ].join('\n'),
    }
  },
}

function count(args: Arguments, name: string, least: number): number | undefined {
  const value = number(args, name)
  if (value === undefined || (Number.isInteger(value) && value >= least)) return value
  throw new EdgewrightError('USAGE', `Not a count: ${JSON.stringify(text(args, name))}.`, {
    where: `--${name}`,
    hint: `Write --${name} ${Math.max(least, 3)}.`,
  })
}
