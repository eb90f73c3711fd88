/** A value of a cell; null and undefined leave it empty. */
export type Cell = string | number | boolean | null | undefined

/**
 * One line of CSV (RFC 4180), ended by LF. Text that a spreadsheet would take for a formula (it begins with = + - @, a tab
 * or a carriage return) gets an apostrophe in front: names and answers of boards are anybody's.
 */
export function csvLine(cells: readonly Cell[]): string {
  return `${cells.map(csvCell).join(',')}\n`
}

function csvCell(cell: Cell): string {
  if (cell === null || cell === undefined) return ''
  // numbers are ours: a minus before one is a sign
  if (typeof cell !== 'string') return Number.isNaN(cell) ? '' : String(cell)
  const plain = /^[=+\-@\t\r]/.test(cell) ? `'${cell}` : cell
  return /[",\r\n]/.test(plain) ? `"${plain.replaceAll('"', '""')}"` : plain
}
