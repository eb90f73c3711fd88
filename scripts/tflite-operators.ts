import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { repositoryRoot } from '../test/fixtures.ts'
import { type Written, writeAndCompare, writtenCases } from '../test/formats/tflite/on-both-runtimes.ts'
import { operatorTable } from '../test/formats/tflite/operator-table.ts'

const results: Written[] = []
for (const one of writtenCases) results.push(await writeAndCompare(one))
writeFileSync(join(repositoryRoot, 'docs', 'tflite-operators.md'), operatorTable(results))
