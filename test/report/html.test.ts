import assert from 'node:assert/strict'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'node:test'
import { pathToFileURL } from 'node:url'
import { type Browser, chromium, type Page } from 'playwright-core'
import { renderHtml } from '../../src/report/html.ts'
import type { RawSeries, RunDocument, RunResult } from '../../src/store/document.ts'
import { sampleNs, sampleRun } from '../store/sample-run.ts'

const executable = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find((path) =>
  existsSync(path),
)
const skip = executable === undefined && 'needs a browser: apt-get install chromium'
const scratch = mkdtempSync(join(tmpdir(), 'edgewright-report-'))
let browser: Browser | undefined

test.before(async () => {
  if (executable === undefined) return
  browser = await chromium.launch({
    executablePath: executable,
    args: ['--no-sandbox', '--disable-gpu', '--disable-background-networking', '--no-first-run'],
    timeout: 60_000,
  })
})
test.after(async () => {
  await browser?.close()
  rmSync(scratch, { recursive: true, force: true })
})

interface Opened {
  readonly page: Page
  /** Console errors, script errors, dialogs and requests other than the page itself. */
  readonly trouble: string[]
}

let files = 0
async function openReport(
  html: string,
  viewport = { width: 1200, height: 900 },
  colorScheme: 'light' | 'dark' = 'light',
): Promise<Opened> {
  const path = join(scratch, `report-${files++}.html`)
  writeFileSync(path, html)
  const page = await browser!.newPage({ viewport, colorScheme })
  const trouble: string[] = []
  page.on('console', (message) => {
    if (['error', 'warning'].includes(message.type())) trouble.push(`console: ${message.text()}`)
  })
  page.on('pageerror', (error) => trouble.push(`script: ${error.message}`))
  page.on('dialog', (dialog) => {
    trouble.push(`dialog: ${dialog.message()}`)
    void dialog.dismiss()
  })
  page.on('request', (request) => {
    if (request.url() !== pathToFileURL(path).href && !request.url().startsWith('data:'))
      trouble.push(`request: ${request.url()}`)
  })
  await page.goto(pathToFileURL(path).href, { waitUntil: 'load', timeout: 30_000 })
  return { page, trouble }
}

const { document, raw } = sampleRun()

test('the page opens without an error or a request and shows float beside int8', { skip }, async () => {
  const { page, trouble } = await openReport(renderHtml(document, raw))
  assert.equal(await page.locator('.timeline canvas').count(), 1, 'the emulated board has no chart of times')
  assert.deepEqual(trouble, [])
  const card = page.locator('#device-0')
  const row = (name: string) => card.locator('tr', { hasText: name }).locator('td').allTextContents()
  assert.deepEqual(await row('Median (p50)'), ['4.31 ms', '2.36 ms', '1.83× faster'])
  assert.deepEqual(await row('p99'), ['6.11 ms', '3.21 ms', ''])
  assert.deepEqual(await row('Accuracy, top-1'), ['91.8 %', '91.6 %', '−0.2 points'])
  assert.deepEqual(await row('Model file'), ['95.7 kB', '38.4 kB', '0.40×'])
  assert.deepEqual(await row('Peak memory'), ['31.5 MB', '27.3 MB', ''])
  assert.match(
    await card.innerText(),
    /SQNR\s+24\.3 dB[\s\S]*preset standard[\s\S]*onnxruntime 1\.30\.0 b{16}/,
  )
  assert.match(
    await page.locator('#device-1').innerText(),
    /Emulated by qemu-aarch64 8\.2: absolute times are not a board’s/,
  )
  assert.match(
    await page.locator('#device-2').innerText(),
    /does not answer[\s\S]*DEVICE_UNREACHABLE[\s\S]*Is it on/,
  )
  await page.close()
})

