import { writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { comparisonJsonSchema } from '../src/store/comparison.ts'
import { runDocumentJsonSchema } from '../src/store/document.ts'
import { tuneReportJsonSchema } from '../src/tune/report/document.ts'

const write = (name: string, content: string) =>
  writeFileSync(fileURLToPath(new URL(`../docs/${name}.schema.json`, import.meta.url)), content)

write('run', runDocumentJsonSchema())
write('compare', comparisonJsonSchema())
write('tune', tuneReportJsonSchema())
