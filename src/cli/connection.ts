import { type Arguments, type CommandContext, text } from './command.ts'

/** How to reach boards, as flags and the terminal give it. */
export interface ConnectionChoices {
  readonly identity: string | undefined
  readonly hostKey: string | undefined
  readonly knownHosts: string | undefined
  readonly root: string | undefined
  /** Asked only where a person is there. */
  readonly askSecret: ((question: string) => Promise<string>) | undefined
  readonly confirmHostKey: ((host: string, fingerprint: string, keyType: string) => Promise<boolean>) | undefined
}

export function connectionOf(args: Arguments, context: CommandContext): ConnectionChoices {
  return {
    identity: text(args, 'identity'),
    hostKey: text(args, 'host-key'),
    knownHosts: text(args, 'known-hosts'),
    root: text(args, 'root'),
    askSecret: context.interactive ? (question) => context.ask(question, true) : undefined,
    confirmHostKey: context.interactive
      ? async (host, fingerprint, keyType) => {
          const answer = await context.ask(`The host key of ${host} is not known.\n${keyType} ${fingerprint}\nIs this the board's key? (yes/no) `)
          return answer.trim().toLowerCase() === 'yes'
        }
      : undefined,
  }
}
