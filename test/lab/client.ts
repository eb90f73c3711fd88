import type { ConnectOptions } from '../../src/deploy/connect.ts'
import type { Board } from './board.ts'

/** What our client needs to reach a board, and nothing of the person who runs the tests. */
export function clientOptions(board: Board): ConnectOptions {
  return {
    identity: board.identityFile,
    knownHostsPath: board.knownHostsFile,
    configPath: '/dev/null',
    environment: {},
    connectTimeoutMs: 20_000,
  }
}
