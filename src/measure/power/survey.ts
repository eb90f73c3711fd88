import type { Connection } from '../../deploy/types.ts'
import { EdgewrightError } from '../../error.ts'
import { railsOfChip, type SensorChip } from './chip-rails.ts'
import type { PowerSurvey, Rail } from './rail.ts'
import { surveyScript } from './survey-script.ts'

/** Looks for power sensors with one read-only script. An empty survey is an ordinary answer. */
export async function surveyPower(connection: Connection, signal?: AbortSignal): Promise<PowerSurvey> {
  const answer = await connection.script(surveyScript, [], {
    deadlineMs: 60_000,
    maxOutputBytes: 256 * 1024,
    ...(signal ? { signal } : {}),
  })
  if (!/^done$/m.test(answer.stdout))
    throw new EdgewrightError(
      'DEVICE_ANSWER_INVALID',
      'The survey of power sensors did not come to its end.',
      {
        where: connection.label,
        saw: answer.truncated ? 'more than 256 KiB' : `exit code ${answer.exitCode}`,
        hint: 'Measure with --no-energy, and look at /sys/class/hwmon on the board.',
      },
    )
  return parseSurvey(answer.stdout)
}

/** Nothing in it is trusted: paths must be files of sysfs, texts are cut, numbers are numbers. */
export function parseSurvey(output: string): PowerSurvey {
  const chips: { chip: SensorChip; files: Map<string, string> }[] = []
  let pmic: { command: string; lines: string[] } | null = null
  for (const line of output.split('\n')) {
    const [kind, ...words] = line.split('\t')
    if (kind === 'chip') {
      const chip = chipOf(words)
      if (chip) chips.push({ chip, files: new Map() })
    } else if (kind === 'f' && words.length === 2 && /^[A-Za-z0-9_]{1,64}$/.test(words[0]!))
      chips.at(-1)?.files.set(words[0]!, words[1]!.trim().slice(0, 128))
    else if (kind === 'pmic' && /^(?:\/[A-Za-z0-9._-]+){1,8}$/.test(words[0] ?? ''))
      pmic = { command: words[0]!, lines: [] }
    else if (kind === 'p' && pmic && pmic.lines.length < 128) pmic.lines.push(words.join(' ').slice(0, 256))
  }
  const rails: Rail[] = []
  const skipped: { what: string; why: string }[] = []
  const seen = new Set<string>()
  for (const { chip, files } of chips) {
    // one device may show under several folders
    if (seen.has(chip.realFolder)) continue
    seen.add(chip.realFolder)
    const found = railsOfChip(chip, files)
    rails.push(...found.rails)
    skipped.push(...found.skipped)
  }
  return {
    rails: rails.slice(0, 64),
    skipped: skipped.slice(0, 64),
    pmic: pmic && { command: pmic.command, output: pmic.lines.join('\n') },
  }
}

function chipOf(words: readonly string[]): SensorChip | null {
  const [kind, folder = '', realFolder = '', name = '', subsystem = ''] = words
  if (kind !== 'hwmon' && kind !== 'jetpack4' && kind !== 'iio') return null
  if (![folder, realFolder].every((path) => /^\/sys(?:\/[A-Za-z0-9@:._,+-]+){1,24}$/.test(path))) return null
  if ([folder, realFolder].some((path) => path.split('/').includes('..'))) return null
  if (!/^[A-Za-z0-9_.-]{1,32}$/.test(name)) return null
  return { kind, folder, realFolder, name, subsystem }
}
