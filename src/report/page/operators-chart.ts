import type { RunResult } from '../../store/document.ts'
import { formatNs, formatRatio, formatShare } from '../format.ts'
import { type Markup, markup } from './markup.ts'
import { type OperatorKind, type OperatorSplit, splitOperators } from './operators.ts'

type Time = (ns: number) => string

const kindWords: Record<OperatorKind, string> = {
  integer: '',
  conversion: 'only int8 needs it',
  float: 'stays in float',
  movement: '',
}

/** Time by operator, float beside int8, so that a reader sees where int8 wins and what eats the gain. */
export function operatorsChart(
  { float, int8 }: NonNullable<RunResult['operators']>,
  emulated: boolean,
): Markup {
  const split = splitOperators(float, int8)
  // an emulator's times mean something only beside each other
  const time: Time = (ns) => (emulated ? formatShare(ns / Math.max(1, split.floatNs)) : formatNs(ns))
  const longest = Math.max(1, ...split.pairs.flatMap(({ floatNs, int8Ns }) => [floatNs, int8Ns]))
  const bar = (kind: 'float' | 'int8', ns: number, slower?: number) =>
    markup`<div>${ns > 0 ? markup`<span class="bar ${kind}" style="--share:${(ns / longest).toFixed(4)}"></span>${time(ns)}${slower !== undefined && slower > 1.1 && markup` <b class="warn">${formatRatio(slower)} slower</b>`}` : '–'}</div>`
  return markup`<h3>Time by operator</h3>
<p class="quiet">${emulated && 'As shares of float’s time. '}${explanation(split, time)} From a profiled session of its own, which is slower than the one that latency is taken from.</p>
<div class="operators">${split.pairs.map(
    ({ name, floatNs, int8Ns, kind }) =>
      markup`<div class="name">${name}${int8Ns > 0 && kindWords[kind] !== '' && markup`<small>${kindWords[kind]}</small>`}</div><div class="bars">${bar('float', floatNs)}${bar('int8', int8Ns, floatNs > 0 ? int8Ns / floatNs : undefined)}</div>`,
  )}</div>`
}

/** Where the int8 network spends its time, in one or two sentences. */
function explanation({ floatNs, int8Ns, int8ByKind }: OperatorSplit, time: Time): string {
  if (int8Ns === 0) return `float: ${time(floatNs)}.`
  const parts = (
    [
      ['integer', 'in integer kernels'],
      ['float', 'in operators that stay in float'],
      ['conversion', 'in conversions between them'],
      ['movement', 'in moving values'],
    ] as const
  )
    .filter(([kind]) => int8ByKind[kind] > 0)
    .map(([kind, words]) => `${formatShare(int8ByKind[kind] / int8Ns)} ${words}`)
  const sum = `All operators: ${time(floatNs)} in float, ${time(int8Ns)} in int8.`
  return `${sum} int8 spends ${parts.join(', ')}.`
}
