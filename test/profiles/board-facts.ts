import type { DeviceFacts } from '../../src/deploy/types.ts'

/** Facts of a plain 64-bit Arm Debian board, with what a test cares about replaced. */
export function boardFacts(changes: Partial<DeviceFacts> = {}): DeviceFacts {
  return {
    architecture: 'aarch64',
    userlandBits: 64,
    kernel: '6.12.34',
    hostname: 'board',
    model: null,
    compatible: [],
    cpuModel: null,
    cpuFeatures: [],
    cpuCount: 4,
    memoryBytes: 4 * 2 ** 30,
    freeDiskBytes: 8 * 2 ** 30,
    libc: { name: 'glibc', version: '2.36' },
    os: 'Debian GNU/Linux 12 (bookworm)',
    usbIds: [],
    extras: {},
    ...changes,
  }
}
