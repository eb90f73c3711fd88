import { connect, type Socket } from 'node:net'

/** Electrical power over time. A `keyed` one changes with what the board does. */
export type Waveform =
  | SimpleWaveform
  | {
      readonly kind: 'keyed'
      /**
       * `steps`: active while the runner says that it is in a step other than `idle`. `marker`: while `markerPath`
       * holds 1. Both are seen by a notification of the kernel, a fraction of a millisecond after the write.
       */
      readonly by: 'steps' | 'marker'
      readonly idle: SimpleWaveform
      readonly active: SimpleWaveform
    }

export type SimpleWaveform =
  | { readonly kind: 'constant'; readonly watts: number }
  /** High for the first `highMs` of each period; spikes where that is short. Periods count from the board's boot. */
  | {
      readonly kind: 'square'
      readonly lowWatts: number
      readonly highWatts: number
      readonly periodMs: number
      readonly highMs: number
    }
  /** Written every `stepMs`, 1 ms unless given. */
  | {
      readonly kind: 'sine'
      readonly meanWatts: number
      readonly amplitudeWatts: number
      readonly periodMs: number
      readonly stepMs?: number
    }

/** A file of the board that a plan may name as its marker; the board sees its edges as a meter outside would. */
export const markerPath = '/run/lab/marker'

/** What a board with sensors draws, and what its sensors show of it. Times are the board's CLOCK_MONOTONIC. */
export interface BoardPower {
  /** From now on. 1 W, constant, before the first call. */
  play(waveform: Waveform): Promise<void>
  /** Uniform noise on what the registers show, up to ± this; the truth has none. */
  noise(watts: number, periodMs?: number): Promise<void>
  /** Registers keep what they show while the power goes on: a sensor that is stuck. */
  freeze(on: boolean): Promise<void>
  /** Of the power, what flows through each channel of the INA3221; 1, 0.45 and 0.25 unless told. */
  shares(shares: readonly [number, number, number]): Promise<void>
  /** Unbinds a chip's driver, or binds it again: its files are gone, and come again as other ones. */
  detach(chip: 'ina3221' | 'ina226'): Promise<void>
  attach(chip: 'ina3221' | 'ina226'): Promise<void>
  /** The truth: energy between two times, and how often the power changed in it. */
  energy(fromNs: number, toNs: number): Promise<{ readonly energyUj: number; readonly changes: number }>
  /** When the marker changed, in order, since boot. */
  markerEdges(): Promise<readonly { readonly atNs: number; readonly on: boolean }[]>
  clockNs(): Promise<number>
}

/** Asks the program on the board that plays the waveforms (sensors/power-wave.c), over a port that is no network. */
export class SensorLink {
  readonly #socket: Socket
  #received = ''
  #waiting: ((line: string) => void)[] = []

  private constructor(socket: Socket) {
    this.#socket = socket
    socket.setEncoding('latin1')
    socket.on('data', (text: string) => {
      this.#received += text
      for (let end = this.#received.indexOf('\n'); end >= 0; end = this.#received.indexOf('\n')) {
        this.#waiting.shift()?.(this.#received.slice(0, end))
        this.#received = this.#received.slice(end + 1)
      }
    })
    const gone = (): void => {
      for (const answer of this.#waiting.splice(0)) answer('error the board is gone')
    }
    socket.on('error', gone)
    socket.on('close', gone)
    // a board that a test forgot must not keep the test's process alive
    socket.unref()
  }

  static async open(path: string): Promise<SensorLink> {
    const socket = connect(path)
    await new Promise<void>((resolve, reject) => socket.once('connect', resolve).once('error', reject))
    return new SensorLink(socket)
  }

  /** The answer without its `ok`. Throws where the board says an error, or nothing for 20 s. */
  async ask(command: string): Promise<string> {
    if (this.#socket.destroyed) throw new Error(`${command}: the board is gone`)
    const answer = await new Promise<string>((resolve) => {
      const timer = setTimeout(() => resolve('error no answer within 20 s'), 20_000)
      this.#waiting.push((line) => {
        clearTimeout(timer)
        resolve(line)
      })
      this.#socket.write(`${command}\n`)
    })
    if (answer === 'ok') return ''
    if (answer.startsWith('ok ')) return answer.slice(3)
    throw new Error(`${command}: ${answer}`)
  }

  close(): void {
    this.#socket.destroy()
  }
}

/** `link` gives the link to the machine as it runs now: after a power loss it is another one. */
export function boardPower(link: () => SensorLink): BoardPower {
  const ask = (command: string): Promise<string> => link().ask(command)
  const drivers = { ina3221: '0-0040', ina226: '0-0041' } as const
  const bind = async (chip: 'ina3221' | 'ina226', action: 'bind' | 'unbind') => {
    const driver = chip === 'ina3221' ? 'ina3221' : 'ina2xx'
    await ask(`write /sys/bus/i2c/drivers/${driver}/${action} ${drivers[chip]}`)
  }
  return {
    async play(waveform) {
      if (waveform.kind === 'keyed') {
        await ask(`idle ${words(waveform.idle)}`)
        await ask(`active ${words(waveform.active)}`)
        await ask(`key ${waveform.by}`)
      } else {
        await ask(`idle ${words(waveform)}`)
        await ask('key none')
      }
    },
    noise: async (watts, periodMs = 2) => void (await ask(`noise ${micro(watts)} ${micro(periodMs / 1000)}`)),
    freeze: async (on) => void (await ask(`frozen ${on ? 1 : 0}`)),
    shares: async (shares) => void (await ask(`shares ${shares.map(micro).join(' ')}`)),
    detach: (chip) => bind(chip, 'unbind'),
    attach: (chip) => bind(chip, 'bind'),
    async energy(fromNs, toNs) {
      const [energyUj, changes] = (await ask(`energy ${Math.round(fromNs)} ${Math.round(toNs)}`)).split(' ')
      return { energyUj: Number(energyUj), changes: Number(changes) }
    },
    async markerEdges() {
      const edges: { atNs: number; on: boolean }[] = []
      for (;;) {
        const answer = await ask(`edge ${edges.length}`)
        if (answer === 'none') return edges
        const [atNs, on] = answer.split(' ')
        edges.push({ atNs: Number(atNs), on: on === '1' })
      }
    },
    clockNs: async () => Number(await ask('clock')),
  }
}

function words(waveform: SimpleWaveform): string {
  switch (waveform.kind) {
    case 'constant':
      return `constant ${micro(waveform.watts)}`
    case 'square': {
      const { lowWatts, highWatts, periodMs, highMs } = waveform
      return `square ${micro(lowWatts)} ${micro(highWatts)} ${micro(periodMs / 1000)} ${micro(highMs / 1000)}`
    }
    case 'sine': {
      const { meanWatts, amplitudeWatts, periodMs, stepMs = 1 } = waveform
      return `sine ${micro(meanWatts)} ${micro(amplitudeWatts)} ${micro(periodMs / 1000)} ${micro(stepMs / 1000)}`
    }
  }
}

function micro(value: number): number {
  return Math.round(value * 1e6)
}
