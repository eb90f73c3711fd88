import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import type { ErrorCode } from '../../src/error.ts'
import { EdgewrightError } from '../../src/error.ts'

/** A folder of the test's own, gone after it. */
export async function temporaryFolder(context: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'edgewright-data-'))
  context.after(() => rm(folder, { recursive: true, force: true }))
  return folder
}

/** For assert.rejects and assert.throws: an error of this code, whose parts match. */
export function errorOf(
  code: ErrorCode,
  parts: { message?: RegExp; where?: RegExp; saw?: RegExp; hint?: RegExp } = {},
) {
  return (error: unknown): boolean => {
    if (!(error instanceof EdgewrightError)) throw error
    const told = JSON.stringify(error.toJSON())
    if (error.code !== code) throw new Error(`expected ${code}: ${told}`)
    for (const [part, pattern] of Object.entries(parts))
      if (!pattern.test(String(error[part as keyof typeof parts])))
        throw new Error(`${part} does not match ${pattern}: ${told}`)
    return true
  }
}
