import type { RawLatency, RawSeries, RunDocument, RunResult } from '../store/document.ts'
import { formatBytes, formatPoints, formatRatio, formatShare, formatNs, formatTime } from './format.ts'
import { differences } from './page/differences.ts'
import { deviceCard } from './page/device.ts'
import { fidelityScript } from './page/fidelity-script.ts'
import { type Markup, markup } from './page/markup.ts'
import { page } from './page/page.ts'
import { seriesScript } from './page/series-chart.ts'
import { plotLibrary, timelineScript } from './page/timeline.ts'

/**
 * One self-contained page: float beside int8 on every device, how latency is distributed, where the time goes, and what
 * was measured where and how. It loads nothing.
 *
 * @param raw Raw latencies by the path that `results[].samples` names, as `loadRaw` returns them; what is missing is not drawn.
 * @param series Time series likewise, as `loadSeries` returns them.
 */
export function renderHtml(
  document: RunDocument,
  raw: Readonly<Record<string, RawLatency>>,
  series: Readonly<Record<string, RawSeries>> = {},
): string {
  const { model, results } = document
  const name = model.path.split(/[/\\]/).at(-1) ?? model.path
  const cards = results.map((result, i) => deviceCard(result, i, { raw, series }, results.length === 1))
  const draws = (kind: string) => cards.some(({ text }) => text.includes(`class="${kind}"`))
  return page(
    `${name}: float beside int8`,
    markup`${header(document, name)}
${results.length > 1 && overview(results)}
${differences(results)}
${cards}
<footer>Edgewright ${document.edgewright}. Raw samples and the full document are kept in <code>.edgewright/runs/${document.runId}/</code>.</footer>`,
    markup`${(draws('timeline') || draws('series') || draws('fidelity')) && plotLibrary()}${draws('timeline') && timelineScript()}${draws('series') && seriesScript()}${draws('fidelity') && fidelityScript()}`,
  )
}

function header({ model, runId, createdAt, results }: RunDocument, name: string): Markup {
  const failed = results.filter(({ status }) => status === 'failed').length
  const skipped = results.filter(({ status }) => status === 'skipped').length
  return markup`<header>
<h1>${name}: float beside int8</h1>
<p class="facts"><span>${formatBytes(model.bytes)}</span><span>sha256 <code>${model.sha256.slice(0, 16)}</code></span><span>${formatTime(createdAt)}</span><span>run <code>${runId}</code></span></p>
<p class="lead">${headline(results)}</p>
${failed + skipped > 0 && markup`<p class="bad">${[failed > 0 ? `${failed} of ${results.length} failed` : null, skipped > 0 ? `${skipped} of ${results.length} skipped` : null].filter((part) => part !== null).join(', ')}: see below.</p>`}
</header>`
}

/** The verdicts in one line: where int8 wins, where float does. */
function headline(results: readonly RunResult[]): string {
  const measured = results.filter(({ status, verdict }) => status === 'ok' && verdict !== null)
  if (measured.length === 0) return 'No device was measured.'
  if (measured.length === 1) return measured[0]!.verdict!.sentence
  const words = {
    int8: 'int8 wins on',
    float: 'float wins on',
    either: 'no difference on',
    undecided: 'undecided on',
  } as const
  return (Object.keys(words) as (keyof typeof words)[])
    .map((choice) => ({ choice, on: measured.filter(({ verdict }) => verdict!.choice === choice) }))
    .filter(({ on }) => on.length > 0)
    .map(
      ({ choice, on }) =>
        `${words[choice]} ${on.length <= 3 ? on.map(({ device }) => device).join(', ') : `${on.length} devices`}`,
    )
    .join('; ')
    .replace(/^(?!int8)./, (first) => first.toUpperCase())
    .concat('.')
}

/** An emulator's times are no board's. */
function medianText({ conditions }: RunResult, latency: RunResult['latency'] | undefined): string {
  if (!latency) return '–'
  return conditions?.emulated ? 'emulated' : formatNs(latency.p50Ns)
}

function overview(results: readonly RunResult[]): Markup {
  return markup`<section class="card"><h2>All devices</h2><p class="quiet">Median time of one inference.</p><div class="scroll"><table class="overview" style="margin-top:12px">
<thead><tr><th>device</th><th class="hide-narrow">threads</th><th><span class="key float"></span>float</th><th><span class="key int8"></span>int8</th><th>speed</th><th class="hide-narrow">accuracy</th><th class="hide-narrow">agreement</th><th>ship</th></tr></thead>
<tbody>${results.map(
    (result, i) => markup`<tr><td><a href="#device-${i}" style="color:inherit">${result.device}</a></td>
<td class="hide-narrow">${result.threads}</td><td>${medianText(result, result.baseline?.latency)}</td><td>${medianText(result, result.latency)}</td>
<td class="main">${result.speedup === null || result.conditions?.emulated ? '–' : formatRatio(result.speedup)}</td><td class="hide-narrow">${typeof result.accuracy?.drop === 'number' ? formatPoints(-result.accuracy.drop) : '–'}</td>
<td class="hide-narrow">${typeof result.accuracy?.agreement === 'number' ? formatShare(result.accuracy.agreement) : '–'}</td><td>${result.status === 'ok' ? (result.verdict?.choice ?? '–') : markup`<span class="bad">${result.status}</span>`}</td></tr>`,
  )}</tbody></table></div></section>`
}
