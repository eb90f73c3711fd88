import assert from 'node:assert/strict'
import { setImmediate as turn } from 'node:timers/promises'
import { test } from 'node:test'
import { followRun } from '../../src/deploy/run.ts'
import type { Connection, Device } from '../../src/deploy/types.ts'
import { EdgewrightError } from '../../src/error.ts'
import { silentProgress } from '../../src/progress.ts'

/** A board whose run writes more, whenever it is read. */
function endless(ended: boolean): Device {
  const connection = {
    label: 'endless',
    script: async () => ({ exitCode: 0, signal: null, stdout: 'lives\n', stderr: '', truncated: false }),
    async readFrom(path: string, _offset: number, maxBytes: number) {
      await turn()
      if (path.endsWith('/events.jsonl')) return new Uint8Array(maxBytes)
      if (ended && path.endsWith('/status')) return Buffer.from('exited 0\n')
      throw new EdgewrightError('DEVICE_COMMAND_FAILED', 'It is not there.')
    },
  } as unknown as Connection
  return { name: 'endless', root: '/board', connection } as Device
}

for (const ended of [false, true])
  test(`a run that writes without an end is followed to the deadline only${ended ? ', though it says that it ended' : ''}`, {
    timeout: 20_000,
  }, async () => {
    const device = endless(ended)
    const reconnect = async () => device
    await assert.rejects(
      followRun(device, 'run-1', () => {}, { deadlineMs: 300, reconnect }),
      { code: 'DEVICE_TIMEOUT' },
    )
  })

test('Ctrl-C is heeded while a run writes without an end', { timeout: 20_000 }, async () => {
  const abort = new AbortController()
  setTimeout(() => abort.abort(), 200)
  const progress = { ...silentProgress(), signal: abort.signal }
  await assert.rejects(
    followRun(endless(false), 'run-1', () => {}, { progress }),
    { code: 'INTERRUPTED' },
  )
})
