import { existsSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { readArtifact } from '../../artifact/folder.ts'
import type { Manifest } from '../../artifact/manifest.ts'
import { EdgewrightError } from '../../error.ts'
import { targets } from '../../../targets/index.ts'
import { type RecipeInput, recipeSchema } from '../recipe.ts'
import type { DiagnoseRequest } from './diagnose.ts'

/** What an artifact was made of and how, so that it can be made again: its own file keeps no float values to compare with. */
export interface Remaking {
  readonly model: string
  readonly shapes: Readonly<Record<string, readonly number[]>>
  readonly profile: string | undefined
  readonly target: string | undefined
  readonly recipe: RecipeInput
  readonly artifact: NonNullable<DiagnoseRequest['artifact']>
}

/**
 * Null where the subject is no artifact but a model.
 * @throws MODEL_NOT_FOUND where the model that the artifact was made of is gone, ARTIFACT_INVALID
 */
export async function remakingOf(subject: string): Promise<Remaking | null> {
  const isArtifact = existsSync(join(subject, 'manifest.json')) && statSync(subject).isDirectory()
  if (!isArtifact) return null
  const manifest = await readArtifact(subject)
  const { source, profile, target } = manifest
  if (!existsSync(source.path))
    throw new EdgewrightError('MODEL_NOT_FOUND', 'The model that the artifact was made of is not there.', {
      where: source.path,
      saw: `artifact ${subject}`,
      hint: 'Put it back, or diagnose the model itself: edgewright diagnose MODEL.',
    })
  return {
    model: source.path,
    shapes: shapesOf(manifest),
    profile: profile ?? undefined,
    target: Object.keys(targets).includes(target) ? target : undefined,
    recipe: recipeOf(manifest, subject),
    artifact: {
      folder: subject,
      source: source.sha256,
      model: manifest.files.find(({ path }) => path === manifest.model)?.sha256 ?? '',
    },
  }
}

/** Dimensions that the file left open, as they were bound. */
function shapesOf({ inputs }: Manifest): Record<string, readonly number[]> {
  return Object.fromEntries(
    inputs
      .filter(({ shapeSignature }) => shapeSignature.some((dimension) => typeof dimension !== 'number'))
      .map(({ name, shape }) => [name, shape]),
  )
}

function recipeOf({ recipe }: Manifest, where: string): RecipeInput {
  const { chosen: _, ...asked } = recipe
  const result = recipeSchema.safeParse(asked)
  if (result.success) return asked as RecipeInput
  throw new EdgewrightError(
    'ARTIFACT_INVALID',
    'The artifact was made by a recipe that this version does not know.',
    {
      where,
      saw: result.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`).join('; '),
      hint: 'Diagnose the model itself: edgewright diagnose MODEL.',
    },
  )
}
