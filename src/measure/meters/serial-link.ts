import { stat } from 'node:fs'
import type { SerialPort } from 'serialport'
import { printable } from '../../deploy/printable.ts'
import { EdgewrightError } from '../../error.ts'
import type { Warning } from '../../progress.ts'
import { monotonicNs } from './types.ts'

/** A serial port that is open and locked for this process. */
export interface SerialLink {
  readonly path: string
  /** Every chunk that comes from now on, with its time of arrival; replaces who listened before. Null: nobody. */
  listen(listener: ((chunk: Uint8Array, atNs: number) => void) | null): void
  write(bytes: Uint8Array): Promise<void>
  /** Resolves with the reason once the port is gone; never rejects. */
  readonly lost: Promise<string>
  close(): Promise<void>
}

const openDeadlineMs = 5_000
const writeDeadlineMs = 2_000
const closeDeadlineMs = 2_000
const presenceMs = 200

/**
 * Opens a port, 8N1, and locks it.
 *
 * @throws EdgewrightError METER_FAILED with what to do: not there, not permitted, held by another program
 */
export async function openSerialLink(
  path: string,
  baudRate: number,
  warn: (warning: Warning) => void,
): Promise<SerialLink> {
  const { SerialPort } = await import('serialport')
  // no hang-up on closing: it resets some boards and meters
  const port = new SerialPort({ path, baudRate, autoOpen: false, hupcl: false })
  let report = (_reason: string) => {}
  const lost = new Promise<string>((resolve) => {
    report = resolve
  })
  port.on('close', (error: Error | null) => report(error ? 'it was unplugged' : 'it was closed'))
  port.on('error', (error: Error) => report(printable(error.message)))
  await settle(openDeadlineMs, (done) => port.open(done)).catch((error: Error) => {
    throw cannotOpen(path, error)
  })
  await raiseReady(port, path, warn)
  let listener: ((chunk: Uint8Array, atNs: number) => void) | null = null
  port.on('data', (chunk: Uint8Array) => listener?.(chunk, monotonicNs()))
  const release = async () => {
    clearInterval(presence)
    listener = null
    if (port.isOpen) await settle(closeDeadlineMs, (done) => port.close(done)).catch(() => {})
  }
  // a terminal that hung up reads as empty for ever, and the library reads on: its file tells that it is gone
  const presence = setInterval(() => {
    stat(path, (error) => {
      if (error === null || !port.isOpen || !path.startsWith('/')) return
      report('it was unplugged')
      void release()
    })
  }, presenceMs)
  presence.unref()
  return {
    path,
    lost,
    listen(next) {
      listener = next
    },
    async write(bytes) {
      // a closed port would keep it for its next opening
      if (!port.isOpen) throw meterFailed(path, 'The meter was lost.', 'its port is closed')
      try {
        await settle(writeDeadlineMs, (done) => port.write(bytes, done))
      } catch (error) {
        throw meterFailed(path, 'The meter takes no commands.', (error as Error).message)
      }
    },
    close: release,
  }
}

/** CDC devices talk once DTR is up; pseudo-terminals and some Bluetooth ports have no such line. */
async function raiseReady(port: SerialPort, path: string, warn: (warning: Warning) => void): Promise<void> {
  try {
    await settle(writeDeadlineMs, (done) => port.set({ dtr: true, rts: true }, done))
  } catch {
    warn({
      code: 'METER_LINE_STATE',
      message: `${path} has no DTR line to raise; the meter is asked all the same.`,
      hint: 'Nothing to do where the meter answers: pseudo-terminals and some Bluetooth ports have none.',
    })
  }
}

function settle(deadlineMs: number, begin: (done: (error?: Error | null) => void) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`no end within ${deadlineMs} ms`)), deadlineMs)
    begin((error) => {
      clearTimeout(timer)
      if (error) reject(error)
      else resolve()
    })
  })
}

function cannotOpen(path: string, error: Error): EdgewrightError {
  const saw = printable(error.message)
  const hint = /No such file|cannot find/i.test(saw)
    ? 'Plug it in; edgewright devices meters lists what is there.'
    : /Permission|Access denied/i.test(saw)
      ? `Join the group that owns ${path} (dialout or uucp) and log in again.`
      : /lock|busy|temporarily unavailable/i.test(saw)
        ? 'Another program holds it: close that first.'
        : 'edgewright devices meters lists the ports that are there.'
  return new EdgewrightError('METER_FAILED', 'The meter’s port cannot be opened.', {
    where: path,
    saw,
    hint,
    cause: error,
  })
}

/** METER_FAILED about one meter; `saw` may be the meter's own words. */
export function meterFailed(where: string, message: string, saw?: string, hint?: string): EdgewrightError {
  return new EdgewrightError('METER_FAILED', message, {
    where,
    ...(saw === undefined ? {} : { saw: printable(saw) }),
    hint: hint ?? 'Is it the right meter and port? edgewright devices meters lists them.',
  })
}
