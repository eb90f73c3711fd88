import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Connection, Device } from '../../src/deploy/types.ts'
import { readyBoard } from '../../src/run/ready-board.ts'
import { silentProgress } from '../../src/progress.ts'

test('a board that stops telling its temperature gives no temperature to go back to', async () => {
  const answers = {
    survey: ['zone /sys/class/thermal/thermal_zone0/temp 50000 cpu-thermal\ndone 1\n', 'done 1\n'],
    cooling: ['at 50000\n', 'at 44000\n'],
  }
  const connection = {
    kind: 'ssh',
    label: 'board',
    async script(text: string) {
      const from = text.includes('/sys/class/thermal/')
        ? 'survey'
        : text.includes('echo "at')
          ? 'cooling'
          : null
      const stdout = from === null ? '' : (answers[from].shift() ?? '')
      return { exitCode: 0, signal: null, stdout, stderr: '', truncated: false }
    },
  } as unknown as Connection
  const device = { name: 'board', root: '/board', connection } as Device
  const first = new Map<string, number>()
  const coolTo = { milliC: 45_000, deadlineMs: 30_000, otherwise: 'error' } as const
  const ready = await readyBoard(device, { coolTo }, first, silentProgress())
  assert.ok(ready.waitedSeconds > 1)
  assert.deepEqual([...first], [])
})
