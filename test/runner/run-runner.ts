import { spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { onnxRuntimeBuild } from '../../src/artifact/runtimes.ts'
import { type Collected, collect } from '../../src/measure/collect.ts'
import { encodePlan } from '../../src/measure/encode-plan.ts'
import { parseEvents } from '../../src/measure/events.ts'
import type { Plan, PlanArtifact, PlanStep } from '../../src/measure/plan.ts'
import { prebuiltRunner } from '../../src/measure/prebuilt-runner.ts'
import { fixture } from '../fixtures.ts'

/** False where the runner's x64 or arm64 binary can be executed on this computer as it is. */
export const runnerMissing: string | false =
  process.platform === 'linux' && ['x64', 'arm64'].includes(process.arch)
    ? false
    : 'the runner needs Linux on x64 or arm64'

const architecture = process.arch === 'arm64' ? 'aarch64' : 'x86_64'

export const kws = fixture('mlperf-tiny/kws_dscnn_float.onnx')
export const mnist = fixture('mnist/mnist_cntk.onnx')

export function library(): string {
  return onnxRuntimeBuild(architecture)!.path
}

export function runnerPath(): string {
  return prebuiltRunner(architecture).path
}

export function temporaryFolder(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'edgewright-runner-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

export function artifact(id: string, model: string, rest: Partial<PlanArtifact> = {}): PlanArtifact {
  return {
    id,
    backend: 'onnxruntime',
    library: library(),
    model,
    threads: 1,
    affinity: [],
    profile: false,
    inputs: [],
    seed: 7,
    ...rest,
  }
}

export function plan(
  artifacts: readonly PlanArtifact[],
  steps: readonly PlanStep[],
  rest: Partial<Plan> = {},
): Plan {
  return { schema: 1, artifacts, steps, sensors: [], sensorPeriodMs: 100, ...rest }
}

export interface RunnerResult {
  readonly status: number | null
  readonly signal: NodeJS.Signals | null
  readonly stderr: string
  readonly events: Uint8Array
  readonly collected: Collected
}

/** Runs a plan to its end. `onStart` gets the process, e.g. to kill it. */
export async function runPlan(
  folder: string,
  what: Plan | string,
  options: { onStart?: (pid: number) => void; events?: string } = {},
): Promise<RunnerResult> {
  const planPath = join(folder, 'plan.json')
  const eventsPath = options.events ?? join(folder, 'events.jsonl')
  writeFileSync(planPath, typeof what === 'string' ? what : encodePlan(what))
  const { status, signal, stderr } = await execute([planPath, eventsPath], options.onStart)
  const events = options.events === undefined ? readFileSync(eventsPath) : new Uint8Array()
  return { status, signal, stderr, events, collected: collect(parseEvents(events)) }
}

export function execute(
  args: readonly string[],
  onStart?: (pid: number) => void,
): Promise<{ status: number | null; signal: NodeJS.Signals | null; stdout: string; stderr: string }> {
  return new Promise((resolve, reject) => {
    const child = spawn(runnerPath(), args, {
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: 60_000,
      killSignal: 'SIGABRT',
    })
    let stdout = ''
    let stderr = ''
    child.stdout.on('data', (chunk) => (stdout += chunk))
    child.stderr.on('data', (chunk) => (stderr += chunk))
    child.on('error', reject)
    child.on('close', (status, signal) => resolve({ status, signal, stdout, stderr }))
    if (child.pid !== undefined) onStart?.(child.pid)
  })
}
