/**
 * One compile by the JavaScript that `tsc` made, timed from reading the model to the written artifact.
 *
 *   node compile.mjs <folder with dist/> <CompileRequest as JSON>
 */
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'

const [folder, written] = process.argv.slice(2)
const load = (path) => import(pathToFileURL(join(folder, 'dist', 'src', path)).href)
const { compileModel } = await load('compile/compile.js')
const { parseRecipe } = await load('compile/recipe.js')
const { silentProgress } = await load('progress.js')
const { InferenceSession } = await import('onnxruntime-node')
// Python's `import onnxruntime` starts the library; Node's does so with the first session, be it of a broken file
await InferenceSession.create(new Uint8Array(1)).catch(() => undefined)
const request = JSON.parse(written)
const start = performance.now()
const cpuStart = process.cpuUsage()
await compileModel({ ...request, recipe: parseRecipe(request.recipe, 'bench') }, silentProgress())
const seconds = (performance.now() - start) / 1000
const { user, system } = process.cpuUsage(cpuStart)
const cpuSeconds = (user + system) / 1e6
console.log(JSON.stringify({ seconds, cpuSeconds, peakRssBytes: process.resourceUsage().maxRSS * 1024 }))
