/** Default bound on a command's output. */
export const defaultMaxOutputBytes = 4 * 1024 * 1024

/** Keeps a stream's first bytes and drops the rest, so that a board that never stops talking costs no memory. */
export class BoundedOutput {
  readonly #chunks: Buffer[] = []
  readonly #maxBytes: number
  #keptBytes = 0
  truncated = false

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes
  }

  push(chunk: Buffer): void {
    const room = this.#maxBytes - this.#keptBytes
    if (chunk.length > room) this.truncated = true
    if (room <= 0) return
    const kept = chunk.length > room ? chunk.subarray(0, room) : chunk
    this.#chunks.push(kept)
    this.#keptBytes += kept.length
  }

  bytes(): Buffer {
    return Buffer.concat(this.#chunks)
  }

  text(): string {
    return this.bytes().toString('utf8')
  }
}
