import { EdgewrightError } from '../../error.ts'
import { type Command, flag, text } from '../command.ts'

export const runs: Command = {
  name: 'runs',
  describe: 'Runs kept under .edgewright/runs',
  bare: 'list',
  subcommands: [
    {
      name: 'list',
      describe: 'All runs, newest first',
      async run() {
        const { listRuns } = await import('../../store/runs.ts')
        const { describeRunList } = await import('../../run/listing.ts')
        const rows = await listRuns('.edgewright')
        return { json: { schemaVersion: 1, runs: rows }, text: describeRunList(rows) }
      },
    },
    {
      name: 'show',
      usage: '<run>',
      describe: 'The table of one run',
      positionals: { run: { type: 'string', describe: "A run's id, the start of one, or 'latest'" } },
      async run(args, context) {
        const [{ loadRun }, { renderTable }] = await Promise.all([
          import('../../store/runs.ts'),
          import('../../report/table.ts'),
        ])
        const document = await loadRun('.edgewright', text(args, 'run')!)
        return {
          json: document,
          text: renderTable(document, { color: context.colour, width: context.width }),
        }
      },
    },
    {
      name: 'export',
      usage: '<run>',
      describe: 'Figures or samples of one run for other programs',
      positionals: { run: { type: 'string', describe: "A run's id, the start of one, or 'latest'" } },
      options: {
        format: { type: 'string', choices: ['csv', 'json'], default: 'csv', describe: 'csv or json' },
        out: { type: 'string', default: '-', describe: 'File to write; - is standard output' },
        samples: {
          type: 'boolean',
          describe: 'Every latency, sensor and power sample with its time, in place of the figures',
        },
      },
      examples: [['runs export latest --out figures.csv', 'One line a result; names hold units']],
      async run(args, context) {
        const { exportRun, writeExport } = await import('../../run/export.ts')
        const [format, out] = [text(args, 'format') === 'json' ? 'json' : 'csv', text(args, 'out')!] as const
        if (out === '-' && context.json)
          throw new EdgewrightError('USAGE', 'An export to standard output and --json are two documents.', {
            where: '--out',
            hint: 'Name a file with --out, or leave --json out.',
          })
        const pieces = await exportRun('.edgewright', text(args, 'run')!, format, flag(args, 'samples'))
        if (out === '-') return { json: null, text: [...pieces].join('') }
        await writeExport(pieces, out)
        return { json: { schemaVersion: 1, out, format }, text: `written   ${out}` }
      },
    },
  ],
}
