import { EdgewrightError } from '../error.ts'

/** One word for a POSIX shell, taken literally whatever it holds; a NUL cannot be carried and is refused. */
export function quoteWord(word: string): string {
  if (word.includes('\0')) throw new EdgewrightError('DEVICE_UNSUPPORTED', 'A command word holds a NUL byte.')
  if (/^[A-Za-z0-9_./:=@%+-]+$/.test(word)) return word
  return `'${word.replaceAll("'", `'\\''`)}'`
}

/** An argv as one command line. */
export function quoteCommand(words: readonly string[]): string {
  return words.map(quoteWord).join(' ')
}
