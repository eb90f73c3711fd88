import type { Command } from '../command.ts'

export const targets: Command = {
  name: 'targets',
  describe: 'The runtimes that Edgewright compiles for',
  async run() {
    const { targets: known } = await import('../../../targets/index.ts')
    const rows = Object.values(known).map((target) => ({
      name: target.name,
      available: target.available,
      describe: target.describe,
      schemes: target.schemes,
    }))
    const width = Math.max(...rows.map((row) => row.name.length))
    return {
      json: { schemaVersion: 1, targets: rows },
      text: rows
        .map((row) => `${row.name.padEnd(width)}  ${row.available ? '' : '(not built yet) '}${row.describe}`)
        .join('\n'),
    }
  },
}
