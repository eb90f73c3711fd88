import { readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { sha256, sha256OfFile } from '../digest.ts'
import { EdgewrightError } from '../error.ts'
import type { TrueBox } from './boxes.ts'
import { areaOf } from './boxes.ts'
import { type CategoryNumbering, readCocoLabels } from './coco-labels.ts'
import { pictureSize, placePixels } from './picture.ts'
import { clipBox, extentOf, placeBox, placementOf } from './placement.ts'
import { decodePngIndices } from './png-indices.ts'
import { resizePicture } from './resize.ts'
import { type Annotation, ignoredClass, type Preprocessing, type Task } from './types.ts'
import { readYoloLabels, yoloLabelPath } from './yolo-labels.ts'

/** What a data.yaml says of labels that are more than a class, paths absolute. */
export interface AnnotationFiles {
  readonly coco?: string
  readonly yolo?: string
  readonly masks?: string
  readonly categories?: CategoryNumbering
}

/** Pictures that the labels belong to. */
export interface AnnotatedPictures {
  readonly root: string
  /** Relative to the root. */
  readonly files: readonly string[]
  readonly preprocessing: Preprocessing
  readonly classNames: readonly string[] | null
  readonly task: Task
}

export interface Annotations {
  readonly classNames: readonly string[] | null
  /** In the network's input; classes as stated. Null where the labels do not know the picture. */
  annotate(index: number): Promise<Annotation | null>
  /** sha256 over the labels' content. */
  contentDigest(): Promise<string>
}

/** Boxes of which the crop leaves less count as ignored: what is left does not look like the object. */
const leastVisible = 0.5

/** @throws DATA_LABELS where none of the pictures has a label, and as the readers do */
export async function openAnnotations(
  said: AnnotationFiles,
  pictures: AnnotatedPictures,
): Promise<Annotations> {
  if (said.masks !== undefined) return maskAnnotations(said.masks, pictures)
  if (said.yolo !== undefined) return yoloAnnotations(said.yolo, pictures)
  const path = said.coco!
  const labels = await readCocoLabels(path, said.categories, pictures.classNames)
  requireSome(
    pictures.files.filter((file) => labels.of(file) !== null),
    path,
    pictures,
  )
  return {
    classNames: labels.classNames,
    annotate: async (index) => {
      const boxes = labels.of(pictures.files[index]!)
      return boxes && placed(boxes, await sizeOf(pictures, index), pictures.preprocessing)
    },
    contentDigest: () => sha256OfFile(path),
  }
}

async function yoloAnnotations(root: string, pictures: AnnotatedPictures): Promise<Annotations> {
  const paths = pictures.files.map((file) => yoloLabelPath(root, file))
  const there = await Promise.all(paths.map(isFile))
  requireSome(
    paths.filter((_, index) => there[index]),
    root,
    pictures,
  )
  return {
    classNames: pictures.classNames,
    annotate: async (index) => {
      const size = await sizeOf(pictures, index)
      return placed(await readYoloLabels(paths[index]!, size), size, pictures.preprocessing)
    },
    contentDigest: () => digestOf(paths.filter((_, index) => there[index])),
  }
}

async function maskAnnotations(root: string, pictures: AnnotatedPictures): Promise<Annotations> {
  const { files, preprocessing, task } = pictures
  const ignore = task.kind === 'segmentation' ? task.segmentation.ignore : ignoredClass
  const paths = files.map((file) => join(root, file.replace(/\.[^./]+$/, '.png')))
  requireSome(await onlyFiles(paths), root, pictures)
  return {
    classNames: pictures.classNames,
    annotate: async (index) => {
      const path = paths[index]!
      if (!(await isFile(path))) return null
      const mask = await decodePngIndices(await readFile(path), path)
      const size = await sizeOf(pictures, index)
      if (mask.height !== size.height || mask.width !== size.width)
        throw new EdgewrightError('DATA_SHAPE', 'A mask does not have the size of its picture.', {
          where: path,
          saw: `${mask.height}×${mask.width}, the picture ${size.height}×${size.width}`,
        })
      const classes =
        ignore === ignoredClass ? mask.data : mask.data.map((of) => (of === ignore ? ignoredClass : of))
      const placement = placementOf(size, preprocessing)
      const resized = resizePicture(classes, { ...size, channels: 1 }, placement.resized, 'nearest', false)
      const { height, width } = placement
      return {
        kind: 'mask',
        height,
        width,
        classes: placePixels(resized as Uint8Array, 1, placement, ignoredClass),
      }
    },
    contentDigest: async () => digestOf(await onlyFiles(paths)),
  }
}

function placed(
  boxes: readonly TrueBox[],
  size: { readonly height: number; readonly width: number },
  preprocessing: Preprocessing,
): Annotation {
  const placement = placementOf(size, preprocessing)
  const extent = extentOf(placement)
  return {
    kind: 'boxes',
    extent,
    boxes: boxes.flatMap((box) => {
      const whole = placeBox(box, size, placement)
      const visible = clipBox(whole, extent)
      if (!visible) return []
      return [{ ...box, ...visible, ignored: box.ignored || areaOf(visible) < leastVisible * areaOf(whole) }]
    }),
  }
}

function sizeOf({ root, files }: AnnotatedPictures, index: number) {
  return pictureSize(join(root, files[index]!))
}

/** Labels of other pictures would make every figure 0 without a word. */
function requireSome(found: readonly string[], where: string, { files }: AnnotatedPictures): void {
  if (found.length > 0) return
  throw new EdgewrightError('DATA_LABELS', 'The labels know none of the pictures.', {
    where,
    saw: `${files.length} pictures, e.g. ${files[0]}`,
    hint: 'COCO names pictures by file_name; YOLO labels and masks have the path of their picture, ending in .txt and .png.',
  })
}

async function onlyFiles(paths: readonly string[]): Promise<string[]> {
  const there = await Promise.all(paths.map(isFile))
  return paths.filter((_, index) => there[index])
}

async function isFile(path: string): Promise<boolean> {
  return stat(path).then(
    (entry) => entry.isFile(),
    () => false,
  )
}

async function digestOf(paths: readonly string[]): Promise<string> {
  const digests = []
  for (const path of paths) digests.push(await sha256OfFile(path))
  return sha256(JSON.stringify(digests))
}
