import { readFileSync } from 'node:fs'
import { arch, cpus, totalmem } from 'node:os'
import type { Profile } from './schema.ts'

/** The `this-computer` profile with the facts of the machine that runs us. */
export function thisComputer(profile: Profile): Profile {
  const all = cpus()
  const clock = Math.max(0, ...all.map((cpu) => cpu.speed))
  return {
    ...profile,
    cpu: {
      ...profile.cpu,
      model: all[0]?.model.trim() || 'unknown',
      cores: Math.max(1, all.length),
      clockMHz: clock > 0 ? clock : null,
      architecture: arch() === 'arm64' ? 'aarch64' : 'x86_64',
      features: cpuFeatures(),
    },
    memory: { ...profile.memory, optionsMiB: [Math.round(totalmem() / 2 ** 20)] },
  }
}

/** Words of the first Features/flags line of /proc/cpuinfo; none where there is no such file (macOS, Windows). */
function cpuFeatures(): string[] {
  try {
    const line = readFileSync('/proc/cpuinfo', 'utf8').match(/^(?:flags|Features)\s*:\s*(.+)$/m)
    return line?.[1]?.trim().split(/\s+/) ?? []
  } catch {
    return process.platform === 'darwin' && arch() === 'arm64'
      ? ['fp', 'asimd', 'fphp', 'asimdhp', 'asimddp']
      : []
  }
}
