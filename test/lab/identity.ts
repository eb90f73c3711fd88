/** What an emulated board says it is: the texts of /proc/cpuinfo and the files of /sys that a probe reads. */

export type BoardModel = 'raspberry-pi-5' | 'raspberry-pi-4b' | 'raspberry-pi-3b-plus'
export type BoardCpu = 'cortex-a76' | 'cortex-a72' | 'cortex-a53'

const models: Record<BoardModel, { model: string; compatible: string[]; kernel: string; clockKhz: number }> =
  {
    'raspberry-pi-5': {
      model: 'Raspberry Pi 5 Model B Rev 1.0',
      compatible: ['raspberrypi,5-model-b', 'brcm,bcm2712'],
      kernel: '6.6.51+rpt-rpi-2712',
      clockKhz: 2_400_000,
    },
    'raspberry-pi-4b': {
      model: 'Raspberry Pi 4 Model B Rev 1.4',
      compatible: ['raspberrypi,4-model-b', 'brcm,bcm2711'],
      kernel: '6.6.51+rpt-rpi-v8',
      clockKhz: 1_800_000,
    },
    'raspberry-pi-3b-plus': {
      model: 'Raspberry Pi 3 Model B Plus Rev 1.3',
      compatible: ['raspberrypi,3-model-b-plus', 'brcm,bcm2837'],
      kernel: '6.6.51+rpt-rpi-v8',
      clockKhz: 1_400_000,
    },
  }

const cpus: Record<BoardCpu, { part: string; variant: string; revision: string; features: string }> = {
  'cortex-a76': {
    part: '0xd0b',
    variant: '0x4',
    revision: '1',
    features:
      'fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm lrcpc dcpop asimddp',
  },
  'cortex-a72': { part: '0xd08', variant: '0x0', revision: '3', features: 'fp asimd evtstrm crc32 cpuid' },
  'cortex-a53': { part: '0xd03', variant: '0x0', revision: '4', features: 'fp asimd evtstrm crc32 cpuid' },
}

/** The core that a board of this model has. */
export const coreOf: Record<BoardModel, BoardCpu> = {
  'raspberry-pi-5': 'cortex-a76',
  'raspberry-pi-4b': 'cortex-a72',
  'raspberry-pi-3b-plus': 'cortex-a53',
}

export const coreCount = 4

/** What `uname -r` answers. */
export function kernelRelease(model: BoardModel): string {
  return models[model].kernel
}

/** /proc/cpuinfo as an arm64 kernel prints it. */
export function cpuInfo(model: BoardModel, cpu: BoardCpu): string {
  const { part, variant, revision, features } = cpus[cpu]
  const core = (index: number) =>
    [
      `processor\t: ${index}`,
      'BogoMIPS\t: 108.00',
      `Features\t: ${features}`,
      'CPU implementer\t: 0x41',
      'CPU architecture: 8',
      `CPU variant\t: ${variant}`,
      `CPU part\t: ${part}`,
      `CPU revision\t: ${revision}`,
      '',
    ].join('\n')
  const cores = Array.from({ length: coreCount }, (_, index) => core(index))
  return `${cores.join('\n')}\nRevision\t: c04170\nSerial\t\t: 10000000deadbeef\nModel\t\t: ${models[model].model}\n`
}

/** Path under /sys to content; strings of the device tree end in NUL, as the kernel gives them. */
export function sysFiles(model: BoardModel): Record<string, string> {
  const { model: name, compatible, clockKhz } = models[model]
  const files: Record<string, string> = {
    'firmware/devicetree/base/model': `${name}\0`,
    'firmware/devicetree/base/compatible': `${compatible.join('\0')}\0`,
    'firmware/devicetree/base/serial-number': '10000000deadbeef\0',
    'class/thermal/thermal_zone0/type': 'cpu-thermal\n',
    'class/thermal/thermal_zone0/temp': '48350\n',
    'devices/system/cpu/possible': `0-${coreCount - 1}\n`,
    'devices/system/cpu/present': `0-${coreCount - 1}\n`,
    'devices/system/cpu/online': `0-${coreCount - 1}\n`,
  }
  for (let core = 0; core < coreCount; core++) {
    const folder = `devices/system/cpu/cpu${core}/cpufreq`
    files[`${folder}/scaling_cur_freq`] = `${clockKhz}\n`
    files[`${folder}/scaling_min_freq`] = '600000\n'
    files[`${folder}/scaling_max_freq`] = `${clockKhz}\n`
    files[`${folder}/cpuinfo_max_freq`] = `${clockKhz}\n`
    files[`${folder}/scaling_governor`] = 'ondemand\n'
  }
  return files
}
