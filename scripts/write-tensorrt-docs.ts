import { readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { withSupportTable } from '../targets/tensorrt/support-table.ts'

const page = fileURLToPath(new URL('../docs/tensorrt.md', import.meta.url))
writeFileSync(page, withSupportTable(readFileSync(page, 'utf8')))
