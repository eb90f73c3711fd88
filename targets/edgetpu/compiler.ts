import type { CompilerHost } from '../target.ts'
import { EdgewrightError } from '../../src/error.ts'
import { type CompilerReport, parseCompilerLog } from './compiler-log.ts'

export interface CompilerOptions {
  /** Program name or absolute path; `edgetpu_compiler` unless said otherwise. */
  readonly program?: string
  /** Oldest runtime on the boards, 10 to 14; the compiler's newest unless said otherwise. */
  readonly minRuntime?: number
  /** `-a`: several Edge TPU parts, with transfers between them. */
  readonly multipleSubgraphs?: boolean
  /** `-d`: try earlier cuts where the first does not compile. */
  readonly searchDelegate?: boolean
  /** What the compiler gives itself (its default is 180). */
  readonly timeoutSeconds?: number
  readonly signal?: AbortSignal
}

/** What the compiler made of a `.tflite` file. */
export interface Compiled {
  readonly model: Uint8Array
  readonly report: CompilerReport
  /** Of the compiler, cut at a bound. */
  readonly log: string
  readonly host: string
}

const program = 'edgetpu_compiler'
const customOperator = 'edgetpu-custom-op'
const stepDeadlineMs = 60_000
const mostModelBytes = 512 * 1024 * 1024
const chunkBytes = 8 * 1024 * 1024

/**
 * Compiles an int8 `.tflite` with Google's `edgetpu_compiler` on a host that has it.
 * Throws RUNTIME_MISSING where the host lacks it, TARGET_CANNOT_RUN where nothing of the network was mapped or the
 * compiler gave up, with its own words: what it did not make is never called an Edge TPU model.
 */
export async function compileForEdgeTpu(
  model: Uint8Array,
  host: CompilerHost,
  options: CompilerOptions = {},
): Promise<Compiled> {
  const limits = { deadlineMs: stepDeadlineMs, ...(options.signal ? { signal: options.signal } : {}) }
  await compilerVersion(host, options)
  const folder = await makeFolder(host, limits)
  try {
    await host.uploadBytes(model, `${folder}/model.tflite`, stepDeadlineMs)
    const timeoutSeconds = options.timeoutSeconds ?? 180
    const result = await host.exec(commandOf(folder, options), {
      ...limits,
      deadlineMs: (timeoutSeconds + 60) * 1000,
    })
    const log = `${result.stdout}\n${result.stderr}`.slice(0, 1 << 20)
    const report = parseCompilerLog(log)
    if (result.exitCode !== 0 || report.outcome === 'failed') throw compilationFailed(host, report, log)
    const compiled = await readWhole(host, `${folder}/model_edgetpu.tflite`)
    if (!isEdgeTpuModel(compiled)) throw nothingMapped(host, report)
    return { model: compiled, report, log, host: host.label }
  } finally {
    // a folder left behind is no reason to lose the result
    await host.exec(['rm', '-rf', '--', folder], limits).catch(() => undefined)
  }
}

/** The version that the host's compiler names. Throws RUNTIME_MISSING, with how to install it, where there is none. */
export async function compilerVersion(host: CompilerHost, options: CompilerOptions = {}): Promise<string> {
  const limits = { deadlineMs: stepDeadlineMs, ...(options.signal ? { signal: options.signal } : {}) }
  const command = [options.program ?? program, '--version']
  const result = await host.exec(command, limits).catch((error: unknown) => {
    // a program that cannot be started is absent; a host that cannot be reached is not
    if (error instanceof EdgewrightError && error.code === 'DEVICE_COMMAND_FAILED') return null
    throw error
  })
  if (result?.exitCode !== 0) throw await compilerMissing(host, command[0]!, limits)
  const version = parseCompilerLog(`${result.stdout}\n${result.stderr}`).version
  if (version === null)
    throw new EdgewrightError(
      'DEVICE_ANSWER_INVALID',
      `${command[0]} does not answer as the Edge TPU compiler does.`,
      {
        where: host.label,
        saw: firstLine(`${result.stdout}${result.stderr}`),
        hint: 'Give the path of Google’s edgetpu_compiler.',
      },
    )
  return version
}

/** True where a `.tflite` holds the compiler's custom operator. */
export function isEdgeTpuModel(model: Uint8Array): boolean {
  return Buffer.from(model.buffer, model.byteOffset, model.byteLength).includes(customOperator, 0, 'latin1')
}

