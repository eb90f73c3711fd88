import { readFileSync, mkdirSync, writeFileSync } from 'node:fs'
import * as tf from '@tensorflow/tfjs'

const folder = new URL('model/', import.meta.url)

/** Path of the trained network as TensorFlow.js stores it: `model.json` with `weights.bin` beside it. */
export const modelFile = new URL('model.json', folder)

/** Stores a network as `model.save('file://…')` of tfjs-node would; plain TensorFlow.js has no files. */
export async function storeModel(network: tf.LayersModel): Promise<void> {
  const saved = await new Promise<tf.io.ModelArtifacts>((resolve, reject) => {
    network
      .save(
        tf.io.withSaveHandler(async (artifacts) => {
          resolve(artifacts)
          return { modelArtifactsInfo: { dateSaved: new Date(), modelTopologyType: 'JSON' } }
        }),
      )
      .catch(reject)
  })
  const { modelTopology, weightSpecs, weightData, format, generatedBy, convertedBy } = saved
  const weightsManifest = [{ paths: ['weights.bin'], weights: weightSpecs }]
  mkdirSync(folder, { recursive: true })
  writeFileSync(
    modelFile,
    JSON.stringify({ format, generatedBy, convertedBy, modelTopology, weightsManifest }),
  )
  writeFileSync(new URL('weights.bin', folder), new Uint8Array(tf.io.CompositeArrayBuffer.join(weightData)))
}

/** The network that `storeModel` stored, as a `tf.LayersModel` in memory. */
export function loadModel(): Promise<tf.LayersModel> {
  const { modelTopology, weightsManifest, ...rest } = JSON.parse(
    readFileSync(modelFile, 'utf8'),
  ) as tf.io.ModelJSON
  const weightData = new Uint8Array(readFileSync(new URL('weights.bin', folder))).buffer
  const weightSpecs = weightsManifest.flatMap(({ weights }) => weights)
  return tf.loadLayersModel(
    tf.io.fromMemory({ ...rest, modelTopology, weightSpecs, weightData } as tf.io.ModelArtifacts),
  )
}
