import { EdgewrightError } from '../error.ts'
import { type ConnectOptions, openConnection } from './connect.ts'
import { checkAbsoluteFolder } from './names.ts'
import { probe } from './probe.ts'
import type { Connection, Device } from './types.ts'

export interface OpenDeviceOptions extends ConnectOptions {
  /** How the user calls it; default the connection itself. */
  readonly name?: string
  /** Folder on the board for blobs, releases and runs; `~/…` is the login's home. Default `~/.local/share/edgewright`. */
  readonly root?: string
}

/** Connects, probes, and settles where the board's store is. The board is not written to. */
export async function openDevice(spec: string, options: OpenDeviceOptions = {}): Promise<Device> {
  const { name, root, ...connect } = options
  const connection = await openConnection(spec, connect)
  try {
    return await deviceOver(
      connection,
      name ?? spec,
      root ?? connect.environment?.EDGEWRIGHT_ROOT ?? process.env.EDGEWRIGHT_ROOT,
      options.progress?.signal,
    )
  } catch (error) {
    await connection.close()
    throw error
  }
}

/** A device over a connection that is open already. */
export async function deviceOver(
  connection: Connection,
  name: string,
  root?: string,
  signal?: AbortSignal,
): Promise<Device> {
  const { facts, home } = await probe(connection, signal)
  return { name, connection, facts, root: rootFolder(root, home, connection.label) }
}

function rootFolder(asked: string | undefined, home: string, label: string): string {
  if (asked?.startsWith('/')) return checkAbsoluteFolder(asked, 'The root folder', 'USAGE')
  if (asked !== undefined && !asked.startsWith('~/'))
    throw new EdgewrightError('USAGE', 'The root folder on the board must be absolute or start with ~/.', {
      where: label,
      saw: asked,
    })
  const base = checkAbsoluteFolder(home, `The home folder of ${label}`, 'DEVICE_ANSWER_INVALID')
  return checkAbsoluteFolder(
    asked === undefined ? `${base}/.local/share/edgewright` : `${base}/${asked.slice(2)}`,
    'The root folder',
    'USAGE',
  )
}
