import { createInterface } from 'node:readline'
import { Writable } from 'node:stream'

/** Asks on the terminal. A secret is not echoed. */
export function ask(question: string, secret: boolean): Promise<string> {
  let muted = false
  const output = new Writable({
    write(chunk, encoding, done) {
      if (!muted) process.stderr.write(chunk, encoding as BufferEncoding)
      done()
    },
  })
  const lines = createInterface({ input: process.stdin, output, terminal: true })
  return new Promise((resolve) => {
    lines.question(question, (answer) => {
      lines.close()
      if (secret) process.stderr.write('\n')
      resolve(answer)
    })
    muted = secret
  })
}
