import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { chmodSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { boardProcessFunctions } from '../../src/deploy/board-process.ts'
import { pinFunctions } from '../../src/deploy/pin-script.ts'

test('sudo and jetson_clocks may read their input: no setting of the record is passed over', (t) => {
  const root = mkdtempSync(join(tmpdir(), 'ew-pins-'))
  t.after(() => rmSync(root, { recursive: true, force: true }))
  const programs = join(root, 'bin')
  mkdirSync(programs)
  mkdirSync(join(root, 'pinned'))
  for (const [name, text] of [
    ['jetson_clocks', 'cat >/dev/null'],
    ['sudo', 'cat >/dev/null; shift; "$@"'],
  ] as const) {
    writeFileSync(join(programs, name), `#!/bin/sh\n${text}\n`)
    chmodSync(join(programs, name), 0o755)
  }
  const record = join(root, 'pinned/run-1')
  writeFileSync(`${record}.clocks`, 'stored')
  const script = `${boardProcessFunctions}${pinFunctions}
record=$1/pinned/run-1
printf 'run %s 1 1 /nowhere\\nmode 1 0 15W MAXN\\nclocks %s stored locked\\n' "$(boot)" "$record.clocks" >"$record"
restore "$1" "$record"`
  const said = execFileSync('sh', ['-c', script, 'sh', root], {
    encoding: 'utf8',
    env: { PATH: `${programs}:${process.env.PATH}` },
    timeout: 20_000,
  })
  // there is no nvpmodel here: its mode is not the one that was set, so it is left
  assert.deepEqual(said.trim().split('\n'), ['restored clocks - stored locked', 'left mode 1 15W MAXN'])
  assert.ok(!existsSync(record))
})
