/**
 * How fast an upload is beside `scp`: the same file to the same sshd with the same cipher, in turn, in one run.
 * The handshake is left out on both sides (scp goes over an open master connection), and so is what one byte costs.
 *
 *   node --import tsx bench/transfer.ts [rounds] [megabytes]
 */
import { execFile, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { openConnection } from '../src/deploy/connect.ts'
import { silentProgress } from '../src/progress.ts'
import { sha256OfFile } from '../src/digest.ts'
import { startSshd } from '../test/deploy/sshd.ts'

const run = promisify(execFile)
const cipher = 'aes128-gcm@openssh.com'
const rounds = Number(process.argv[2] ?? 9)
const bytes = Number(process.argv[3] ?? 25) * 1_000_000

const sshd = await startSshd()
const folder = mkdtempSync(join(tmpdir(), 'edgewright-transfer-'))
const connection = await openConnection(sshd.spec, { ...sshd.options, ciphers: [cipher] })
const socket = join(folder, 'master')
const sshArgs = [
  '-F',
  join(sshd.folder, 'ssh_config'),
  '-o',
  `ControlPath=${socket}`,
  '-o',
  `UserKnownHostsFile=${sshd.knownHostsPath}`,
  '-o',
  'IdentitiesOnly=yes',
  '-o',
  'BatchMode=yes',
  '-i',
  sshd.identity,
  '-c',
  cipher,
]
const master = spawn('ssh', [...sshArgs, '-M', '-N', '-p', String(sshd.port), `${sshd.user}@127.0.0.1`], {
  stdio: 'ignore',
})
try {
  while (!existsSync(socket)) await new Promise((resolve) => setTimeout(resolve, 20))
  const big = join(folder, 'big')
  const small = join(folder, 'small')
  writeFileSync(big, randomBytes(bytes))
  writeFileSync(small, 'x')
  const scp = (from: string, to: string) =>
    run('scp', [...sshArgs, '-q', '-P', String(sshd.port), from, `${sshd.user}@127.0.0.1:${to}`])
  const ours = (from: string, to: string) => connection.upload(from, to, silentProgress())
  await connection.upload(big, join(folder, 'to-ours'), silentProgress())
  const times = { scp: [] as number[], ours: [] as number[] }
  for (let round = 0; round < rounds; round++) {
    const order = round % 2 === 0 ? (['scp', 'ours'] as const) : (['ours', 'scp'] as const)
    for (const who of order) {
      const send = who === 'scp' ? scp : ours
      const to = join(folder, `to-${who}`)
      const smallMs = await timed(() => send(small, to))
      const bigMs = await timed(() => send(big, to))
      if (round > 0) times[who].push(bigMs - smallMs)
    }
  }
  const digest = await sha256OfFile(big)
  if ((await sha256OfFile(join(folder, 'to-ours'))) !== digest) throw new Error('the uploaded file differs')
  const rate = (milliseconds: number) => `${(bytes / 1e3 / milliseconds).toFixed(0)} MB/s`
  const scpMs = median(times.scp)
  const oursMs = median(times.ours)
  console.log(`${bytes / 1e6} MB, ${cipher}, ${rounds - 1} rounds in turn after one to warm up, medians`)
  console.log(`scp         ${scpMs.toFixed(0)} ms  ${rate(scpMs)}`)
  console.log(`edgewright  ${oursMs.toFixed(0)} ms  ${rate(oursMs)}`)
  console.log(`ratio       ${(scpMs / oursMs).toFixed(2)} of scp's rate`)
} finally {
  await connection.close()
  master.kill()
  await sshd.stop()
  rmSync(folder, { recursive: true, force: true })
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const start = process.hrtime.bigint()
  await work()
  return Number(process.hrtime.bigint() - start) / 1e6
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2
}
