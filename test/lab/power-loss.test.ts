import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import { copyFileSync, constants, rmSync } from 'node:fs'
import { test } from 'node:test'
import { startBoard } from './board.ts'
import { labMissing } from './requirements.ts'

test('a power loss keeps what was flushed, takes some of what was not, and leaves a file system that recovers', {
  skip: labMissing('system'),
  timeout: 400_000,
}, async (t) => {
  const board = await startBoard({ kind: 'system', disk: 'persistent' })
  t.after(() => board.stop())
  const fingerprint = async () =>
    execFileSync('ssh-keyscan', ['-t', 'ed25519', '-p', String(board.port), '127.0.0.1'], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    })
  const key = await fingerprint()
  await board.ssh(
    'cat /sys/block/vda/queue/write_cache >cache; dd if=/dev/zero of=synced bs=64k count=4 conv=fsync; dd if=/dev/zero of=overwritten bs=4k count=512 conv=fsync; sync',
  )
  // Written to the disk's cache without a flush, then still being written when the power goes.
  const unflushed = await board.ssh(
    "echo forgotten >unsynced; tr '\\0' x </dev/zero | dd of=overwritten bs=4k count=512 iflag=fullblock oflag=direct conv=notrunc",
  )
  assert.equal(unflushed.exitCode, 0, unflushed.stderr)
  const writing = board.ssh(
    'i=0; while :; do i=$((i+1)); dd if=/dev/urandom of=f$((i % 9)) bs=4k count=3; done',
  )
  const { kept, lost, image } = await board.powerCut()
  await writing
  assert.ok(lost > 50 && kept > 0, `${lost} writes lost, ${kept} kept`)

  // Before anything mounts it: the journal is enough to make it whole.
  const copy = `${image}.checked`
  copyFileSync(image, copy, constants.COPYFILE_FICLONE)
  assert.ok(spawnSync('e2fsck', ['-E', 'journal_only', '-y', copy]).status! <= 1)
  const checked = spawnSync('e2fsck', ['-f', '-n', copy], { encoding: 'utf8' })
  assert.equal(checked.status, 0, checked.stdout)
  rmSync(copy)

  await board.powerOn()
  assert.equal(await fingerprint(), key)
  const { stdout } = await board.ssh(
    "cat cache; stat -c %s synced; cat unsynced 2>/dev/null | wc -c; tr -d '\\0' <overwritten | wc -c; cat /sys/fs/ext4/vda/errors_count; touch writable && echo yes",
  )
  const [cache, synced, unsynced, overwritten, errors, writable] = stdout.trim().split('\n')
  assert.deepEqual([cache, synced, unsynced, errors, writable], ['write back', '262144', '0', '0', 'yes'])
  assert.ok(Number(overwritten) > 0 && Number(overwritten) < 512 * 4096, `${overwritten} bytes are new`)
})