/** The first device with all that a board with sensors tells, the clock falling in the middle. */
function measuredRun() {
  const { document, raw } = sampleRun()
  const first = document.results[0]!
  const seconds = Array.from({ length: 30 }, (_, s) => s * 1e9)
  const inferences = (artifact: string, medianNs: number, seed: number) => {
    const ns = sampleNs(2000, medianNs, seed).map((value, i) => (i > 1300 ? value * 1.2 : value))
    return { artifact, tNs: ns.map((_, i) => 5e9 + i * 1e7), ns }
  }
  const series: RawSeries = {
    schema: 1,
    device: first.device,
    steps: [
      { do: 'idle', artifacts: [], startNs: 0, endNs: 5e9 },
      { do: 'interleave', artifacts: ['float', 'int8'], startNs: 5e9, endNs: 25e9 },
    ],
    latency: [inferences('float', 4_300_000, 1), inferences('int8', 2_340_000, 2)],
    sensors: [
      { name: 'cpu-thermal', unit: 'milliC', tNs: seconds, values: seconds.map((_, s) => 48_000 + s * 1000) },
      {
        name: 'policy0',
        unit: 'kHz',
        tNs: seconds,
        values: seconds.map((_, s) => (s > 18 ? 1_500_000 : 1_800_000)),
      },
    ],
    power: [
      { rail: 'VDD_IN', total: true, tNs: seconds, milliW: seconds.map((_, s) => (s > 5 ? 5100 : 2700)) },
    ],
  }
  const measured = {
    source: 'ina3221 VDD_IN',
    scope: 'board',
    sync: 'same-clock',
    syncBoundNs: 0,
    sampleHz: 20,
    samples: 200,
    windowNs: 1e10,
    inferences: 2400,
    rateHz: 0,
    activeMilliW: 5100,
    idleMilliW: { before: 2700, after: 2740 },
  } as const
  const energy = (value: number): RunResult['energy'] => ({
    value,
    reason: null,
    uncertainty: value * 0.02,
    dynamic: { value: value / 2, uncertainty: value * 0.03 },
    measured,
  })
  const result: RunResult = {
    ...first,
    samples: { ...first.samples!, series: 'raw/series.json' },
    energy: energy(10_000),
    baseline: { ...first.baseline!, energy: energy(20_000) },
    latency: {
      ...first.latency!,
      p99Ns: null,
      intervals: {
        p50: { lowNs: 2_330_000, highNs: 2_370_000 },
        p90: { lowNs: 2_600_000, highNs: 2_700_000 },
        p99: null,
      },
      outliers: { mild: 3, severe: 1 },
    },
    conditions: {
      ...first.conditions!,
      stability: 'throttled',
      stabilityReason: 'the clock fell from 1800 to 1500 MHz under load',
      throttle: {
        underVoltage: false,
        frequencyCapped: true,
        throttled: false,
        softTemperatureLimit: false,
        source: 'vcgencmd get_throttled',
      },
      pinned: [{ what: 'governor of policy0', from: 'ondemand', to: 'performance', restored: false }],
    },
  }
  return {
    document: { ...document, results: [result, ...document.results.slice(1)] },
    raw,
    series: { 'raw/series.json': series },
  }
}

test('latency, temperature, clock and power stand over one axis of time, and energy has whiskers', {
  skip,
}, async () => {
  const { document, raw, series } = measuredRun()
  const html = renderHtml(document, raw, series)
  const { page, trouble } = await openReport(html)
  const card = page.locator('#device-0')
  assert.equal(await card.locator('.series canvas').count(), 4)
  const drawn = await page.evaluate<number[]>(
    `[...document.querySelectorAll('#device-0 .series canvas')].map((c) => new Set(c.getContext('2d').getImageData(0, 0, c.width, c.height).data).size)`,
  )
  for (const colours of drawn) assert.ok(colours > 10, 'the canvas is not blank')
  const words = await card.locator('.series').getAttribute('aria-label')
  assert.match(words!, /Temperature cpu-thermal: 48\.0 °C to 77\.0 °C; Clock policy0: 1500 MHz to 1800 MHz/)
  const bars = await card
    .locator('.energy .fill')
    .evaluateAll((all) => all.map((bar) => Number(bar.getAttribute('width'))))
  assert.deepEqual(
    bars.map((width) => Math.round((width / bars[0]!) * 100)),
    [100, 50, 50, 25],
  )
  assert.equal(await card.locator('.energy .whisker').count(), 4)
  const text = await card.innerText()
  for (const said of [
    '20 ± 0.4 mJ',
    '2.33–2.37 ms',
    'n too small',
    'the whole board',
    'throttled: the clock fell',
    'frequency capped during the run',
    'NOT put back',
  ])
    assert.ok(text.includes(said), said)
  assert.deepEqual(trouble, [])
  await page.close()
})

test('on a phone the charts over time fit, and nothing scrolls sideways', { skip }, async () => {
  const { document, raw, series } = measuredRun()
  const { page } = await openReport(renderHtml(document, raw, series), { width: 390, height: 844 })
  assert.equal(await page.evaluate<number>('document.documentElement.scrollWidth'), 390)
  await page.close()
})

test('an emulated board shows neither times nor energy of its own, in no chart and no table', {
  skip,
}, async () => {
  const { document, raw, series } = measuredRun()
  const [first] = document.results
  const emulated = { ...first!, conditions: { ...first!.conditions!, emulated: 'QEMU user mode' } }
  const { page } = await openReport(renderHtml({ ...document, results: [emulated] }, raw, series))
  const text = await page.locator('#device-0').innerText()
  assert.doesNotMatch(text, /\d (ns|µs|ms|mJ|µJ)\b/)
  assert.match((await page.locator('.series').getAttribute('aria-label'))!, /Latency float: 0\.9\d* ×/)
  assert.equal(await page.locator('.energy').count(), 0)
  await page.close()
})

