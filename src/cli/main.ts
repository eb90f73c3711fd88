import yargs, { type Argv } from 'yargs'
import { edgewrightVersion } from '../artifact/version.ts'
import { EdgewrightError, exitCodes, toEdgewrightError } from '../error.ts'
import type { Command, CommandContext } from './command.ts'
import { commands } from './commands/index.ts'
import { ask } from './ask.ts'
import { createProgressView, type ProgressView } from './progress-view.ts'
import { sanitize } from './sanitize.ts'

/**
 * Runs one command line (without `node` and the script) and gives the exit status.
 * With `--json` exactly one document goes to standard output, failures included; all else goes to standard error.
 */
export async function main(argv: readonly string[]): Promise<number> {
  const json = argv.some((argument) => argument === '--json' || argument === '--json=true')
  let exitCode: number = exitCodes.ok
  const parser = commands
    .reduce(
      (cli, command) =>
        register(cli, command, async (chosen, args) => {
          exitCode = await execute(chosen, args, json)
        }),
      yargs(withNegativeValues(argv)).scriptName('edgewright') as Argv,
    )
    .usage(
      '$0 <command> [options]\n\nMakes the int8 version of a network that each board runs best, puts it there, and measures it.',
    )
    .option('json', { type: 'boolean', describe: 'Print one JSON document on standard output', global: true })
    .demandCommand(1, 'Name a command.')
    .strict()
    .updateStrings({
      'Unknown argument: %s': {
        one: 'There is no such command or option: %s',
        other: 'There are no such commands or options: %s',
      } as never,
      'Not enough non-option arguments: got %s, need at least %s': {
        one: 'Something is missing after the command: got %s, need %s',
        other: 'Something is missing after the command: got %s, need %s',
      } as never,
    })
    .recommendCommands()
    .version(edgewrightVersion())
    .help()
    .alias('help', 'h')
    .wrap(Math.min(110, process.stdout.columns || 100))
    .exitProcess(false)
    .parserConfiguration({ 'duplicate-arguments-array': true, 'greedy-arrays': false })
    .fail((message, error) => {
      if (error) throw error
      throw new EdgewrightError('USAGE', message, {
        hint: 'edgewright --help lists commands, edgewright COMMAND --help what one takes.',
      })
    })
  try {
    await parser.parseAsync()
  } catch (error) {
    return printError(toEdgewrightError(error), json)
  }
  return exitCode
}

/** `--max-drop -1%` as `--max-drop=-1%`, `--out -` as `--out=-`: neither can be an option, so it is a value. */
function withNegativeValues(argv: readonly string[]): string[] {
  const joined: string[] = []
  for (const argument of argv)
    if (/^-(?:[\d.]|$)/.test(argument) && /^--[a-z][a-z-]*$/.test(joined.at(-1) ?? ''))
      joined.push(`${joined.pop()}=${argument}`)
    else joined.push(argument)
  return joined
}

function register(
  cli: Argv,
  command: Command,
  onRun: (command: Command, args: Record<string, unknown>) => Promise<void>,
): Argv {
  return cli.command(
    [command.name, command.usage].filter(Boolean).join(' '),
    command.describe,
    (builder) => {
      for (const [name, spec] of Object.entries(command.positionals ?? {})) builder.positional(name, spec)
      for (const [name, spec] of Object.entries(command.options ?? {})) builder.option(name, spec)
      for (const [line, what] of command.examples ?? []) builder.example(`$0 ${line}`, what)
      for (const subcommand of command.subcommands ?? []) register(builder, subcommand, onRun)
      // the bare name takes what the subcommand that it means takes, and asks for nothing itself
      const meant = command.subcommands?.find(({ name }) => name === command.bare)
      for (const [name, option] of Object.entries(meant?.options ?? {}))
        builder.option(name, { ...option, demandOption: false })
      return builder
    },
    async (args) => {
      const chosen = command.run ? command : command.subcommands?.find(({ name }) => name === command.bare)
      const missing = Object.entries(chosen?.options ?? {}).find(
        ([name, option]) => option.demandOption === true && args[name] === undefined,
      )
      if (missing)
        throw new EdgewrightError('USAGE', `${command.name} ${chosen!.name} needs --${missing[0]}.`, {
          where: `--${missing[0]}`,
          hint: String(missing[1].describe ?? ''),
        })
      if (chosen) await onRun(chosen, args)
    },
  )
}

async function execute(command: Command, args: Record<string, unknown>, json: boolean): Promise<number> {
  const interrupt = new AbortController()
  const onSignal = () => {
    // a second Ctrl-C does not wait for the clean-up
    if (interrupt.signal.aborted) process.exit(exitCodes.interrupted)
    process.stderr.write('\nInterrupted: leaving things as they were found (again to stop at once).\n')
    interrupt.abort()
  }
  process.on('SIGINT', onSignal)
  process.on('SIGTERM', onSignal)
  const view = createProgressView(process.stderr, interrupt.signal)
  try {
    const answer = await command.run!(args, contextOf(view, json))
    view.finish()
    process.stdout.write(
      json
        ? `${JSON.stringify(answer.json, null, 2)}\n`
        : answer.text.endsWith('\n')
          ? answer.text
          : `${answer.text}\n`,
    )
    return answer.exitCode ?? exitCodes.ok
  } catch (error) {
    view.finish()
    return printError(
      interrupt.signal.aborted
        ? new EdgewrightError('INTERRUPTED', 'Interrupted.', { cause: error })
        : toEdgewrightError(error),
      json,
    )
  } finally {
    process.off('SIGINT', onSignal)
    process.off('SIGTERM', onSignal)
  }
}

function contextOf(view: ProgressView, json: boolean): CommandContext {
  const interactive = Boolean(process.stdin.isTTY && process.stderr.isTTY)
  return {
    progress: view,
    json,
    interactive,
    colour: Boolean(process.stdout.isTTY) && process.env['NO_COLOR'] === undefined,
    width: process.stdout.columns || 110,
    ask: (question, secret) => {
      view.pause()
      return ask(question, secret ?? false)
    },
  }
}

function printError(error: EdgewrightError, json: boolean): number {
  if (json) process.stdout.write(`${JSON.stringify({ schemaVersion: 1, error: error.toJSON() }, null, 2)}\n`)
  process.stderr.write(renderError(error))
  if (process.env['EDGEWRIGHT_DEBUG'])
    process.stderr.write(`${error.stack}\n${error.cause instanceof Error ? `${error.cause.stack}\n` : ''}`)
  return error.exitCode
}

function renderError(error: EdgewrightError): string {
  const lines = [`error ${error.code}: ${error.message}`]
  if (error.where) lines.push(`  where: ${error.where}`)
  if (error.saw) lines.push(`  saw:   ${error.saw}`)
  if (error.hint) lines.push(`  do:    ${error.hint}`)
  return `${lines.map(sanitize).join('\n')}\n`
}
