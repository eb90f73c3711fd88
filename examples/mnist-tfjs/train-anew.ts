/** Trains the network of `model/` anew, in TensorFlow.js: `npx tsx examples/mnist-tfjs/train-anew.ts`. */
import { checkConversion } from './check-conversion.ts'
import { testDigits } from './digits.ts'
import { storeModel } from './stored-model.ts'
import { train } from './train.ts'
import { useFastestBackend } from './wasm-backend.ts'

console.log(`On the backend ${await useFastestBackend()}.`)
const network = await train(console.log)
const { accuracy, tfjsAccuracy } = await checkConversion(network, testDigits())
console.log(`Test digits right: ${tfjsAccuracy} in TensorFlow.js, ${accuracy} as read by Edgewright`)
await storeModel(network)
