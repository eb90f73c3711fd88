import assert from 'node:assert/strict'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'node:test'
import { pathToFileURL } from 'node:url'
import { type Browser, chromium } from 'playwright-core'
import { renderComparisonPage } from '../../src/report/page/comparison-page.ts'
import { type Comparison, comparisonSchema } from '../../src/store/comparison.ts'
import { latencyOf, sampleNs } from '../store/sample-run.ts'

const executable = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find((path) =>
  existsSync(path),
)
const skip = executable === undefined && 'needs a browser: apt-get install chromium'
const scratch = mkdtempSync(join(tmpdir(), 'edgewright-comparison-'))
let browser: Browser | undefined
test.before(async () => {
  if (executable)
    browser = await chromium.launch({ executablePath: executable, args: ['--no-sandbox', '--disable-gpu'] })
})
test.after(async () => {
  await browser?.close()
  rmSync(scratch, { recursive: true, force: true })
})

/** B takes 5 % longer in each block, its control nothing. */
function slowerByFive(changes: Partial<Comparison> = {}): Comparison {
  const runtime = { name: 'onnxruntime', version: '1.30.0', sha256: null }
  const side = (path: string, medianNs: number): Comparison['a'] => ({
    path,
    kind: 'model',
    bytes: 1000,
    sha256: 'a'.repeat(64),
    target: null,
    scheme: null,
    runtime,
    latency: latencyOf(sampleNs(400, medianNs, 1), medianNs * 3),
    peakRssBytes: 40e6,
    accuracy: null,
    energy: { value: null, reason: 'It was not asked for.' },
  })
  const blocks = Array.from({ length: 12 }, (_, i) => 1e6 + i * 1000)
  const figures = (factor: number) => ({
    p50: blocks.map((ns) => ns * factor),
    mean: blocks.map((ns) => ns * factor),
    p90: null,
    p99: null,
  })
  const change = (estimate: number) => ({
    estimate,
    interval: { low: estimate - 0.01, high: estimate + 0.01 },
    pValue: 0.0005,
  })
  return comparisonSchema.parse({
    schemaVersion: 1,
    kind: 'comparison',
    createdAt: '2026-11-23T04:00:00Z',
    edgewright: '0.1.0',
    environment: {
      device: 'pi@board',
      profile: 'raspberry-pi-5',
      kernel: null,
      cpu: null,
      governor: 'performance',
      runtime,
      threads: 1,
      preset: 'standard',
      emulated: null,
    },
    conditions: null,
    a: side('/models/old.onnx', 1e6),
    b: side('/models/new.onnx', 1.05e6),
    baseline: null,
    passes: [
      {
        seed: 1,
        verdict: 'slower',
        reason: 'B takes 5 % more time.',
        blocks: 12,
        band: 0.01,
        floor: 0.01,
        changes: { p50: change(0.05), mean: change(0.05), p90: null, p99: null },
        control: { p50: change(0), mean: change(0), p90: null, p99: null },
        figures: { a: figures(1), b: figures(1.05), control: figures(1) },
        orders: [],
        peakRssBytes: { a: 40e6, b: 40e6 },
      },
    ],
    outputs: { comparable: false, reason: 'They have other shapes.' },
    accuracy: null,
    gate: [{ written: 'latency.p50 > +3%', status: 'broken', reason: 'It is +5 %.' }],
    warnings: [],
    ...changes,
  } satisfies Comparison)
}

async function open(html: string, width = 1200) {
  const path = join(scratch, 'page.html')
  writeFileSync(path, html)
  const page = await browser!.newPage({ viewport: { width, height: 900 } })
  const trouble: string[] = []
  page.on('pageerror', (error) => trouble.push(error.message))
  page.on('dialog', (dialog) => void dialog.dismiss().then(() => trouble.push('dialog')))
  page.on('request', (request) => {
    if (request.url() !== pathToFileURL(path).href) trouble.push(request.url())
  })
  await page.goto(pathToFileURL(path).href)
  return { page, trouble }
}

test('the verdict, the limit, and each change at its place right of the shaded band', { skip }, async () => {
  const { page, trouble } = await open(renderComparisonPage(slowerByFive()))
  const text = await page.locator('main').innerText()
  for (const said of [
    'new.onnx against old.onnx',
    'slower: B takes 5 % more time.',
    'broken',
    'They have other shapes.',
  ])
    assert.ok(text.includes(said), said)
  const box = (selector: string) =>
    page
      .locator(selector)
      .evaluateAll((all) =>
        all.map((one) => one.getBoundingClientRect()).map(({ left, right }) => [left, right] as const),
      )
  const [band] = await box('.forest .band')
  const dots = await box('.forest .dot')
  assert.equal(dots.length, 3, 'p50, mean and the control; p90 and p99 have too few samples')
  assert.ok(dots[0]![0] > band![1], 'p50 lies outside of the band')
  assert.ok(dots[2]![0] > band![0] && dots[2]![1] < band![1], 'the control lies inside')
  assert.equal(await page.locator('.blocks .dot').count(), 24)
  assert.deepEqual(trouble, [])
  await page.close()
})

test('on a phone nothing but the tables scrolls sideways', { skip }, async () => {
  const { page } = await open(renderComparisonPage(slowerByFive()), 390)
  assert.equal(await page.evaluate<number>('document.documentElement.scrollWidth'), 390)
  await page.close()
})

test('hostile names stay text, and an emulated board shows no times', { skip }, async () => {
  const evil = '</script><img src=x onerror=alert(1)>"\'`'
  const plain = slowerByFive()
  const { page, trouble } = await open(
    renderComparisonPage(
      slowerByFive({
        environment: { ...plain.environment, device: evil, emulated: 'QEMU' },
        a: { ...plain.a, path: evil },
        gate: [{ written: evil, status: 'kept', reason: evil }],
        warnings: [{ code: evil, message: evil, hint: evil }],
      }),
    ),
  )
  assert.deepEqual(trouble, [])
  assert.equal(await page.locator('img').count(), 0)
  assert.doesNotMatch(await page.locator('main').innerText(), /\d (ns|µs|ms)\b/)
  await page.close()
})
