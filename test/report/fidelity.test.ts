import assert from 'node:assert/strict'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'node:test'
import { pathToFileURL } from 'node:url'
import { type Browser, chromium, type Page } from 'playwright-core'
import { renderFidelity } from '../../src/report/fidelity-table.ts'
import { renderHtml } from '../../src/report/html.ts'
import { type DiagnosisDocument, renderDiagnosis } from '../../src/report/page/fidelity-page.ts'
import { runDocumentSchema } from '../../src/store/document.ts'
import type { Fidelity, Search } from '../../src/store/fidelity.ts'
import { sampleRun } from '../store/sample-run.ts'

const executable = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find((path) =>
  existsSync(path),
)
const skip = executable === undefined && 'needs a browser: apt-get install chromium'
const scratch = mkdtempSync(join(tmpdir(), 'edgewright-fidelity-'))
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

let files = 0
async function open(html: string, width = 1200): Promise<{ page: Page; trouble: string[] }> {
  const path = join(scratch, `${files++}.html`)
  writeFileSync(path, html)
  const page = await browser!.newPage({ viewport: { width, height: 900 }, colorScheme: 'dark' })
  const trouble: string[] = []
  page.on('console', (message) => {
    if (['error', 'warning'].includes(message.type())) trouble.push(message.text())
  })
  page.on('pageerror', (error) => trouble.push(error.message))
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

const tensor = (
  name: string,
  sqnrDb: number | null,
  ownDb: number | null,
  causes: Fidelity['tensors'][number]['causes'] = [],
): Fidelity['tensors'][number] => ({
  name,
  operator: 'Conv + Relu',
  dtype: 'int8',
  sqnrDb,
  ownDb,
  cosine: 0.99,
  causes,
})

const spread = {
  kind: 'weight-spread',
  sentence: 'One scale for the 8 filters of a depthwise convolution.',
  remedies: [
    { option: '--per-channel', why: 'a scale for each filter', gainDb: 9.25 },
    { option: null, why: 'training' },
  ],
}

const fidelity: Fidelity = {
  samples: 16,
  sqnrDb: -0.7,
  agreement: 0.5,
  rewrittenDb: null,
  tensors: [
    tensor('input', 42, 42),
    tensor('layer10', 15.5, 15.5, [spread]),
    tensor('layer2', 10, 28, [{ kind: 'accumulated', sentence: 'By itself it has 28.0 dB.', remedies: [] }]),
    tensor('pool', 10, null),
    tensor('output', 8, 130),
  ],
}

const search: Search = {
  candidates: [
    { step: 'ranges', name: 'min-max', sqnrDb: 20, gainDb: null, agreement: 0.9, samples: 40, kept: true },
    {
      step: 'biases as they are',
      name: 'biases as they are',
      sqnrDb: 18,
      gainDb: -2,
      agreement: 0.9,
      samples: 40,
      kept: false,
    },
  ],
  declined: [{ step: 'SmoothQuant', reason: 'no product reads channels that can be scaled' }],
}

const document: DiagnosisDocument = {
  model: { path: '/nets/net.onnx', sha256: 'a'.repeat(64), bytes: 1_882_904 },
  profile: 'raspberry-pi-5',
  target: 'litert',
  scheme: 'full-int8',
  calibrated: true,
  chosen: 'min-max',
  diagnosis: fidelity,
  warnings: [],
  ...search,
}

const firstCells = (page: Page) =>
  page.locator('.sortable tbody tr:first-child td:first-child code').allTextContents()

test('the table stands worst first, sorts by mouse and by keys, and causes move with their tensor', {
  skip,
}, async () => {
  const { page, trouble } = await open(renderDiagnosis(document))
  assert.deepEqual(await firstCells(page), ['layer10', 'layer2', 'input', 'output', 'pool'])
  const sorted = page.locator('th[aria-sort]')
  assert.equal(await sorted.innerText(), 'own')
  await page.getByRole('button', { name: 'SQNR' }).click()
  assert.deepEqual(await firstCells(page), ['output', 'layer2', 'pool', 'layer10', 'input'])
  assert.equal(await sorted.getAttribute('aria-sort'), 'ascending')
  await page.keyboard.press('Enter')
  assert.deepEqual(await firstCells(page), ['input', 'layer10', 'layer2', 'pool', 'output'])
  assert.equal(await sorted.getAttribute('aria-sort'), 'descending')
  await page.getByRole('button', { name: 'tensor' }).focus()
  await page.keyboard.press('Space')
  assert.deepEqual(
    await firstCells(page),
    ['input', 'layer2', 'layer10', 'output', 'pool'],
    'numbers count as numbers',
  )
  const body = page.locator('tbody', { hasText: 'layer10' })
  assert.match(
    await body.innerText(),
    /weight spread[\s\S]*One scale for the 8 filters[\s\S]*--per-channel: a scale for each filter tried: \+9\.3 dB/,
  )
  assert.deepEqual(trouble, [])
  await page.close()
})

test('the plot follows the network, and a click finds the tensor', { skip }, async () => {
  const { page } = await open(renderDiagnosis(document))
  const over = page.locator('.fidelity .u-over')
  const box = (await over.boundingBox())!
  // five tensors from 0.5 to 5.5: the second is at three tenths
  await over.hover({ position: { x: box.width * 0.3, y: 30 } })
  assert.match(await page.locator('.u-legend').innerText(), /2 layer10[\s\S]*15\.5 dB[\s\S]*15\.5 dB/)
  await over.hover({ position: { x: box.width * 0.7, y: 30 } })
  assert.match(await page.locator('.u-legend').innerText(), /4 pool[\s\S]*10\.0 dB[\s\S]*exact/)
  await over.click({ position: { x: box.width * 0.3, y: 30 } })
  assert.deepEqual(await page.locator('.found code').first().innerText(), 'layer10')
  await page.close()
})

test('what was tried stands with its change and with why it was not tried', { skip }, async () => {
  const { page } = await open(renderDiagnosis(document))
  const rows = await page.locator('.search tbody tr').allInnerTexts()
  assert.match(rows[0]!, /min-max[\s\S]*20\.0 dB[\s\S]*kept/)
  assert.match(rows[1]!, /biases as they are[\s\S]*−2\.0 dB[\s\S]*dropped/)
  assert.match(rows[2]!, /SmoothQuant[\s\S]*no product reads[\s\S]*not tried/)
  await page.close()
})

for (const width of [360, 820, 1400])
  test(`nothing is cut off at ${width} pixels`, { skip }, async () => {
    const long = {
      ...fidelity,
      tensors: fidelity.tensors.map((one) => ({ ...one, name: `${one.name}/${'block/'.repeat(20)}` })),
    }
    const { page, trouble } = await open(renderDiagnosis({ ...document, diagnosis: long }), width)
    await page.locator('.fidelity .u-over').hover({ position: { x: 60, y: 30 } })
    assert.match(await page.locator('.u-legend').innerText(), /block/)
    const overflow = await page.evaluate<string[]>(
      `[document.documentElement, ...document.querySelectorAll('.card, .tensors, figure, .u-legend')].filter((e) => e.scrollWidth > e.clientWidth + 1).map((e) => e.tagName + '.' + e.className)`,
    )
    assert.deepEqual(overflow, [])
    assert.deepEqual(trouble, [])
    await page.close()
  })

test('the report of a run shows both tables, and documents without them still read', { skip }, async () => {
  const { document: run, raw } = sampleRun()
  assert.equal(run.results[0]!.fidelity, undefined)
  assert.ok(runDocumentSchema.parse(run))
  const told = {
    ...run,
    results: run.results.map((result, i) => (i === 0 ? { ...result, fidelity, search } : result)),
  }
  assert.deepEqual(runDocumentSchema.parse(JSON.parse(JSON.stringify(told))).results[0]!.fidelity, fidelity)
  const { page, trouble } = await open(renderHtml(told, raw))
  assert.equal(await page.locator('#device-0 .sortable tbody').count(), 5)
  assert.equal(await page.locator('#device-0 .search tbody tr').count(), 3)
  assert.equal(await page.locator('#device-0 .fidelity canvas').count(), 1)
  assert.equal(await page.locator('.sortable').count(), 1)
  assert.deepEqual(trouble, [])
  await page.close()
})

const evil = '</script><script>alert(1)</script><img src=x onerror=alert(2)>"\'`\u001b[31m\u202e'
const hostile: Fidelity = {
  ...fidelity,
  tensors: [
    tensor(evil, 3, 3, [{ kind: evil, sentence: evil, remedies: [{ option: evil, why: evil }] }]),
    { ...tensor(`${evil}2`, 4, 4), operator: evil, dtype: evil },
  ],
}

test('hostile names stay text on the page', { skip }, async () => {
  const { page, trouble } = await open(
    renderDiagnosis({
      ...document,
      model: { ...document.model, path: evil },
      profile: evil,
      target: evil,
      chosen: evil,
      diagnosis: hostile,
      candidates: search.candidates.map((one) => ({ ...one, name: evil, step: evil })),
      declined: [{ step: evil, reason: evil }],
      warnings: [{ code: evil, message: evil, hint: evil }],
    }),
  )
  await page.getByRole('button', { name: 'tensor' }).click()
  assert.equal(await page.locator('img').count(), 0)
  assert.deepEqual(trouble, [])
  await page.close()
})

test('hostile names steer no terminal', () => {
  const text = renderFidelity(hostile, { color: false, width: 100, worst: 10 })
  assert.doesNotMatch(text, /[\u001b\u202e]/)
})

test('the terminal shows the worst first, aligned, with causes and remedies within its width', () => {
  const text = renderFidelity({ ...fidelity, rewrittenDb: 9.2 }, { color: false, width: 72, worst: 2 })
  const lines = text.split('\n')
  assert.equal(lines[0], 'output SQNR −0.7 dB, agrees with float on 50.0 % (16 samples)')
  assert.ok(
    lines.every((line) => line.length <= 72),
    text,
  )
  assert.match(text, /rewritten before it was quantized \(equalization\)[\s\S]*9\.2 dB/)
  const header = lines.find((line) => line.startsWith('worst first'))!
  const rows = lines.filter((line) => line.startsWith('layer'))
  assert.deepEqual(
    rows.map((line) => line.split(' ')[0]),
    ['layer10', 'layer2'],
  )
  for (const line of rows) assert.equal(line.indexOf('0.99') + '0.9900'.length, header.length)
  assert.match(text, /→ --per-channel: a scale for each filter \(tried: \+9\.3 dB\)/)
  assert.match(text, /3 more tensors: --worst, --report or --json/)
})

test('colours tell good from bad only where the terminal has them', () => {
  const text = renderFidelity(fidelity, { color: true, width: 100, worst: 3 })
  assert.match(text, /\u001b\[31mlayer2 /)
  assert.match(text, /\u001b\[33mlayer10 /)
  assert.match(text, /\u001b\[32minput /)
})
