import { EdgewrightError } from '../error.ts'
import { printable } from './printable.ts'

/** A connection as the user names it, before ssh_config has its say. */
export type ConnectionSpec =
  | { readonly kind: 'local' }
  | {
      readonly kind: 'ssh'
      readonly host: string
      readonly user?: string
      readonly port?: number
      /** `openssh://`: through OpenSSH's own client. */
      readonly openSsh?: boolean
    }

/** `local:`, `ssh://user@host:port`, `openssh://…`, `user@host`, `user@host:port`, a Host alias. DEVICE_UNKNOWN for anything else. */
export function parseConnectionSpec(spec: string): ConnectionSpec {
  const text = spec.trim()
  if (text === 'local:' || text === 'local') return { kind: 'local' }
  const match =
    /^(?:(?:open)?ssh:\/\/)?(?:([^@/\s]+)@)?(\[[0-9A-Fa-f:.%\w]+\]|[A-Za-z0-9_][A-Za-z0-9._-]*)(?::(\d{1,5}))?\/?$/.exec(
      text,
    )
  if (match === null)
    throw unreadable(
      spec,
      'It is none of local:, ssh:// or openssh://user@host:port, user@host, or a Host of ~/.ssh/config.',
    )
  const [, user, hostText, portText] = match
  const host = hostText!.replace(/^\[|\]$/g, '')
  if (user !== undefined) checkUser(spec, user)
  const port = portText === undefined ? undefined : Number(portText)
  if (port !== undefined && (port < 1 || port > 65535))
    throw unreadable(spec, `Port ${port} is not in 1 to 65535.`)
  return {
    kind: 'ssh',
    host,
    ...(user === undefined ? {} : { user }),
    ...(port === undefined ? {} : { port }),
    ...(text.startsWith('openssh:') ? { openSsh: true } : {}),
  }
}

/** A login name goes to `ssh -G` and into token expansion: nothing that either could take for something else. */
function checkUser(spec: string, user: string): void {
  if (user.includes(':'))
    throw unreadable(
      spec.replace(user, '…'),
      'A password does not belong in the address; set EDGEWRIGHT_SSH_PASSWORD or answer the prompt.',
    )
  if (!/^[A-Za-z0-9_][A-Za-z0-9._\\$-]*$/.test(user))
    throw unreadable(spec, 'The user name holds characters that login names do not have.')
}

function unreadable(spec: string, why: string): EdgewrightError {
  return new EdgewrightError('DEVICE_UNKNOWN', `"${printable(spec)}" is not a connection.`, {
    where: printable(spec),
    saw: why,
    hint: 'Use local:, ssh:// or openssh://user@host:port, user@host, or the name of a Host in ~/.ssh/config.',
  })
}
