import type { Search } from '../../store/fidelity.ts'
import { dbText, gainText } from '../fidelity-table.ts'
import { formatShare } from '../format.ts'
import { type Markup, markup } from './markup.ts'

/** Each step of a compile's search in its order: kept, dropped, or with nothing to do. */
export function searchTable({ candidates, declined }: Search): Markup | false {
  if (candidates.length + declined.length === 0) return false
  const samples = candidates[0]?.samples
  return markup`<h3>What was tried</h3>
<p class="quiet">Every step on top of what was kept before it${samples !== undefined && `, judged on ${samples} held-out samples`}; kept only where it brings the outputs nearer to float.</p>
<div class="scroll"><table class="search"><thead><tr><th scope="col">step</th><th scope="col">SQNR</th><th scope="col">change</th><th scope="col" class="hide-narrow">agreement</th><th scope="col"></th></tr></thead><tbody>
${candidates.map(
  ({ step, name, sqnrDb, gainDb, agreement, kept }) =>
    markup`<tr><td>${name}${step !== name && markup` <small class="quiet">${step}</small>`}</td><td>${dbText(sqnrDb)}</td><td>${gainDb === null ? '' : gainText(gainDb)}</td><td class="hide-narrow">${agreement === null ? '–' : formatShare(agreement)}</td><td>${kept ? markup`<b class="good">kept</b>` : markup`<span class="quiet">dropped</span>`}</td></tr>`,
)}
${declined.map(({ step, reason }) => markup`<tr><td>${step} <small class="quiet">${reason}</small></td><td></td><td></td><td class="hide-narrow"></td><td><span class="quiet">not tried</span></td></tr>`)}
</tbody></table></div>`
}
