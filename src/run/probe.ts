import { existsSync, writeFileSync } from 'node:fs'
import { stringify } from 'yaml'
import type { DeviceFacts } from '../deploy/types.ts'
import { EdgewrightError } from '../error.ts'
import { describeRails, type ProbedPower, probePower } from './probe-power.ts'
import { formatBytes, printable } from '../report/format.ts'
import { surveyBoard } from '../measure/conditions/survey.ts'
import type { BoardSurvey } from '../measure/conditions/types.ts'
import type { Progress } from '../progress.ts'
import { surveyRows } from '../report/conditions-text.ts'
import type { Profile } from '../profiles/schema.ts'
import { type ConnectionOptions, openBoard } from './open-device.ts'

export interface ProbeRequest {
  readonly device: string
  /** Write what was found as a profile to this file. */
  readonly saveProfile: string | undefined
  readonly connection: ConnectionOptions
}

export interface Probe {
  readonly device: string
  readonly profile: string
  readonly explanation: string
  readonly facts: DeviceFacts
  readonly power: ProbedPower
  /** Heat, clocks, throttle flags and power mode as they are now. */
  readonly conditions: BoardSurvey
  readonly saved: string | null
}

/** Asks a board what it is and matches it to a profile. */
export async function probeDevice(request: ProbeRequest, progress: Progress): Promise<Probe> {
  const board = await openBoard(request.device, undefined, request.connection, progress)
  const { device, profile, explanation } = board
  let power: ProbedPower
  let conditions: BoardSurvey
  try {
    conditions = await surveyBoard(device, progress.signal)
    power = await probePower(board, progress)
  } finally {
    await board.close()
  }
  if (request.saveProfile) saveProfile(request.saveProfile, profile)
  return {
    device: request.device,
    profile: profile.id,
    explanation,
    facts: device.facts,
    power,
    conditions,
    saved: request.saveProfile ?? null,
  }
}

function saveProfile(path: string, profile: Profile): void {
  if (existsSync(path))
    throw new EdgewrightError('USAGE', 'A file stands there already.', {
      where: path,
      hint: 'Name another with --save-profile, or remove it.',
    })
  const draft = {
    ...profile,
    id: `my-${profile.id.replace(/[^a-z0-9]+/g, '-')}`,
    name: `${profile.name} (mine)`,
  }
  writeFileSync(path, `# Made by edgewright devices probe; say --profile ${path}\n${stringify(draft)}`)
}

export function describeProbe({
  conditions,
  device,
  profile,
  explanation,
  facts,
  power,
  saved,
}: Probe): string {
  const rows: [string, string | null][] = [
    ['profile', profile],
    ['because', explanation],
    ['model', facts.model],
    ['cpu', [facts.cpuModel, `${facts.cpuCount} cores`, facts.architecture].filter(Boolean).join(', ')],
    ['features', facts.cpuFeatures.join(' ') || null],
    ['memory', facts.memoryBytes === null ? null : formatBytes(facts.memoryBytes)],
    ['free disk', facts.freeDiskBytes === null ? null : formatBytes(facts.freeDiskBytes)],
    [
      'system',
      [
        facts.os,
        facts.kernel,
        `${facts.libc.name} ${facts.libc.version ?? ''}`.trim(),
        `${facts.userlandBits}-bit`,
      ]
        .filter(Boolean)
        .join(', '),
    ],
    ['usb', facts.usbIds.join(' ') || null],
    ...describeRails(power),
    ...surveyRows(conditions),
    ['saved', saved],
  ]
  return [
    printable(device),
    ...rows
      .filter(([, value]) => value !== null)
      .map(([name, value]) => `  ${name.padEnd(10)} ${printable(value!)}`),
  ].join('\n')
}
