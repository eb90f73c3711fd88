/** Assembles src/quantize/statistics.wat into src/quantize/statistics-wasm.ts: `npm run wasm`. */
import { readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import wabt from 'wabt'

const at = (path: string) => fileURLToPath(new URL(`../src/quantize/${path}`, import.meta.url))

/** The module's bytes, in base64. */
export async function assembleStatistics(): Promise<string> {
  const { parseWat } = await wabt()
  // as bytes: text is cut to 8 bits a character
  const module = parseWat('statistics.wat', readFileSync(at('statistics.wat')), {
    simd: true,
    multi_value: true,
  })
  try {
    module.validate()
    return Buffer.from(module.toBinary({}).buffer).toString('base64')
  } finally {
    module.destroy()
  }
}

/** The generated file. */
export async function statisticsSource(): Promise<string> {
  const lines = (await assembleStatistics()).match(/.{1,100}/g)!
  return `// made of statistics.wat by \`npm run wasm\`
export const statisticsWasm = Buffer.from(
  [
${lines.map((line) => `    '${line}',`).join('\n')}
  ].join(''),
  'base64',
)
`
}

if (process.argv[1] === fileURLToPath(import.meta.url))
  writeFileSync(at('statistics-wasm.ts'), await statisticsSource())
