import { existsSync, readFileSync } from 'node:fs'
import ssh2, {
  type AuthenticationType,
  type AuthHandlerMiddleware,
  type BaseAgent,
  type ParsedKey,
} from 'ssh2'
import type { SshSettings } from './ssh-config.ts'
import { printable } from './printable.ts'

/** A secret that only the user can give. The answer is used once and kept nowhere. */
export type SecretQuestion =
  | { readonly kind: 'password'; readonly user: string; readonly host: string; readonly attempt: number }
  | { readonly kind: 'passphrase'; readonly path: string; readonly attempt: number }
  /** A keyboard-interactive question in the board's own words (made printable). */
  | {
      readonly kind: 'question'
      readonly user: string
      readonly host: string
      readonly text: string
      readonly echo: boolean
    }

/** Null means: no answer. */
export type SecretPrompt = (question: SecretQuestion) => Promise<string | null>

export interface AuthOptions {
  /** A key file that is tried first, as `ssh -i`. */
  readonly identity?: string
  /** From EDGEWRIGHT_SSH_PASSWORD; tried once, before the prompt. */
  readonly password?: string
  readonly prompt?: SecretPrompt
}

/** What the server says it takes after a failure; null before the first. */
type MethodsLeft = readonly AuthenticationType[] | null
type Attempt = Parameters<Parameters<AuthHandlerMiddleware>[2]>[0]

/**
 * The order of authentication: agent, key files, then password or keyboard-interactive by environment or prompt.
 * `tried` collects what was tried in words for the error; it never holds a secret.
 */
export class Authentication {
  readonly tried: string[] = []
  #methodsLeft: MethodsLeft = null
  readonly #attempts: AsyncGenerator<Attempt>

  constructor(settings: SshSettings, options: AuthOptions) {
    this.#attempts = this.#sequence(settings, options)
  }

  /** For ssh2's `authHandler`. */
  readonly handler = (
    methodsLeft: MethodsLeft,
    _partial: boolean | null,
    next: (attempt: Attempt | false) => void,
  ): void => {
    this.#methodsLeft = methodsLeft
    this.#attempts.next().then(
      (step) => next(step.done === true ? false : step.value),
      (error: Error) => {
        this.tried.push(printable(error.message))
        next(false)
      },
    )
  }

  #accepts(method: AuthenticationType): boolean {
    return this.#methodsLeft === null || this.#methodsLeft.includes(method)
  }

  async *#sequence(settings: SshSettings, options: AuthOptions): AsyncGenerator<Attempt> {
    const username = settings.user
    // Asking for the list first costs one round trip and keeps a password prompt from coming up in vain.
    yield { type: 'none', username } as Attempt
    if (this.#accepts('publickey')) {
      const keys = loadIdentities(settings, options)
      if (settings.identityAgent !== null) {
        const only = settings.identitiesOnly || options.identity !== undefined ? keys : null
        const agent = agentFor(settings.identityAgent, only)
        if (typeof agent === 'string') this.tried.push(agent)
        else {
          this.tried.push('agent')
          yield { type: 'agent', username, agent } as Attempt
        }
      }
      for (const identity of keys) {
        if (!this.#accepts('publickey')) break
        const key = await unlock(identity, options.prompt)
        if (typeof key === 'string') {
          this.tried.push(`${identity.path} (${key})`)
          continue
        }
        this.tried.push(identity.path)
        yield { type: 'publickey', username, key } as Attempt
      }
    }
    for (let attempt = 0; attempt < 4; attempt++) {
      const asks = this.#accepts('password')
        ? 'password'
        : this.#accepts('keyboard-interactive')
          ? 'keyboard-interactive'
          : null
      if (asks === null) return
      if (attempt === 0 && options.password === undefined) continue
      if (attempt > 0 && options.prompt === undefined) return
      if (asks === 'keyboard-interactive') {
        this.tried.push(asks)
        yield {
          type: 'keyboard-interactive',
          username,
          prompt: answerer(settings, options, attempt),
        } as Attempt
        continue
      }
      const password =
        attempt === 0
          ? options.password!
          : await options.prompt!({ kind: 'password', user: username, host: settings.alias, attempt })
      if (password === null) return
      this.tried.push(attempt === 0 ? 'password (EDGEWRIGHT_SSH_PASSWORD)' : 'password')
      yield { type: 'password', username, password } as Attempt
    }
  }
}

