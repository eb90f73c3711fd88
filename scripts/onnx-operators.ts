import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fixturesMissing, repositoryRoot } from '../test/fixtures.ts'
import { debianCasesMissing, runNodeCase, withNodeCases } from '../test/formats/onnx/node-cases.ts'
import { operatorTable } from '../test/formats/onnx/operator-table.ts'

/** Writes docs/onnx-operators.md. Without both sources of cases it would be another table. */
if (fixturesMissing || debianCasesMissing) {
  console.error(`docs/onnx-operators.md was not written: it ${fixturesMissing || debianCasesMissing}.`)
  process.exitCode = 1
} else {
  const results = await withNodeCases(async (cases) => {
    const done = []
    for (const one of cases) done.push(await runNodeCase(one))
    return done
  })
  writeFileSync(join(repositoryRoot, 'docs', 'onnx-operators.md'), operatorTable(results))
  console.log(`docs/onnx-operators.md: ${results.length} cases`)
}
