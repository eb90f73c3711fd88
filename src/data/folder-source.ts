import { join } from 'node:path'
import { EdgewrightError } from '../error.ts'
import { audioExtensions, audioTensor, resolveAudio } from './audio.ts'
import type { OpenContext } from './context.ts'
import { fingerprintOfFiles } from './fingerprint.ts'
import { digestOfFiles, type FileLabels, sampleFiles } from './files.ts'
import { pictureExtensions, pictureTensor } from './picture.ts'
import { resolveImage } from './preprocessing.ts'
import type { SampleSource } from './source.ts'

/** A folder of pictures or of .wav files, for a network with one input. */
export async function openSampleFiles(
  path: string,
  kind: 'image' | 'audio',
  labels: FileLabels,
  context: OpenContext,
): Promise<SampleSource> {
  const { inputs, said, warn } = context
  const [spec] = inputs
  if (inputs.length !== 1 || !spec)
    throw new EdgewrightError(
      'DATA_SHAPE',
      `A folder of ${kind === 'image' ? 'pictures' : '.wav files'} feeds one input, the network has ${inputs.length}.`,
      {
        where: path,
        saw: inputs.map((input) => input.name).join(', '),
        hint: 'Give an .npz with an array for each input, or a loader.mjs.',
      },
    )
  const found = await sampleFiles(path, kind === 'image' ? pictureExtensions : audioExtensions, labels)
  const preprocessing = kind === 'image' ? resolveImage(spec, said, warn) : resolveAudio(spec, said, warn)
  const read = kind === 'image' ? pictureTensor : audioTensor
  return {
    description: `${found.files.length} ${kind === 'image' ? 'pictures' : '.wav files'} in ${path}`,
    length: found.files.length,
    id: (index) => found.files[index]!,
    labels: found.labels,
    classNames: found.classNames,
    preprocessing,
    read: async (index) => {
      const file = found.files[index]!
      return new Map([[spec.name, await read(join(path, file), file, spec, preprocessing)]])
    },
    contentDigest: () => digestOfFiles(found),
    fingerprint: (indices) => fingerprintOfFiles(indices.map((index) => join(path, found.files[index]!))),
  }
}
