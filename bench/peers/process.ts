import { spawnSync } from 'node:child_process'

/** A step may take long, but not for ever. */
const deadlineMs = 3_600_000

/** Runs a process to its end; its errors are shown when it fails. @returns what it printed */
export function run(command: string, ...args: string[]): string {
  const { status, signal, stdout, stderr, error } = spawnSync(command, args, {
    encoding: 'utf8',
    maxBuffer: 2 ** 28,
    timeout: deadlineMs,
    env: {
      ...process.env,
      TF_CPP_MIN_LOG_LEVEL: '2',
      TF_ENABLE_ONEDNN_OPTS: '0',
      PYTHONWARNINGS: 'ignore',
      PYTHONDONTWRITEBYTECODE: '1',
    },
  })
  if (status === 0) return stdout
  throw new Error(
    `${command} ${args.join(' ')}: ${error?.message ?? signal ?? `exit ${status}`}\n${stderr.slice(-4000)}`,
  )
}

/** The same for a process whose last line is a JSON document. */
export function runForJson<T>(command: string, ...args: string[]): T {
  return JSON.parse(
    run(command, ...args)
      .trim()
      .split('\n')
      .at(-1)!,
  )
}
