import { writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { runDocumentJsonSchema } from '../src/store/document.ts'

writeFileSync(fileURLToPath(new URL('../docs/run.schema.json', import.meta.url)), runDocumentJsonSchema())