interface Identity {
  readonly path: string
  /** The private key's text, or null where only the public half is at hand (the agent may hold the rest). */
  readonly text: Buffer | null
  /** The public half where it can be had without a passphrase, to pick it out of the agent. */
  readonly publicKey: Buffer | null
}

/** Key files that exist; the one named with --identity must. */
function loadIdentities(settings: SshSettings, options: AuthOptions): Identity[] {
  const paths = options.identity === undefined ? settings.identityFiles : [options.identity]
  const identities: Identity[] = []
  for (const path of paths) {
    const text = readKeyFile(path)
    const publicText = readKeyFile(`${path}.pub`)
    if (text === null && publicText === null) continue
    const parsed = [publicText, text]
      .map((one) => (one === null ? null : firstKey(ssh2.utils.parseKey(one))))
      .find((key) => key !== null)
    identities.push({ path, text, publicKey: parsed?.getPublicSSH() ?? null })
  }
  return identities
}

function readKeyFile(path: string): Buffer | null {
  try {
    return existsSync(path) ? readFileSync(path) : null
  } catch {
    return null
  }
}

function firstKey(parsed: ParsedKey | ParsedKey[] | Error): ParsedKey | null {
  if (parsed instanceof Error) return null
  return (Array.isArray(parsed) ? parsed[0] : parsed) ?? null
}

/** The private key, asking for its passphrase up to three times; or in a few words why not. */
async function unlock(identity: Identity, prompt: SecretPrompt | undefined): Promise<ParsedKey | string> {
  if (identity.text === null) return 'no private key'
  let parsed = ssh2.utils.parseKey(identity.text)
  for (let attempt = 1; parsed instanceof Error && /passphrase|encrypted/i.test(parsed.message); attempt++) {
    if (prompt === undefined) return 'needs a passphrase, and nobody can be asked'
    if (attempt > 3) return 'wrong passphrase'
    const passphrase = await prompt({ kind: 'passphrase', path: identity.path, attempt })
    if (passphrase === null) return 'no passphrase given'
    parsed = ssh2.utils.parseKey(identity.text, passphrase)
    if (parsed instanceof Error && attempt >= 3) return 'wrong passphrase'
    if (parsed instanceof Error) parsed = ssh2.utils.parseKey(identity.text)
  }
  if (parsed instanceof Error) return 'a kind of key that is not supported'
  const key = firstKey(parsed)
  return key?.isPrivateKey() ? key : 'not a private key'
}

/** The agent, narrowed to the configured keys where ssh_config or --identity asks for that; or why it is left out. */
function agentFor(socketPath: string, only: readonly Identity[] | null): BaseAgent | string {
  if (process.platform !== 'win32' && !existsSync(socketPath)) return 'agent (no socket)'
  const agent = ssh2.createAgent(socketPath) as BaseAgent
  if (only === null) return agent
  const wanted = only.flatMap((identity) => (identity.publicKey === null ? [] : [identity.publicKey]))
  const all = agent.getIdentities.bind(agent)
  agent.getIdentities = (callback) =>
    all((error, keys) => {
      if (error) return callback(error)
      callback(
        null,
        (keys ?? []).filter((key) => wanted.some((one) => one.equals(publicBytes(key)))),
      )
    })
  return agent
}

function publicBytes(key: unknown): Buffer {
  if (Buffer.isBuffer(key)) return key
  const parsed = ssh2.utils.parseKey(key as Buffer)
  return firstKey(parsed)?.getPublicSSH() ?? Buffer.alloc(0)
}

type Answer = (
  name: string,
  instructions: string,
  lang: string,
  prompts: { prompt: string; echo?: boolean }[],
  finish: (answers: string[]) => void,
) => void

/** Answers keyboard-interactive questions: the password for the first hidden one, the user for the others. */
function answerer(settings: SshSettings, options: AuthOptions, attempt: number): Answer {
  return (_name, _instructions, _lang, prompts, finish) => {
    const answers = prompts.slice(0, 8).map(async (question) => {
      const echo = question.echo === true
      if (attempt === 0 && !echo && options.password !== undefined) return options.password
      const text = printable(question.prompt)
      return (
        (await options.prompt?.({
          kind: 'question',
          user: settings.user,
          host: settings.alias,
          text,
          echo,
        })) ?? ''
      )
    })
    Promise.all(answers).then(finish, () => finish([]))
  }
}
