import type { Progress } from '../../progress.ts'
import { csvMeter } from './csv.ts'
import { execMeter } from './exec.ts'
import { findMeterPort } from './ports.ts'
import { openPpk2 } from './ppk2.ts'
import { openTc66 } from './rdtech-tc.ts'
import { openUm } from './rdtech-um.ts'
import type { MeterSettings } from './spec.ts'
import type { Meter } from './types.ts'

/** Of a program's or a recording's values, where nobody says: most such meters are better. */
const assumedAccuracyShare = 0.01

/**
 * Opens the meter that was asked for.
 *
 * @param boardMaxAmps what the board may draw; null: not known
 * @throws EdgewrightError METER_FAILED, METER_REFUSED, USAGE
 */
export async function openMeter(
  settings: MeterSettings,
  boardMaxAmps: number | null,
  progress: Progress,
): Promise<Meter> {
  const { spec, supplyVolts, volts, edge } = settings
  const accuracyShare = settings.accuracyShare ?? assumedAccuracyShare
  switch (spec.kind) {
    case 'exec':
      return execMeter(spec.argv, { accuracyShare })
    case 'csv':
      return csvMeter(spec.path, { columns: settings.columns, edge, volts, accuracyShare }, progress)
    case 'ppk2': {
      const path = await findMeterPort(spec.kind, spec.port)
      const edgePin = edge === null ? null : Number(edge.slice(1))
      return openPpk2(path, { supplyVolts, volts, boardMaxAmps, edgePin }, progress)
    }
    case 'um24c':
    case 'um25c':
    case 'um34c':
      return openUm(await findMeterPort(spec.kind, spec.port), progress)
    case 'tc66':
    case 'tc66c':
      return openTc66(await findMeterPort(spec.kind, spec.port), progress)
  }
}
