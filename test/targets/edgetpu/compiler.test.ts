import assert from 'node:assert/strict'
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { LocalConnection } from '../../../src/deploy/local-connection.ts'
import { EdgewrightError } from '../../../src/error.ts'
import { finish, labelOf } from '../../../targets/edgetpu/finish.ts'
import { fixture, fixturesMissing } from '../../fixtures.ts'
import {
  commandOf,
  compileForEdgeTpu,
  compilerVersion,
  isEdgeTpuModel,
} from '../../../targets/edgetpu/compiler.ts'

const folder = mkdtempSync(join(tmpdir(), 'edgewright-compiler-test-'))
after(() => rmSync(folder, { recursive: true, force: true }))

/**
 * A stand-in for Google's compiler, which is not to be had here: it checks the command line and answers with the
 * documented output. It shows how we call and read the compiler, not what the compiler does.
 */
function standIn(name: string, body: string): string {
  const path = join(folder, name)
  writeFileSync(
    path,
    `#!/bin/sh\nif [ "$1" = --version ]; then echo "Edge TPU Compiler version 16.0.384591198"; exit 0; fi\n${body}\n`,
  )
  chmodSync(path, 0o755)
  return path
}

const compiles = `
printf '%s\\n' "$@" > "${folder}/arguments"
for last; do :; done
out=$(dirname "$last")
{ cat "$last"; printf 'edgetpu-custom-op'; } > "$out/model_edgetpu.tflite"
echo "$out" > "${folder}/place"
cat <<'END'
Edge TPU Compiler version 16.0.384591198
Model compiled successfully in 12 ms.

Input model: model.tflite
Input size: 2.00KiB
Output model: model_edgetpu.tflite
Output size: 57.13KiB
On-chip memory used for caching model parameters: 1.00KiB
On-chip memory remaining for caching model parameters: 7.87MiB
Off-chip memory used for streaming uncached model parameters: 0.00B
Number of Edge TPU subgraphs: 1
Total number of operations: 3

Operator                       Count      Status

CONCATENATION                  2          Mapped to Edge TPU
SPLIT                          1          Mapped to Edge TPU
END`

const model = new TextEncoder().encode('TFL3 a model')
const host = new LocalConnection()

