/**
 * A power meter beside the board, as its adapter delivers it: samples on the host's clock and how that clock stands to
 * the board's. What `energyOf` takes for a meter outside in place of a sensor on the board.
 */
export interface ExternalPower {
  /** For people, e.g. `PPK2 at /dev/ttyACM0`. */
  readonly source: string
  /** Host time of each sample in milliseconds, ascending, on one monotonic clock (performance.now). */
  readonly tHostMs: Float64Array
  readonly milliW: Float64Array
  /** Of one sample, as bounds (a datasheet's maxima): a share of the value, a constant, and the step of its last digit. */
  readonly uncertainty: {
    readonly gainShare: number
    readonly offsetMilliW: number
    readonly stepMilliW: number
  }
  /** A sample is the mean of so much time before it; 0: an instant. */
  readonly averagedMs: number
  readonly sync: {
    /** `edge`: the runner's marker was seen in the meter's own samples; `offset`: by round trips over the connection. */
    readonly kind: 'edge' | 'offset'
    /** Board's CLOCK_MONOTONIC minus host time, nanoseconds. */
    readonly boardMinusHostNs: number
    /** Half width of what the offset may be wrong by, nanoseconds. */
    readonly boundNs: number
  }
  /** What ended it early, where something did; samples before it are kept. */
  readonly cutShort: string | null
}
