import type { Fidelity, FidelityTensor } from '../../store/fidelity.ts'
import { dbText, gainText, rewriteNote } from '../fidelity-table.ts'
import { worstFirst } from '../fidelity-order.ts'
import { formatShare } from '../format.ts'
import { type Markup, markup, scriptJson } from './markup.ts'

/** Rows whose causes are shown without a click. */
const open = 3
/** Beyond so many tensors the table scrolls by itself. */
const many = 40
/** Sorts behind every number of decibels. */
const exact = 1e9

/** Where the network differs from float: a plot along the network, and a table of its tensors that sorts by any column. */
export function fidelitySection(id: string, fidelity: Fidelity): Markup {
  const { tensors, samples, sqnrDb, agreement } = fidelity
  const agrees = agreement === null ? '' : ` and the same answer on ${formatShare(agreement)}`
  return markup`<h3 id="${id}">Where it differs from float</h3>
<p class="quiet">Output SQNR ${dbText(sqnrDb)}${agrees}, over ${samples} samples. <b>SQNR</b> is that of each tensor as the network runs; <b>own</b> is what its operators add to the operands that they read, so that a layer is not blamed for those before it.</p>
${rewriteNote(fidelity).map((note) => markup`<div class="note"><p>${note}</p></div>`)}
${tensors.length > 1 && plot(`${id}-data`, tensors)}
${tensors.length > 0 && table(id, fidelity)}`
}

function plot(id: string, tensors: readonly FidelityTensor[]): Markup {
  const data = {
    names: tensors.map(({ name }) => name),
    sqnrDb: tensors.map((tensor) => tensor.sqnrDb),
    ownDb: tensors.map((tensor) => tensor.ownDb),
  }
  return markup`<figure><figcaption>SQNR along the network, in execution order, drawn up to 60 dB. What falls and stays low is where error is made; a click finds the tensor in the table.</figcaption>
<div class="fidelity" data-source="${id}"><p class="quiet">Drawn by the page’s own script.</p></div><script type="application/json" id="${id}">${scriptJson(data)}</script></figure>`
}

const columns = [
  { title: 'tensor', sort: 'text' },
  { title: '#', sort: 'number' },
  { title: 'SQNR', sort: 'number' },
  { title: 'own', sort: 'number' },
  { title: 'cosine', sort: 'number' },
  { title: 'stored', sort: 'text' },
] as const

function table(id: string, { tensors }: Fidelity): Markup {
  const order = new Map(tensors.map((tensor, index) => [tensor, index]))
  return markup`<div class="tensors${tensors.length > many && ' tall'}" role="region" tabindex="0" aria-labelledby="${id}"><table class="sortable">
<thead><tr>${columns.map(
    ({ title, sort }, i) =>
      markup`<th scope="col"${i > 3 && markup` class="hide-narrow"`}${title === 'own' && markup` aria-sort="ascending"`}><button type="button" data-column="${i}" data-sort="${sort}">${title}</button></th>`,
  )}</tr></thead>
${worstFirst(tensors).map((tensor, rank) => rows(tensor, order.get(tensor)! + 1, rank < open))}</table></div>`
}

/** A body of its own for each tensor, so that its causes move with it. */
function rows(tensor: FidelityTensor, number: number, isOpen: boolean): Markup {
  const { name, operator, dtype, sqnrDb, ownDb, cosine, causes } = tensor
  const db = (value: number | null, main = false) =>
    markup`<td data-value="${value ?? exact}"${main && markup` class="main"`}>${dbText(value)}</td>`
  return markup`<tbody data-number="${number}"><tr><td data-value="${name}"><code>${name}</code> <small class="quiet">${operator}</small></td>
<td data-value="${number}">${number}</td>${db(sqnrDb)}${db(ownDb, true)}<td class="hide-narrow" data-value="${cosine}">${cosine.toFixed(4)}</td><td class="hide-narrow" data-value="${dtype ?? 'float'}">${dtype ?? 'float'}</td></tr>
${causes.length > 0 && markup`<tr><td colspan="${columns.length}">${details(causes, isOpen)}</td></tr>`}</tbody>`
}

function details(causes: FidelityTensor['causes'], isOpen: boolean): Markup {
  return markup`<details${isOpen && markup` open`}><summary${causes.every(({ kind }) => kind === 'accumulated') && markup` class="quiet"`}>${causes.map(({ kind }) => kind.replaceAll('-', ' ')).join(', ')}</summary>
${causes.map(({ sentence, remedies }) => markup`<p>${sentence}</p>${remedies.length > 0 && markup`<ul class="plain">${remedies.map(remedy)}</ul>`}`)}</details>`
}

function remedy({ option, why, gainDb }: FidelityTensor['causes'][number]['remedies'][number]): Markup {
  return markup`<li>${option !== null && markup`<code>${option}</code>: `}${why}${gainDb !== undefined && markup` <b class="${gainDb !== null && gainDb < 0 ? 'bad' : 'good'}">tried: ${gainText(gainDb)}</b>`}</li>`
}