describe('the compiler, through a stand-in', () => {
  it('gets the model and the options, and gives back what it wrote and said', async () => {
    const program = standIn('good', compiles)
    const { model: compiled, report } = await compileForEdgeTpu(model, host, {
      program,
      minRuntime: 13,
      searchDelegate: true,
      timeoutSeconds: 90,
    })
    assert.equal(new TextDecoder().decode(compiled), 'TFL3 a modeledgetpu-custom-op')
    assert.equal(report.operators, 3)
    assert.equal(report.onCpu, 0)
    assert.equal(report.sizes.outputBytes, Math.round(57.13 * 1024))
    const place = readFileSync(join(folder, 'place'), 'utf8').trim()
    assert.deepEqual(readFileSync(join(folder, 'arguments'), 'utf8').trim().split('\n'), [
      '-s',
      '-t',
      '90',
      '-m',
      '13',
      '-d',
      '-o',
      place,
      `${place}/model.tflite`,
    ])
    assert.equal(existsSync(place), false, 'the temporary folder is gone')
  })

  it('that mapped nothing makes no Edge TPU model', async () => {
    const program = standIn('nothing', compiles.replace("printf 'edgetpu-custom-op';", ':;'))
    await assert.rejects(compileForEdgeTpu(model, host, { program }), (error: EdgewrightError) => {
      assert.equal(error.code, 'TARGET_CANNOT_RUN')
      assert.match(error.message, /mapped nothing/)
      return true
    })
  })

  it('that fails says why, and leaves nothing behind', async () => {
    const program = standIn(
      'bad',
      `for last; do :; done; dirname "$last" > "${folder}/place"; echo 'ERROR: Node number 13 failed to prepare.'; echo 'Compilation failed! '; exit 1`,
    )
    await assert.rejects(compileForEdgeTpu(model, host, { program }), (error: EdgewrightError) => {
      assert.equal(error.code, 'TARGET_CANNOT_RUN')
      assert.equal(error.saw, 'ERROR: Node number 13 failed to prepare.')
      return true
    })
    assert.equal(existsSync(readFileSync(join(folder, 'place'), 'utf8').trim()), false)
  })

  it('that is absent is named with how to install it and where it may sit instead', async () => {
    await assert.rejects(
      compileForEdgeTpu(model, host, { program: 'no-such-edgetpu-compiler' }),
      (error: EdgewrightError) => {
        assert.equal(error.code, 'RUNTIME_MISSING')
        assert.match(error.hint!, /--edgetpu-compiler ssh:\/\//)
        assert.match(error.hint!, /not an Edge TPU model/)
        return true
      },
    )
  })

  it('is not taken for another program of that name', async () => {
    const path = join(folder, 'other')
    writeFileSync(path, '#!/bin/sh\necho hello\n')
    chmodSync(path, 0o755)
    await assert.rejects(compilerVersion(host, { program: path }), (error: EdgewrightError) => {
      assert.equal(error.code, 'DEVICE_ANSWER_INVALID')
      assert.equal(error.saw, 'hello')
      return true
    })
  })
})

it('only what the compiler made is labelled an Edge TPU model', { skip: fixturesMissing }, async () => {
  const source = new Uint8Array(readFileSync(fixture('edgetpu/2021/split_concat.tflite')))
  const emitted = {
    files: new Map([['model.tflite', source]]),
    model: 'model.tflite',
    inputs: [],
    outputs: [],
  }
  assert.equal(labelOf(emitted), 'litert')
  const without = await finish(emitted, null)
  assert.equal(without.emitted, emitted)
  assert.match(without.decisions[0]!.reason, /^Not compiled for the Edge TPU/)
  const withCompiler = await finish(emitted, host, { program: standIn('again', compiles) })
  assert.equal(labelOf(withCompiler.emitted), 'edgetpu')
  assert.deepEqual([...withCompiler.emitted.files.keys()], ['model.tflite', 'model_edgetpu.tflite'])
  assert.deepEqual(
    withCompiler.decisions.map(({ reason }) => reason),
    ['Compiled by Edge TPU Compiler 16.0.384591198 on local:.'],
  )
  const other = await finish(emitted, host, {
    program: standIn(
      'less',
      compiles.replace(
        'CONCATENATION                  2          Mapped to Edge TPU',
        'CONCATENATION                  2          More than one subgraph is not supported',
      ),
    ),
  })
  assert.match(other.decisions.at(-1)!.reason, /mapped 1 operators where 3 were predicted/)
})

it('a host that cannot be reached is not told as a compiler that is missing', async () => {
  const lost = { ...fakeHost, exec: () => Promise.reject(new EdgewrightError('DEVICE_LOST', 'gone')) }
  await assert.rejects(compilerVersion(lost), (error: EdgewrightError) => error.code === 'DEVICE_LOST')
})

it('a host’s answer never names another folder to delete', async () => {
  const commands: (readonly string[])[] = []
  const liar = {
    ...fakeHost,
    exec: async (command: readonly string[]) => {
      commands.push(command)
      const stdout = command[0] === 'mktemp' ? '/home/user\n' : 'Edge TPU Compiler version 16.0\n'
      return { exitCode: 0, stdout, stderr: '' }
    },
  }
  await assert.rejects(
    compileForEdgeTpu(model, liar),
    (error: EdgewrightError) => error.code === 'DEVICE_ANSWER_INVALID',
  )
  assert.equal(
    commands.some(([name]) => name === 'rm'),
    false,
  )
})

it('a runtime version that no Edge TPU has is refused before anything is called', () => {
  for (const minRuntime of [9, 15, 13.5]) assert.throws(() => commandOf('/tmp/x', { minRuntime }), /10 to 14/)
  assert.equal(isEdgeTpuModel(model), false)
})

const fakeHost = {
  label: 'fake',
  uploadBytes: async () => 0,
  readFrom: async () => new Uint8Array(),
}
