/** Makes foreign text safe for a terminal: control characters become visible escapes, newlines and tabs stay. */
export function sanitize(foreign: string): string {
  return foreign.replace(
    /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
}
