import { type Command, text } from '../command.ts'

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
  ],
}
