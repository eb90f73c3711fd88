import type { Options, PositionalOptions } from 'yargs'
import type { Progress, Warning } from '../progress.ts'

/** What a command answers: one JSON document, or the same for people. */
export interface CommandAnswer {
  /** The one document of `--json`. */
  readonly json: unknown
  readonly text: string
  /** Exit status where it is not 0, e.g. a failed gate. */
  readonly exitCode?: number
}

export interface CommandContext {
  readonly progress: Progress & { readonly warnings: Warning[] }
  readonly json: boolean
  /** True where a person can be asked. */
  readonly interactive: boolean
  readonly colour: boolean
  readonly width: number
  /** Asks a question on the terminal; the answer is hidden where `secret`. */
  ask(question: string, secret?: boolean): Promise<string>
}

/** A command is data: what it is called, what it takes, and what it does. Handlers import their work when called. */
export interface Command {
  readonly name: string
  /** `<model>` or `[run]` after the name. */
  readonly usage?: string
  readonly describe: string
  readonly positionals?: Readonly<Record<string, PositionalOptions>>
  readonly options?: Readonly<Record<string, Options>>
  readonly examples?: readonly (readonly [string, string])[]
  readonly subcommands?: readonly Command[]
  /** The subcommand that the bare name means. */
  readonly bare?: string
  run?(args: Arguments, context: CommandContext): Promise<CommandAnswer>
}

/** Parsed arguments by name, as yargs gives them. */
export type Arguments = Readonly<Record<string, unknown>>

export function text(args: Arguments, name: string): string | undefined {
  const value = args[name]
  return value === undefined || value === null
    ? undefined
    : String(Array.isArray(value) ? value.at(-1) : value)
}

export function texts(args: Arguments, name: string): string[] {
  const value = args[name]
  if (value === undefined || value === null) return []
  return (Array.isArray(value) ? value : [value]).map(String)
}

export function number(args: Arguments, name: string): number | undefined {
  const value = args[name]
  // the last of several, as with text
  return value === undefined ? undefined : Number(Array.isArray(value) ? value.at(-1) : value)
}

export function flag(args: Arguments, name: string): boolean {
  return args[name] === true
}
