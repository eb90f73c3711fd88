import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { after, before, describe, test } from 'node:test'
import { openConnection } from '../../src/deploy/connect.ts'
import { EdgewrightError } from '../../src/error.ts'
import { type Board, startBoard } from './board.ts'
import { clientOptions } from './client.ts'
import { openLink } from './link.ts'
import { labMissing } from './requirements.ts'

describe('connecting to an emulated board', { skip: labMissing() }, () => {
  let board: Board
  let knownHosts: string
  before(async () => {
    board = await startBoard({ password: 'raspberry' })
    knownHosts = readFileSync(board.knownHostsFile, 'utf8')
  })
  after(() => board.stop())

  test('a board with another key than the one that is known is refused', async () => {
    const other = await startBoard()
    try {
      const foreign = readFileSync(other.knownHostsFile, 'utf8').replace(
        String(other.port),
        String(board.port),
      )
      writeFileSync(board.knownHostsFile, foreign)
      await assert.rejects(openConnection(board.spec, clientOptions(board)), {
        code: 'DEVICE_HOST_KEY_CHANGED',
      })
      assert.equal(readFileSync(board.knownHostsFile, 'utf8'), foreign)
    } finally {
      writeFileSync(board.knownHostsFile, knownHosts)
      await other.stop()
    }
  })

  test('an unknown board is refused with its fingerprint where nobody can be asked', async () => {
    writeFileSync(board.knownHostsFile, '')
    try {
      await assert.rejects(openConnection(board.spec, clientOptions(board)), (error) => {
        assert.ok(error instanceof EdgewrightError)
        assert.equal(error.code, 'DEVICE_HOST_KEY_UNKNOWN')
        assert.ok(JSON.stringify(error).includes(board.hostKeyFingerprint))
        return true
      })
      await answers({ hostKey: board.hostKeyFingerprint })
    } finally {
      writeFileSync(board.knownHostsFile, knownHosts)
    }
  })

  test('a wrong password is refused, the right one is let in', async () => {
    const withPassword = (EDGEWRIGHT_SSH_PASSWORD: string) => ({
      identity: undefined,
      environment: { EDGEWRIGHT_SSH_PASSWORD, HOME: '/nonexistent' },
    })
    await assert.rejects(
      openConnection(board.spec, { ...clientOptions(board), ...withPassword('strawberry') }),
      {
        code: 'DEVICE_AUTH',
      },
    )
    await answers(withPassword('raspberry'))
  })

  test('a board that hangs is given up at the deadline and is there again afterwards', async () => {
    board.suspend()
    const start = Date.now()
    try {
      await assert.rejects(
        openConnection(board.spec, { ...clientOptions(board), connectTimeoutMs: 1500 }),
        (error) => {
          assert.ok(error instanceof EdgewrightError)
          assert.ok(['DEVICE_UNREACHABLE', 'DEVICE_TIMEOUT'].includes(error.code), error.code)
          return true
        },
      )
      assert.ok(Date.now() - start < 10_000)
    } finally {
      board.resume()
    }
    await answers({})
  })

  test('a cable that is pulled in the middle of a command ends the wait with DEVICE_LOST', async () => {
    const link = await openLink(board)
    try {
      const keepalive = { intervalMs: 300, countMax: 3 }
      const connection = await openConnection(link.spec, { ...clientOptions(board), keepalive })
      const waiting = connection.exec(['sleep', '60'], { deadlineMs: 30_000 })
      setTimeout(() => link.silence(true), 500)
      await assert.rejects(waiting, { code: 'DEVICE_LOST' })
      await connection.close().catch(() => {})
    } finally {
      await link.close()
    }
  })

  async function answers(options: Parameters<typeof openConnection>[1]): Promise<void> {
    const connection = await openConnection(board.spec, { ...clientOptions(board), ...options })
    const { stdout } = await connection.exec(['uname', '-m'], { deadlineMs: 20_000 })
    await connection.close()
    assert.equal(stdout, 'aarch64\n')
  }
})
