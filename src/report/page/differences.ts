import type { RunResult } from '../../store/document.ts'
import { type Markup, markup } from './markup.ts'

const fields: readonly (readonly [name: string, of: (result: RunResult) => string | null | undefined])[] = [
  ['operating system', ({ conditions }) => conditions?.os],
  ['kernel', ({ conditions }) => conditions?.kernel],
  ['processor', ({ conditions }) => conditions?.cpu],
  ['governor', ({ conditions }) => conditions?.governor],
  ['power mode', ({ conditions }) => conditions?.powerMode],
  ['stability', ({ conditions }) => conditions?.stability],
  ['preset', ({ conditions }) => conditions?.preset],
  ['rate', ({ conditions }) => conditions && (conditions.rateHz > 0 ? `${conditions.rateHz}/s` : 'flat out')],
  ['measured with', ({ conditions }) => conditions?.measuredWith],
  ['emulation', ({ conditions }) => conditions?.emulated],
  [
    'runtime',
    ({ runtime }) =>
      runtime &&
      `${runtime.name} ${runtime.version}${runtime.sha256 ? ` ${runtime.sha256.slice(0, 12)}` : ''}`,
  ],
  ['target', ({ target }) => target],
]

/** In what the measured devices differ besides the network: only what is not the same everywhere. Null where nothing is. */
export function differences(results: readonly RunResult[]): Markup | null {
  const measured = results.filter(({ status }) => status === 'ok')
  if (measured.length < 2) return null
  const rows = fields
    .map(([name, of]) => ({ name, values: measured.map((result) => of(result) || '–') }))
    .filter(({ values }) => new Set(values).size > 1)
  if (rows.length === 0) return null
  return markup`<section class="card"><details><summary class="quiet">What differs between the devices besides their speed</summary><div class="scroll"><table class="overview">
<thead><tr><th></th>${measured.map(({ device }) => markup`<th>${device}</th>`)}</tr></thead>
<tbody>${rows.map(({ name, values }) => markup`<tr><th scope="row">${name}</th>${values.map((value) => markup`<td>${value}</td>`)}</tr>`)}</tbody></table></div></details></section>`
}