/** The command line, in argv form; a host quotes it. */
export function commandOf(folder: string, options: CompilerOptions): string[] {
  const { minRuntime } = options
  if (minRuntime !== undefined && !(Number.isInteger(minRuntime) && minRuntime >= 10 && minRuntime <= 14))
    throw new EdgewrightError('RECIPE_INVALID', 'The runtime version of an Edge TPU is 10 to 14.', {
      saw: String(minRuntime),
    })
  return [
    options.program ?? program,
    '-s',
    '-t',
    String(options.timeoutSeconds ?? 180),
    ...(minRuntime === undefined ? [] : ['-m', String(minRuntime)]),
    ...(options.multipleSubgraphs ? ['-a'] : []),
    ...(options.searchDelegate ? ['-d'] : []),
    '-o',
    folder,
    `${folder}/model.tflite`,
  ]
}

type Limits = { readonly deadlineMs: number; readonly signal?: AbortSignal }

async function makeFolder(host: CompilerHost, limits: Limits): Promise<string> {
  const { exitCode, stdout, stderr } = await host.exec(
    ['mktemp', '-d', '/tmp/edgewright-edgetpu.XXXXXXXXXX'],
    limits,
  )
  const folder = stdout.trim()
  // what the host answers becomes an argument of `rm -rf`
  if (exitCode !== 0 || !/^\/tmp\/edgewright-edgetpu\.[A-Za-z0-9]{10}$/.test(folder))
    throw new EdgewrightError(
      'DEVICE_ANSWER_INVALID',
      'A temporary folder cannot be made on the computer with the Edge TPU compiler.',
      {
        where: host.label,
        saw: firstLine(stderr || stdout),
      },
    )
  return folder
}

async function readWhole(host: CompilerHost, path: string): Promise<Uint8Array> {
  const chunks: Uint8Array[] = []
  let total = 0
  for (;;) {
    const chunk = await host.readFrom(path, total, chunkBytes, stepDeadlineMs)
    if (chunk.byteLength === 0) break
    total += chunk.byteLength
    if (total > mostModelBytes)
      throw new EdgewrightError(
        'DEVICE_ANSWER_INVALID',
        'The compiled model is larger than any honest one.',
        { where: host.label, saw: `over ${mostModelBytes} bytes` },
      )
    chunks.push(chunk)
  }
  return new Uint8Array(Buffer.concat(chunks))
}

async function compilerMissing(host: CompilerHost, name: string, limits: Limits): Promise<EdgewrightError> {
  const machine = await host.exec(['uname', '-m'], limits).catch(() => null)
  const architecture = machine?.stdout.trim().slice(0, 32) ?? 'unknown'
  const elsewhere =
    'name an x86-64 Debian or Ubuntu computer that has it with --edgetpu-compiler ssh://user@host'
  const install =
    'curl https://packages.cloud.google.com/apt/doc/apt-key.gpg | sudo apt-key add - && ' +
    'echo "deb https://packages.cloud.google.com/apt coral-edgetpu-stable main" | sudo tee /etc/apt/sources.list.d/coral-edgetpu.list && ' +
    'sudo apt-get update && sudo apt-get install edgetpu-compiler'
  return new EdgewrightError('RUNTIME_MISSING', 'The Edge TPU compiler is not installed here.', {
    where: host.label,
    saw: `no ${name} (${architecture})`,
    hint:
      architecture === 'x86_64'
        ? `Install it (${install}), or ${elsewhere}. Until then the file is an int8 .tflite for LiteRT, not an Edge TPU model.`
        : `It exists for x86-64 Linux only: ${elsewhere}. Until then the file is an int8 .tflite for LiteRT, not an Edge TPU model.`,
  })
}

function compilationFailed(host: CompilerHost, report: CompilerReport, log: string): EdgewrightError {
  return new EdgewrightError('TARGET_CANNOT_RUN', 'The Edge TPU compiler did not compile the network.', {
    where: host.label,
    saw: report.errors[0] ?? firstLine(log),
    hint: 'Try -d (search for an earlier cut), or see `edgewright inspect --target edgetpu` for what to mend.',
  })
}

function nothingMapped(host: CompilerHost, report: CompilerReport): EdgewrightError {
  return new EdgewrightError('TARGET_CANNOT_RUN', 'The Edge TPU compiler mapped nothing of the network.', {
    where: host.label,
    saw: report.rows[0]
      ? `${report.rows[0].type}: ${report.rows[0].status}`
      : 'no edgetpu-custom-op in its output',
    hint: 'See `edgewright inspect --target edgetpu` for the first operator that stops it. The int8 .tflite runs with LiteRT.',
  })
}

function firstLine(text: string): string {
  return text.trim().split('\n')[0]!.slice(0, 200)
}
