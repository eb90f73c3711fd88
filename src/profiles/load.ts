import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { basename, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { z } from 'zod'
import { EdgewrightError } from '../error.ts'
import { type ExtraMistake, parseCheckedYaml } from './checked-yaml.ts'
import { type Overlay, overlaySchema, type Profile, profileSchema } from './schema.ts'
import { thisComputer } from './this-computer.ts'

/** The packaged profiles. The module stands in src/profiles, or in dist/src/profiles once built. */
export const profilesFolder: string = packagedFolder()

/** Packaged profiles already read; nobody changes them. */
const packaged = new Map<string, Profile>()

/**
 * Loads one profile, without overlays.
 *
 * @param idOrPath An id such as `raspberry-pi-5`, or the path of a YAML file (anything with a slash or ending in .yaml/.yml).
 * @throws EdgewrightError PROFILE_UNKNOWN, or PROFILE_INVALID with every mistake and its line.
 */
export function loadProfile(idOrPath: string): Profile {
  if (looksLikePath(idOrPath)) return readChecked(profileSchema, resolve(idOrPath), idOrPath)
  const known = packaged.get(idOrPath)
  if (known !== undefined) return known
  if (!profileIds().includes(idOrPath)) throw unknown('profile', idOrPath, profileIds())
  const read = readChecked(
    profileSchema,
    join(profilesFolder, `${idOrPath}.yaml`),
    `profiles/${idOrPath}.yaml`,
  )
  const profile = read.id === 'this-computer' ? thisComputer(read) : read
  packaged.set(idOrPath, profile)
  return profile
}

export function loadOverlay(idOrPath: string): Overlay {
  if (looksLikePath(idOrPath)) return readChecked(overlaySchema, resolve(idOrPath), idOrPath)
  if (!overlayIds().includes(idOrPath)) throw unknown('overlay', idOrPath, overlayIds())
  return readChecked(
    overlaySchema,
    join(profilesFolder, 'overlays', `${idOrPath}.yaml`),
    `profiles/overlays/${idOrPath}.yaml`,
  )
}

/** Every packaged profile, by id. */
export function listProfiles(): Profile[] {
  return profileIds().map(loadProfile)
}

/** Every packaged overlay, by id. */
export function listOverlays(): Overlay[] {
  return overlayIds().map(loadOverlay)
}

export function looksLikePath(spec: string): boolean {
  return /[/\\]|\.ya?ml$/i.test(spec)
}

function profileIds(): string[] {
  return yamlNames(profilesFolder)
}

function overlayIds(): string[] {
  return yamlNames(join(profilesFolder, 'overlays'))
}

function yamlNames(folder: string): string[] {
  return readdirSync(folder)
    .filter((name) => name.endsWith('.yaml'))
    .map((name) => basename(name, '.yaml'))
    .sort()
}

function readChecked<Schema extends z.ZodType>(schema: Schema, path: string, where: string): z.infer<Schema> {
  let text: string
  try {
    if (!statSync(path).isFile()) throw new Error('not a regular file')
    text = readFileSync(path, 'utf8')
  } catch (cause) {
    throw new EdgewrightError('PROFILE_UNKNOWN', `The profile ${where} cannot be read.`, {
      where,
      saw: cause instanceof Error ? cause.message : String(cause),
      hint: 'Give the path of a profile in YAML, or an id that `edgewright profiles` lists.',
      cause,
    })
  }
  return parseCheckedYaml(schema, text, where, 'PROFILE_INVALID', danglingNames)
}

/** Names inside a profile that point nowhere: source tags without a source, constraints on targets not listed, twice the same id. */
function danglingNames(document: unknown): ExtraMistake[] {
  const mistakes: ExtraMistake[] = []
  const root = asRecord(document)
  const sources = asRecord(root.sources)
  eachSource(document, [], (tag, path) => {
    if (!Object.hasOwn(sources, tag))
      mistakes.push({ path, message: `the source ${JSON.stringify(tag)} is not listed under sources` })
  })
  const targets = asArray(root.targets).map((entry) => asRecord(entry).target)
  const seen = new Set<unknown>()
  for (const [i, entry] of asArray(root.constraints).entries()) {
    const { id, targets: concerned } = asRecord(entry)
    if (seen.has(id))
      mistakes.push({ path: ['constraints', i, 'id'], message: `the id ${JSON.stringify(id)} is used twice` })
    seen.add(id)
    for (const [j, name] of asArray(concerned).entries())
      if (!targets.includes(name))
        mistakes.push({
          path: ['constraints', i, 'targets', j],
          message: `the target ${JSON.stringify(name)} is not listed under targets`,
        })
  }
  return mistakes
}

function eachSource(
  node: unknown,
  path: (string | number)[],
  visit: (tag: string, path: (string | number)[]) => void,
): void {
  if (Array.isArray(node)) {
    for (const [i, entry] of node.entries()) eachSource(entry, [...path, i], visit)
    return
  }
  for (const [key, value] of Object.entries(asRecord(node))) {
    if (key !== 'source') eachSource(value, [...path, key], visit)
    else
      for (const [i, tag] of asArray(value).entries())
        if (typeof tag === 'string') visit(tag, [...path, key, i])
  }
}

function asRecord(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as Record<string, unknown>)
    : {}
}

function asArray(value: unknown): unknown[] {
  return Array.isArray(value) ? value : []
}

function unknown(what: 'profile' | 'overlay', id: string, known: readonly string[]): EdgewrightError {
  const near = known.filter(
    (name) => id.length > 2 && (name.includes(id) || id.includes(name) || sharedStart(name, id) >= 6),
  )
  return new EdgewrightError(
    'PROFILE_UNKNOWN',
    `There is no ${what} named ${JSON.stringify(id.slice(0, 80))}.`,
    {
      where: id.slice(0, 80),
      saw: `known: ${known.join(', ')}`,
      hint:
        near.length > 0
          ? `Did you mean ${near.join(' or ')}?`
          : 'Name one of these, or give the path of a YAML file, e.g. ./mine.yaml.',
    },
  )
}

function sharedStart(a: string, b: string): number {
  let length = 0
  while (length < a.length && a[length] === b[length]) length++
  return length
}

function packagedFolder(): string {
  for (const up of ['../../profiles', '../../../profiles']) {
    const folder = fileURLToPath(new URL(`${up}/`, import.meta.url))
    // dist/src has a sibling dist/profiles only if someone copied it there: the overlays folder tells ours.
    if (existsSync(join(folder, 'overlays'))) return folder
  }
  throw new EdgewrightError('INTERNAL', 'The packaged profiles are missing.', {
    hint: 'Install the package again: its profiles folder is gone.',
  })
}