test('bars and curves are drawn in proportion', { skip }, async () => {
  const { page } = await openReport(renderHtml(document, raw))
  const widths = await page
    .locator('#device-0 .bar')
    .evaluateAll((bars) => bars.map((bar) => bar.getBoundingClientRect().width))
  assert.ok(Math.abs(widths[1]! / widths[0]! - 2_150_000 / 4_100_000) < 0.02, `${widths[1]} of ${widths[0]}`)
  const dots = await page
    .locator('#device-0 .dot')
    .evaluateAll((all) => all.map((dot) => dot.getBoundingClientRect().x))
  assert.equal(dots.length, 2)
  assert.ok(dots[1]! < dots[0]!, 'the faster int8 median is left of the float one')
  const slower = await page
    .locator('#device-1 .dot')
    .evaluateAll((all) => all.map((dot) => dot.getBoundingClientRect().x))
  assert.ok(slower[1]! > slower[0]!, 'where int8 is slower it is right of float')
  await page.close()
})

for (const [name, width] of [
  ['a phone', 375],
  ['a tablet', 820],
  ['a desktop', 1400],
] as const) {
  test(`nothing is cut off on ${name}`, { skip }, async () => {
    const { page, trouble } = await openReport(renderHtml(document, raw), { width, height: 800 }, 'dark')
    const overflow = await page.evaluate<string[]>(
      `[document.documentElement, ...document.querySelectorAll('.card, table, .operators, .bars div, figure')].filter((e) => e.scrollWidth > e.clientWidth + 1 && getComputedStyle(e).display !== 'inline').map((e) => e.tagName + '.' + e.className)`,
    )
    assert.deepEqual(overflow, [])
    const [ink, page2] = await page.evaluate<string[]>(
      `[getComputedStyle(document.body).color, getComputedStyle(document.body).backgroundColor]`,
    )
    assert.equal(ink, 'rgb(231, 234, 238)')
    assert.equal(page2, 'rgb(16, 19, 22)')
    assert.deepEqual(trouble, [])
    await page.close()
  })
}

test('hostile names stay text: no script runs, nothing is fetched', { skip }, async () => {
  const evil =
    '</script><script>alert(1)</script><img src=x onerror=alert(2)>"\'`--><svg onload=alert(3)>{{7*7}}'
  const first = document.results[0]!
  const hostile: RunDocument = {
    ...document,
    model: { ...document.model, path: `dir/${evil.replaceAll('/', '')}` },
    results: [
      {
        ...first,
        device: evil,
        profile: evil,
        runtime: { name: evil, version: evil, sha256: null },
        artifact: { ...first.artifact!, path: evil },
        accuracy: { ...first.accuracy!, metric: evil },
        parity: { ...first.parity!, maxSteps: 9, ok: false, firstDivergence: evil },
        energy: { value: null, reason: evil },
        conditions: { ...first.conditions!, hostname: evil, emulated: evil, os: evil, governor: evil },
        warnings: [{ code: evil, message: evil, hint: evil }],
        verdict: { choice: 'int8', sentence: evil },
        operators: {
          float: [{ operator: evil, meanNs: 5, calls: 1 }],
          int8: [{ operator: evil, meanNs: 5, calls: 1 }],
        },
        layers: [{ name: evil, operator: evil, sqnrDb: 3 }],
        constraints: [{ id: 'x', sentence: evil, basis: evil, source: [evil] }],
      },
      {
        ...document.results[2]!,
        error: { code: 'DEVICE_LOST', message: evil, where: evil, saw: evil, hint: evil },
      },
    ],
  }
  const { page, trouble } = await openReport(renderHtml(hostile, { ...raw }))
  await page.waitForTimeout(200)
  assert.deepEqual(trouble, [])
  assert.equal(await page.locator('img, svg[onload]').count(), 0)
  assert.ok((await page.locator('#device-0 h2').innerText()).includes('<script>alert(1)'))
  await page.close()
})

test('the curves show without scripts, and on paper', { skip }, async () => {
  const context = await browser!.newContext({ javaScriptEnabled: false })
  const page = await context.newPage()
  await page.setContent(renderHtml(document, raw))
  assert.equal(await page.locator('svg.chart').count(), 2)
  assert.equal((await page.locator('.bar').count()) > 8, true)
  await context.close()
})

test('a run without raw samples, operators or conditions is still a page', () => {
  const bare: RunDocument = {
    ...document,
    results: [
      {
        ...document.results[0]!,
        samples: undefined,
        operators: null,
        conditions: null,
        layers: undefined,
        size: null,
        parity: null,
        accuracy: null,
        baseline: null,
        verdict: null,
        speedup: null,
      },
    ],
  }
  const html = renderHtml(bare, {})
  assert.doesNotMatch(html, /undefined|NaN|\[object/)
  assert.doesNotMatch(html, /uPlot/)
  assert.match(html, /2\.36 ms/)
})

test('the page stays small however long the run was', () => {
  const ns = Array.from({ length: 200_000 }, (_, i) => 1_000_000 + ((i * 7919) % 50_000))
  const long = {
    ...raw,
    'raw/0-float.json': { ...raw['raw/0-float.json']!, ns },
    'raw/0-int8.json': { ...raw['raw/0-int8.json']!, ns },
  }
  assert.ok(renderHtml(document, long).length < 400_000)
})
