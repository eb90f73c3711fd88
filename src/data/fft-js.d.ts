/** The package ships no types; these are what we call. */
declare module 'fft.js' {
  export default class FFT {
    /** @param size a power of two, at least 2 */
    constructor(size: number)
    createComplexArray(): number[]
    /** Real input of `size`; fills the first half of the interleaved spectrum. */
    realTransform(out: number[], data: ArrayLike<number>): void
  }
}
