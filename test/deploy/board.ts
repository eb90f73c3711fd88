import { createHash } from 'node:crypto'
import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { Manifest } from '../../src/artifact/manifest.ts'
import { type OpenDeviceOptions, openDevice } from '../../src/deploy/device.ts'
import type { Device } from '../../src/deploy/types.ts'
import type { TestSshd } from './sshd.ts'

/** A device over a test sshd with its root in the sshd's own folder. */
export function openTestDevice(
  sshd: TestSshd,
  options: Partial<OpenDeviceOptions> & { port?: number } = {},
): Promise<Device> {
  const { port = sshd.port, ...rest } = options
  return openDevice(`ssh://${sshd.user}@127.0.0.1:${port}`, {
    ...sshd.options,
    hostKey: sshd.fingerprint,
    root: join(sshd.folder, 'root'),
    ...rest,
  })
}

/** Writes a valid artifact folder around the given files; the first one is the model. */
export function writeArtifact(folder: string, files: Record<string, Uint8Array>): void {
  const digest = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex')
  for (const [path, bytes] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, path)), { recursive: true })
    writeFileSync(join(folder, path), bytes)
  }
  const manifest: Manifest = {
    schemaVersion: 1,
    name: 'tiny',
    target: 'onnxruntime',
    profile: null,
    scheme: 'full-int8',
    model: Object.keys(files)[0]!,
    files: Object.entries(files).map(([path, bytes]) => ({
      path,
      bytes: bytes.length,
      sha256: digest(bytes),
    })),
    runtimes: [],
    prepare: null,
    inputs: [],
    outputs: [],
    preprocessing: null,
    labels: null,
    calibrated: false,
    integerOnly: false,
    recipe: {},
    source: { path: 'x.onnx', sha256: digest(new Uint8Array()), bytes: 0, format: 'onnx' },
    madeBy: { edgewright: '0.1.0', cpu: 'x', threads: 1 },
  }
  writeFileSync(join(folder, 'manifest.json'), JSON.stringify(manifest))
}
