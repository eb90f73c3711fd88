import { spawn } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { EdgewrightError } from '../error.ts'
import { throwIfAborted } from '../progress.ts'
import type { PinnedRuntime, RuntimePin } from './pins.ts'

/** Ways to call pip, in the order in which they are tried. */
const callers: readonly (readonly string[])[] = [
  ['pip3'],
  ['pip'],
  ['python3', '-m', 'pip'],
  ['python', '-m', 'pip'],
]

const downloadDeadlineMs = 900_000

/** The command that fetches a wheel on any computer with pip. */
export function downloadCommand(runtime: PinnedRuntime, pin: RuntimePin): string[] {
  return [
    'python3',
    '-m',
    'pip',
    'download',
    ...selection(runtime, pin),
    `${runtime.package}==${runtime.version}`,
  ]
}

/** What makes pip take this wheel on any Python and any machine. */
function selection({ python }: PinnedRuntime, { platform }: RuntimePin): string[] {
  return [
    '--no-deps',
    '--only-binary=:all:',
    '--implementation',
    'cp',
    '--python-version',
    python,
    '--abi',
    `cp${python.replace('.', '')}`,
    '--platform',
    platform,
  ]
}

/**
 * Downloads a pinned wheel into a folder with the user's own pip, settings and index; pip checks the digest.
 *
 * @returns the wheel's path
 * @throws EdgewrightError RUNTIME_MISSING without pip, or where pip fails; INTERRUPTED
 */
export async function downloadWheel(
  runtime: PinnedRuntime,
  pin: RuntimePin,
  folder: string,
  signal: AbortSignal,
): Promise<string> {
  throwIfAborted(signal)
  const requirements = join(folder, 'requirements.txt')
  writeFileSync(requirements, `${runtime.package}==${runtime.version} --hash=sha256:${pin.sha256}\n`)
  const rest = [
    'download',
    '--quiet',
    '--disable-pip-version-check',
    '--no-input',
    ...selection(runtime, pin),
    '--require-hashes',
    '-r',
    requirements,
    '-d',
    folder,
  ]
  for (const [program, ...start] of callers) {
    const answer = await run(program!, [...start, ...rest], signal)
    if (answer === 'absent') continue
    if (answer.status === 0) return join(folder, pin.file)
    // python without pip, or pip's shim without a python
    if (/No module named '?pip|command not found/.test(answer.stderr)) continue
    throw new EdgewrightError(
      'RUNTIME_MISSING',
      `pip could not download ${runtime.package} ${runtime.version}.`,
      {
        where: pin.file,
        saw:
          answer.stderr
            .trim()
            .split('\n')
            .findLast((line) => line.startsWith('ERROR')) ?? answer.stderr.trim().split('\n').at(-1),
        hint: byHand(runtime, pin),
      },
    )
  }
  throw new EdgewrightError(
    'RUNTIME_MISSING',
    'There is no pip on this computer to download the runtime with.',
    {
      where: pin.file,
      hint: byHand(runtime, pin),
    },
  )
}

function byHand(runtime: PinnedRuntime, pin: RuntimePin): string {
  return `Where there is a pip, run: ${downloadCommand(runtime, pin).join(' ')}; then here: edgewright runtimes add ${runtime.name} --from ${pin.file}`
}

type Answer = 'absent' | { readonly status: number | null; readonly stderr: string }

function run(program: string, args: readonly string[], signal: AbortSignal): Promise<Answer> {
  return new Promise((resolve, reject) => {
    // not spawn's own timeout: its timer outlives a program that is not there, and with it this process
    const deadline = AbortSignal.timeout(downloadDeadlineMs)
    const child = spawn(program, args, {
      stdio: ['ignore', 'ignore', 'pipe'],
      signal: AbortSignal.any([signal, deadline]),
    })
    let stderr = ''
    child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
      stderr = (stderr + chunk).slice(-20_000)
    })
    child.on('error', (cause: NodeJS.ErrnoException) => {
      if (cause.code === 'ENOENT' || cause.code === 'EACCES') resolve('absent')
      else if (signal.aborted) reject(new EdgewrightError('INTERRUPTED', 'Interrupted.', { cause }))
      else if (deadline.aborted)
        resolve({ status: null, stderr: `pip did not end in ${downloadDeadlineMs / 60_000} minutes` })
      else
        reject(new EdgewrightError('RUNTIME_MISSING', 'pip could not be started.', { where: program, cause }))
    })
    child.on('close', (status) => resolve({ status, stderr }))
  })
}
