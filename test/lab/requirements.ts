import { spawnSync } from 'node:child_process'

/** Program that the lab starts, and the Debian package that has it. */
const programs: Record<'user' | 'system', Record<string, string>> = {
  user: {
    'qemu-aarch64-static': 'qemu-user-static',
    mmdebstrap: 'mmdebstrap',
    ssh: 'openssh-client',
    'ssh-keygen': 'openssh-client',
    unshare: 'util-linux',
    setpriv: 'util-linux',
    flock: 'util-linux',
  },
  system: {
    'qemu-system-aarch64': 'qemu-system-arm',
    mmdebstrap: 'mmdebstrap',
    ssh: 'openssh-client',
    'ssh-keygen': 'openssh-client',
    setpriv: 'util-linux',
    flock: 'util-linux',
    mke2fs: 'e2fsprogs',
    modprobe: 'kmod',
    cpio: 'cpio',
    dtc: 'device-tree-compiler',
    make: 'make',
    xz: 'xz-utils',
    'aarch64-linux-gnu-gcc-12': 'gcc-12-aarch64-linux-gnu',
    'aarch64-linux-gnu-gcc': 'gcc-aarch64-linux-gnu',
    'aarch64-linux-gnu-strip': 'binutils-aarch64-linux-gnu',
  },
}

/** Debian packages that emulated boards of both kinds need. */
export const labPackages: ReadonlySet<string> = new Set(
  Object.values(programs).flatMap(Object.values<string>),
)

/** False where emulated boards can be started here, else one line: what is missing and how to get it. */
export function labMissing(kind: 'user' | 'system' = 'user'): string | false {
  if (process.platform !== 'linux') return 'emulated boards need Linux with QEMU'
  if (process.getuid?.() !== 0) return 'emulated boards need root (mounts and namespaces); run as root'
  const packages = new Set(
    Object.entries(programs[kind])
      .filter(([program]) => spawnSync('sh', ['-c', 'command -v "$1"', 'sh', program]).status !== 0)
      .map(([, debianPackage]) => debianPackage),
  )
  if (packages.size > 0)
    return `emulated boards need: apt-get install -y --no-install-recommends ${[...packages].join(' ')}`
  if (
    kind === 'user' &&
    spawnSync('unshare', ['--mount', '--pid', '--uts', '--ipc', '--fork', 'true']).status !== 0
  )
    return 'emulated boards need a machine that allows mount namespaces (a container needs --privileged)'
  return false
}
