import { basename } from 'node:path'
import type { Fidelity, Search } from '../../store/fidelity.ts'
import { dbText } from '../fidelity-table.ts'
import { formatBytes } from '../format.ts'
import { fidelitySection } from './fidelity.ts'
import { fidelityScript } from './fidelity-script.ts'
import { searchTable } from './fidelity-search.ts'
import { markup } from './markup.ts'
import { page } from './page.ts'
import { plotLibrary } from './timeline.ts'

/** What the page of a diagnosis shows: the document of `edgewright diagnose --json`. */
export interface DiagnosisDocument extends Search {
  readonly model: { readonly path: string; readonly sha256: string; readonly bytes: number }
  readonly profile: string
  readonly target: string
  readonly scheme: string
  readonly calibrated: boolean
  readonly chosen: string
  readonly diagnosis: Fidelity
  readonly warnings: readonly { readonly code: string; readonly message: string; readonly hint: string }[]
}

/** One self-contained page about one quantized network; it loads nothing. */
export function renderDiagnosis(document: DiagnosisDocument): string {
  const { model, profile, target, scheme, chosen, diagnosis, calibrated, warnings } = document
  const name = basename(model.path.replaceAll('\\', '/'))
  return page(
    `${name}: where ${scheme} differs from float`,
    markup`<header><h1>${name}: where ${scheme} differs from float</h1>
<p class="facts"><span>${formatBytes(model.bytes)}</span><span>sha256 <code>${model.sha256.slice(0, 16)}</code></span><span>${profile}</span><span>${target}</span></p>
<p class="lead">Output SQNR ${dbText(diagnosis.sqnrDb)}.</p></header>
<section class="card"><p class="quiet">Made with ${chosen}.</p>
${!calibrated && markup`<div class="note"><p>Not calibrated: ranges and samples are random, so the figures say nothing about real use.</p></div>`}
${warnings.map(({ code, message, hint }) => markup`<div class="note"><p>${message} <code>${code}</code></p><p>${hint}</p></div>`)}
${fidelitySection('fidelity-0', diagnosis)}
${searchTable(document)}</section>`,
    markup`${plotLibrary()}${fidelityScript()}`,
  )
}
