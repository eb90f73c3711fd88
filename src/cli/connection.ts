import type { ConnectionOptions } from '../run/open-device.ts'
import type { SecretQuestion } from '../deploy/ssh-auth.ts'
import { type Arguments, type CommandContext, text } from './command.ts'

export function connectionOf(args: Arguments, context: CommandContext): ConnectionOptions {
  return {
    identity: text(args, 'identity'),
    hostKey: text(args, 'host-key'),
    knownHosts: text(args, 'known-hosts'),
    root: text(args, 'root'),
    askSecret: context.interactive
      ? async (question) =>
          context.ask(describeSecret(question), question.kind !== 'question' || !question.echo)
      : undefined,
    confirmHostKey: context.interactive
      ? async ({ host, fingerprint, keyType }) => {
          const answer = await context.ask(
            `The host key of ${host} is not known.\n${keyType} ${fingerprint}\nIs this the board's key? (yes/no) `,
          )
          return answer.trim().toLowerCase() === 'yes'
        }
      : undefined,
  }
}

function describeSecret(question: SecretQuestion): string {
  if (question.kind === 'password') return `Password of ${question.user}@${question.host}: `
  if (question.kind === 'passphrase') return `Passphrase of ${question.path}: `
  return `${question.user}@${question.host}: ${question.text} `
}
