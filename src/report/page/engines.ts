import type { RunResult } from '../../store/document.ts'
import { engineRows } from '../engines.ts'
import { type Markup, markup } from './markup.ts'

/** int8 beside float16 and float32, each as the board's own builder made it: int8 is not always the fastest. */
export function enginesTable(result: RunResult): Markup | false {
  const rows = engineRows(result)
  if (rows.length === 0) return false
  return markup`<h3>Engines</h3><p class="quiet">Built on the board by its own trtexec, measured in turns, fastest first${result.conditions?.emulated && '; times as multiples of the fastest'}. A latency is copying in, computing and copying out.</p>
<div class="scroll"><table><thead><tr><th></th><th>p50</th><th>p99</th><th>compute</th><th>size</th><th>build</th></tr></thead>
<tbody>${rows.map(({ name, p50, p99, compute, size, build }) => markup`<tr><th scope="row">${name}</th><td class="main">${p50}</td><td>${p99}</td><td>${compute}</td><td>${size}</td><td>${build}</td></tr>`)}</tbody></table></div>`
}
