import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { readFileSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { startBoard } from './board.ts'
import { openLink } from './link.ts'
import { openSsh } from './open-ssh.ts'
import { labMissing } from './requirements.ts'

test('a link carries a file whole, and one that is cut carries a part of it', {
  skip: labMissing(),
}, async (t) => {
  const board = await startBoard()
  t.after(() => board.stop())
  const link = await openLink(board)
  t.after(() => link.close())
  const bytes = randomBytes(4 << 20)
  const file = join(dirname(board.identityFile), 'payload')
  writeFileSync(file, bytes)
  const copy = (name: string) =>
    new Promise<boolean>((resolve) =>
      execFile('scp', [...board.sshOptions, '-P', String(link.port), file, `pi@127.0.0.1:${name}`], (error) =>
        resolve(error === null),
      ),
    )

  assert.equal(await copy('whole'), true)
  assert.ok(readFileSync(board.path('/home/pi/whole')).equals(bytes))
  assert.ok(link.toBoardBytes > bytes.length)

  const cut = link.cutAfter(1 << 20)
  assert.equal(await copy('part'), false)
  await cut
  assert.ok(statSync(board.path('/home/pi/part')).size < bytes.length)
  assert.equal((await openSsh(board.sshOptions, link.port, 'echo again', 20_000)).stdout, 'again\n')
})
