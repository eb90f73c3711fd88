import { renameSync, writeFileSync } from 'node:fs'

/** What every simulator shares: settings in, complaints about undocumented bytes out. Runs below socat. */
export interface Simulator<Settings> {
  readonly settings: Settings
  violation(sentence: string): void
  remark(name: string, value: number): void
  send(bytes: Uint8Array): void
  /** Bytes that the host has not taken yet. */
  readonly backlog: number
}

export function simulator<Settings>(onBytes: (bytes: Uint8Array) => void): Simulator<Settings> {
  const violations: string[] = []
  const remarks: Record<string, number> = {}
  const reportPath = process.env['SIMULATOR_REPORT']!
  const save = () => {
    writeFileSync(`${reportPath}.new`, JSON.stringify({ violations, remarks }))
    renameSync(`${reportPath}.new`, reportPath)
  }
  process.stdin.on('data', (chunk: Buffer) => onBytes(chunk))
  process.stdin.on('end', () => process.exit(0))
  process.stdout.on('error', () => process.exit(0))
  save()
  return {
    settings: JSON.parse(process.env['SIMULATOR'] ?? '{}') as Settings,
    violation(sentence) {
      violations.push(sentence)
      save()
    },
    remark(name, value) {
      remarks[name] = value
      save()
    },
    send: (bytes) => void process.stdout.write(bytes),
    get backlog() {
      return process.stdout.writableLength
    },
  }
}
