import { join } from 'node:path'
import { onnxRuntimeBuild } from '../../src/artifact/runtimes.ts'
import { ensureBlob } from '../../src/deploy/blobs.ts'
import type { RunRequest } from '../../src/deploy/run.ts'
import type { Device } from '../../src/deploy/types.ts'
import { encodePlan } from '../../src/measure/encode-plan.ts'
import type { Plan, PlanArtifact } from '../../src/measure/plan.ts'
import { prebuiltRunner } from '../../src/measure/prebuilt-runner.ts'
import { repositoryRoot } from '../fixtures.ts'

/** A digit network that is in the repository. */
export const mnistModel = join(repositoryRoot, 'examples/mnist/mnist.onnx')

/** The prebuilt runner and ONNX Runtime as they stand on a board. */
export interface Tools {
  readonly runner: string
  readonly library: string
}

export async function installTools(device: Device): Promise<Tools> {
  const runner = prebuiltRunner(device.facts.architecture)
  const build = onnxRuntimeBuild(device.facts.architecture)
  if (!build) throw new Error(`no ONNX Runtime for ${device.facts.architecture}`)
  const { path } = await ensureBlob(device, runner.path, runner.sha256, { executable: true })
  return { runner: path, library: (await ensureBlob(device, build.path, build.sha256)).path }
}

export function planArtifact(tools: Tools, model: string): PlanArtifact {
  return {
    id: 'model',
    backend: 'onnxruntime',
    library: tools.library,
    model,
    threads: 1,
    affinity: [],
    profile: false,
    inputs: [],
    seed: 1,
  }
}

/** Measures `count` inferences, no more and no fewer, at a fixed rate (0: flat out). */
export function countedPlan(tools: Tools, model: string, count: number, rateHz: number): Plan {
  const bounds = { minCount: count, minSeconds: 0, maxCount: count, maxSeconds: 300 }
  return {
    schema: 1,
    artifacts: [planArtifact(tools, model)],
    steps: [{ do: 'measure', artifact: 'model', rateHz, ...bounds }],
    sensors: [],
    sensorPeriodMs: 1000,
  }
}

/** A run of the plan under this id; its events land where followRun looks for them. */
export function planRun(
  device: Device,
  tools: Tools,
  id: string,
  plan: Plan,
  holder = 'the lab',
): RunRequest {
  const folder = `${device.root}/runs/${id}`
  return {
    id,
    files: new Map([['plan.json', Buffer.from(encodePlan(plan))]]),
    command: [tools.runner, `${folder}/plan.json`, `${folder}/events.jsonl`],
    holder,
  }
}
