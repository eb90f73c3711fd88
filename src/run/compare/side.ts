import { stat } from 'node:fs/promises'
import { dirname, isAbsolute, join, resolve } from 'node:path'
import { sha256OfFile } from '../../digest.ts'
import { EdgewrightError } from '../../error.ts'
import { type Engine, engineOf } from '../../execute/open.ts'
import type { Progress } from '../../progress.ts'
import { type LoadedNetwork, loadNetwork } from '../evaluate.ts'
import { openSubject, type Subject } from '../subject.ts'

/** One of the two networks, read. */
export interface Side {
  readonly path: string
  readonly subject: Subject
  readonly network: LoadedNetwork
  readonly engine: Engine
  readonly accelerator: 'edgetpu' | null
}

export async function openSide(
  path: string,
  shapes: Readonly<Record<string, readonly number[]>>,
  progress: Progress,
): Promise<Side> {
  const subject = await openSubject(path)
  const prepare = subject.kind === 'artifact' ? subject.manifest.prepare : null
  if (prepare)
    throw new EdgewrightError(
      'TARGET_CANNOT_RUN',
      'compare cannot hold engines that a board builds itself against anything.',
      {
        where: path,
        saw: subject.kind === 'artifact' ? subject.manifest.target : '',
        hint: 'The two must run in turns within one process, which trtexec does not; edgewright run measures the engine beside its baselines.',
      },
    )
  const network = await loadNetwork(subject, shapes, progress)
  return {
    path,
    subject,
    network,
    engine: engineOf(network.bytes),
    accelerator: subject.kind === 'artifact' && subject.manifest.target === 'edgetpu' ? 'edgetpu' : null,
  }
}

/**
 * The file that an artifact was made from, found by its path and known by its digest.
 *
 * @throws ARTIFACT_INVALID where it is not there any more, or is another
 */
export async function floatSourceOf(subject: Subject): Promise<string> {
  if (subject.kind !== 'artifact')
    throw new EdgewrightError('USAGE', 'Only an artifact knows what it was made from.', {
      where: subject.path,
      hint: 'Name both: edgewright compare FLOAT OTHER.',
    })
  const { path, sha256 } = subject.manifest.source
  const places = isAbsolute(path)
    ? [path]
    : [resolve(path), join(subject.folder, path), join(dirname(subject.folder), path)]
  for (const place of places) {
    const found = await stat(place).catch(() => null)
    if (found?.isFile() && (await sha256OfFile(place)) === sha256) return place
  }
  throw new EdgewrightError(
    'ARTIFACT_INVALID',
    'The network that this artifact was made from is not at hand.',
    {
      where: subject.folder,
      saw: `no ${path} with sha256 ${sha256.slice(0, 12)}`,
      hint: 'Name it in place of --float: edgewright compare FLOAT ARTIFACT.',
    },
  )
}
