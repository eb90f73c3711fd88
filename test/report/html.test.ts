import assert from 'node:assert/strict'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'node:test'
import { pathToFileURL } from 'node:url'
import { type Browser, chromium, type Page } from 'playwright-core'
import { renderHtml } from '../../src/report/html.ts'
import type { RunDocument } from '../../src/store/document.ts'
import { sampleRun } from '../store/sample-run.ts'

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
  assert.equal(await page.locator('.timeline canvas').count(), 2)
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
