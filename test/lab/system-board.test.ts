import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startBoard } from './board.ts'
import { labMissing } from './requirements.ts'

test('a whole emulated machine boots an arm64 kernel as a Raspberry Pi 5', {
  skip: labMissing('system'),
}, async (t) => {
  const board = await startBoard({ kind: 'system' })
  t.after(() => board.stop())
  const { stdout, exitCode } = await board.ssh(
    'uname -m; id -u; cat /proc/device-tree/model; echo; cat /proc/sys/kernel/ostype; grep -m1 -o asimddp /proc/cpuinfo; uname -r',
  )
  assert.equal(exitCode, 0)
  const [architecture, user, model, system, dotProduct, release] = stdout.split('\n')
  assert.deepEqual(
    [architecture, user, model, system, dotProduct],
    ['aarch64', '1000', 'Raspberry Pi 5 Model B Rev 1.0\0', 'Linux', 'asimddp'],
  )
  assert.match(release!, /-arm64$/)
  assert.ok(Math.abs(Number((await board.ssh('date +%s')).stdout) - Date.now() / 1000) < 120)
})
