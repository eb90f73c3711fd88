/** Text from a board or a name from outside, made safe for messages: no control characters, no escape sequences, cut. */
export function printable(text: string, maxLength = 200): string {
  const flat = text
    .slice(0, maxLength * 4)
    .replace(/\u001b(?:\[[0-?]*[ -/]*[@-~]|\][^\u0007\u001b]*(?:\u0007|\u001b\\)?|[@-_])/g, '')
    .replace(/[\u0000-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069]+/g, ' ')
    .trim()
  return flat.length > maxLength ? `${flat.slice(0, maxLength)}…` : flat
}

/** The last line of an answer that says something: where programs put their reason. */
export function lastLine(text: string): string {
  const lines = text.split('\n').filter((line) => line.trim() !== '')
  return printable(lines.at(-1) ?? '')
}
