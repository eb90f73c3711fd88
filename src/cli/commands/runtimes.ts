import type { RuntimeState } from '../../runtimes/add.ts'
import { type Command, text, texts } from '../command.ts'

export const runtimes: Command = {
  name: 'runtimes',
  describe: 'Runtime libraries that boards are sent',
  subcommands: [
    {
      name: 'list',
      describe: 'What can be fetched, and what is here',
      async run() {
        const { listRuntimes } = await import('../../runtimes/add.ts')
        const states = listRuntimes()
        return { json: { schemaVersion: 1, runtimes: states }, text: table(states) }
      },
    },
    {
      name: 'add',
      usage: '<name>',
      describe: 'Fetch a runtime with pip, or take it from a wheel',
      positionals: { name: { type: 'string', describe: 'litert or tflite' } },
      options: {
        from: { type: 'string', describe: 'A wheel that was downloaded elsewhere' },
        architecture: { type: 'string', array: true, describe: 'aarch64, x86_64; default: all' },
      },
      examples: [['runtimes add litert', 'LiteRT for arm64 and x64, from PyPI']],
      async run(args, context) {
        const { addRuntime } = await import('../../runtimes/add.ts')
        const from = text(args, 'from')
        const states = await addRuntime(text(args, 'name')!, {
          progress: context.progress,
          architectures: texts(args, 'architecture'),
          ...(from === undefined ? {} : { from }),
        })
        return { json: { schemaVersion: 1, runtimes: states }, text: table(states) }
      },
    },
  ],
}

function table(states: readonly RuntimeState[]): string {
  const line = ({ name, version, architecture, glibc, bytes, path, describe }: RuntimeState): string =>
    `${name.padEnd(7)} ${version.padEnd(6)} ${architecture.padEnd(8)} ${(bytes / 1e6).toFixed(1).padStart(4)} MB  glibc ${glibc}  ${path ?? '(not fetched)'}\n        ${describe}`
  return states.map(line).join('\n')
}
