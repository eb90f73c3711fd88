import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { dirname, join } from 'node:path'
import { stringify } from 'yaml'
import { z } from 'zod'
import { describeIssues } from '../compile/recipe.ts'
import { EdgewrightError } from '../error.ts'
import { parseYaml } from './config.ts'

const nameSchema = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/, 'must be letters, digits, dots, dashes')

const entrySchema = z.strictObject({
  name: nameSchema,
  connection: z.string().min(1),
  profile: z.string().optional(),
  identity: z.string().optional(),
  root: z.string().optional(),
  /** What `--host-key` and `--known-hosts` say: public, unlike what logs in. */
  hostKey: z.string().optional(),
  knownHosts: z.string().optional(),
})

/** A board as the user named it. Secrets are never part of it. */
export type DeviceEntry = z.infer<typeof entrySchema>

function devicesPath(): string {
  const base = process.env['XDG_CONFIG_HOME'] || join(homedir(), '.config')
  return join(base, 'edgewright', 'devices.yaml')
}

export function listDevices(): DeviceEntry[] {
  const path = devicesPath()
  let source: string
  try {
    source = readFileSync(path, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return []
    throw new EdgewrightError('CONFIG_INVALID', 'The list of boards cannot be read.', {
      where: path,
      saw: (error as Error).message,
    })
  }
  const result = z.array(entrySchema).safeParse(parseYaml(source, path) ?? [])
  if (!result.success)
    throw new EdgewrightError('CONFIG_INVALID', 'The list of boards has mistakes.', {
      where: path,
      saw: describeIssues(result.error),
    })
  return result.data
}

export function findDevice(name: string): DeviceEntry | null {
  return listDevices().find((entry) => entry.name === name) ?? null
}

export function addDevice(written: z.input<typeof entrySchema>): DeviceEntry {
  const result = entrySchema.safeParse(withoutUndefined(written))
  if (!result.success)
    throw new EdgewrightError('USAGE', 'Not a board.', {
      saw: describeIssues(result.error),
      hint: 'edgewright devices add NAME ssh://user@host',
    })
  const others = listDevices().filter((entry) => entry.name !== result.data.name)
  save([...others, result.data].sort((a, b) => a.name.localeCompare(b.name)))
  return result.data
}

export function removeDevice(name: string): void {
  const entries = listDevices()
  if (!entries.some((entry) => entry.name === name))
    throw new EdgewrightError('DEVICE_UNKNOWN', `No board is named ${JSON.stringify(name)}.`, {
      hint: 'edgewright devices list',
    })
  save(entries.filter((entry) => entry.name !== name))
}

function save(entries: DeviceEntry[]): void {
  const path = devicesPath()
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
  const temporary = `${path}.${process.pid}`
  writeFileSync(temporary, stringify(entries), { mode: 0o600 })
  renameSync(temporary, path)
}

function withoutUndefined(record: object): object {
  return Object.fromEntries(Object.entries(record).filter(([, value]) => value !== undefined))
}
