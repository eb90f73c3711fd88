import type { Device } from '../../deploy/types.ts'
import { parseSurvey } from './parse-survey.ts'
import { surveyScript } from './survey-script.ts'
import type { BoardSurvey } from './types.ts'

export interface SurveyOptions {
  /** Look at what the CPUs do for half a second first. */
  readonly load?: boolean
  /** Find out whether the governor may be written. */
  readonly pin?: boolean
}

/** Asks a board for its heat, clocks, supply and load; it is not written to. */
export async function surveyBoard(
  device: Device,
  signal: AbortSignal,
  { load = false, pin = false }: SurveyOptions = {},
): Promise<BoardSurvey> {
  // nothing of it is on macOS or Windows
  if (device.connection.kind === 'local' && process.platform !== 'linux') return parseSurvey('')
  const { stdout } = await device.connection.script(
    surveyScript,
    [...(load ? ['load'] : []), ...(pin ? ['pin'] : [])],
    { signal, deadlineMs: 20_000, maxOutputBytes: 256 * 1024 },
  )
  return parseSurvey(stdout)
}
