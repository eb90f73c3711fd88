import assert from 'node:assert/strict'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'node:test'
import { pathToFileURL } from 'node:url'
import { type Browser, chromium } from 'playwright-core'
import { amountAxis, spanAxis } from '../../src/tune/report/axis.ts'
import { formatCount, sentencesOf } from '../../src/tune/report/cells.ts'
import { tuneReportJsonSchema, tuneReportSchema } from '../../src/tune/report/document.ts'
import { renderTuneMarkdown } from '../../src/tune/report/markdown.ts'
import { renderTunePage } from '../../src/tune/report/page.ts'
import { renderTuneTable } from '../../src/tune/report/table.ts'
import { repositoryRoot } from '../fixtures.ts'
import { emulatedReport, sampleReport } from './sample-report.ts'

test('docs/tune.schema.json is what the schema says today', () => {
  const published = readFileSync(join(repositoryRoot, 'docs', 'tune.schema.json'), 'utf8')
  assert.equal(published, tuneReportJsonSchema(), 'run npm run docs:schema')
})

const executable = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find((path) =>
  existsSync(path),
)
const skip = executable === undefined && 'needs a browser: apt-get install chromium'
const scratch = mkdtempSync(join(tmpdir(), 'edgewright-tune-page-'))
let browser: Browser | undefined
test.before(async () => {
  if (executable)
    browser = await chromium.launch({ executablePath: executable, args: ['--no-sandbox', '--disable-gpu'] })
})
test.after(async () => {
  await browser?.close()
  rmSync(scratch, { recursive: true, force: true })
})

const wide = { color: false, width: 200 }

test('each row stands beside the original: shares, interval, p, agreement, speed', () => {
  const lines = renderTuneTable(sampleReport(), wide).split('\n')
  const words = (line: string) => line.trim().split(/\s{2,}/)
  assert.deepEqual(words(lines[2]!), [
    'step',
    'form',
    'size',
    'weights',
    'MACs',
    'top-1',
    'p',
    'agree',
    'SQNR',
    'p50',
    'speed',
    'peak memory',
  ])
  // the original has nothing to be a share of, no test against itself and no speed
  assert.deepEqual(words(lines[3]!), [
    'float',
    'float',
    '902 kB',
    '225 k',
    '2.63 M',
    '99.1 %',
    '±0.8',
    '84.0 µs',
    '41.2 MB',
  ])
  assert.deepEqual(words(lines[6]!), [
    'int8, PTQ',
    '112 kB',
    '0.12',
    '103 k',
    '0.46',
    '872 k',
    '0.33',
    '97.8 %',
    '±1.1',
    '0.001',
    '98.1 %',
    '16.1 dB',
    '28.0 µs',
    '3.00×',
    '41.2 MB',
  ])
})

test('what differs beyond chance is said in words, and what does not is said to be within it', () => {
  const { headline, others } = sentencesOf(sampleReport())
  assert.equal(
    plain(headline),
    'int8, QAT after qat: 0.042 of the size, 0.30 of the multiply-adds, 3.09× faster, top-1 −0.3 points (within chance, p 0.55), agrees with the original on 98.8 %.',
  )
  assert.deepEqual(others.map(plain), [
    'Beyond chance worse than the original: int8, PTQ after prune (−1.3 points, p 0.001); int8, PTQ after low-rank (−1.5 points, p <0.001).',
  ])
  const report = sampleReport()
  const better = report.rows.map((row, i) =>
    i === 7 ? { ...row, accuracy: { ...row.accuracy!, value: 0.999, pValue: 0.01 } } : row,
  )
  assert.match(
    plain(sentencesOf({ ...report, rows: better }).headline),
    /\+0\.8 points \(beyond chance, p 0\.010\)/,
  )
  const none = report.rows.map((row, i) =>
    i === 0 ? row : { ...row, accuracy: { ...row.accuracy!, pValue: 0.5 } },
  )
  assert.match(plain(sentencesOf({ ...report, rows: none }).others[0]!), /^No row’s top-1 differs/)
})

test('a speed that one run cannot tell from the original’s is marked and said', () => {
  const report = sampleReport()
  for (const change of [
    { apart: false, speedup: 1.2 },
    // one run on one board proves nothing below five hundredths, whatever its intervals say
    { apart: true, speedup: 1.03 },
  ]) {
    const rows = report.rows.map((row, i) =>
      i === 7 ? { ...row, latency: { ...row.latency!, ...change } } : row,
    )
    const text = renderTuneTable({ ...report, rows }, wide)
    assert.match(text, /int8, QAT .*~1\.(20|03)×/)
    assert.match(text, /^As fast as the original, as far as one run tells .*: int8, QAT after qat\.$/m)
    assert.match(text, /multiply-adds, as fast, top-1/)
    assert.doesNotMatch(text, /faster/)
  }
})

test('no time of an emulator is shown anywhere, only ratios', async () => {
  const emulated = emulatedReport()
  // nor is a verdict made of them
  const alike = { ...emulated.rows[1]!, latency: { ...emulated.rows[1]!.latency!, apart: false } }
  const report = { ...emulated, rows: emulated.rows.with(1, alike) }
  const { headline, others } = sentencesOf(report)
  assert.doesNotMatch([headline, ...others].join(' '), /fast|slow/)
  for (const text of [renderTuneTable(report, wide), renderTuneMarkdown(report), renderTunePage(report)]) {
    assert.doesNotMatch(text, /\d (µs|ms|ns)\b/)
    assert.match(text, /\(3\.09×\)|\\\(3\.09×\\\)/)
    assert.match(text, /Emulated/)
  }
})

test('without labels, agreement is the figure; without latency and choices nothing pretends to be measured', () => {
  const report = sampleReport()
  const rows = report.rows.map((row) => ({ ...row, accuracy: null, latency: null }))
  const bare = { ...report, rows, device: null }
  const text = renderTuneTable(bare, wide)
  assert.doesNotMatch(text, /top-1|p50|speed|±|McNemar|beyond chance/i)
  assert.match(text, /agrees with the original on 98\.8 %/)
  const page = renderTunePage(bare)
  assert.match(page, /Agreement with the original against cost/)
  assert.doesNotMatch(page, /Median latency/)
})

test('a narrow terminal loses columns, never the step, the form and the size', () => {
  for (const width of [60, 80, 100]) {
    const lines = renderTuneTable(sampleReport(), { color: false, width }).split('\n')
    assert.ok(
      lines.every((line) => line.length <= width),
      `${width} columns`,
    )
    assert.ok(lines.some((line) => /^step +form +size/.test(line)))
  }
  // a legend for what is not shown would be a riddle
  assert.doesNotMatch(renderTuneTable(sampleReport(), { color: false, width: 60 }), /±: 95 %/)
})

test('layers beyond a screenful are counted, not dropped in silence', () => {
  const report = sampleReport()
  const [prune, ...others] = report.steps
  const layers = Array.from({ length: 60 }, (_, i) => ({ ...prune!.layers![0]!, layer: `conv${i}` }))
  const text = renderTuneTable({ ...report, steps: [{ ...prune!, layers }, ...others] }, wide)
  assert.match(text, /conv15 /)
  assert.doesNotMatch(text, /conv16 /)
  assert.match(text, /and 44 more/)
})

test('Markdown rows have as many cells as the header, and no name becomes markup', () => {
  const report = sampleReport()
  const [prune, ...others] = report.steps
  const layer = { ...prune!.layers![0]!, layer: 'a|b`c', what: '<img src=x> @everyone | 1' }
  const hostile = {
    ...report,
    model: { ...report.model, name: '<script>alert(1)</script>' },
    steps: [{ ...prune!, notes: ['see [this](https://example.com) | that'], layers: [layer] }, ...others],
  }
  const text = renderTuneMarkdown(hostile)
  assert.doesNotMatch(text, /<script|<img|@everyone|\]\(https/)
  const tables = text.split('\n').filter((line) => line.startsWith('|'))
  const cellsIn = (line: string) => line.replace(/\\\|/g, '').split('|').length
  const [main, layers] = [
    tables.filter((line) => cellsIn(line) === 14),
    tables.filter((line) => cellsIn(line) === 7),
  ]
  assert.equal(main.length, 2 + report.rows.length)
  assert.equal(main.length + layers.length, tables.length)
})

test('the document holds what the schema says, and what it does not is refused', () => {
  const report = sampleReport()
  assert.deepEqual(tuneReportSchema.parse(JSON.parse(JSON.stringify(report))), report)
  assert.throws(() => tuneReportSchema.parse({ ...report, rows: [] }))
  assert.throws(() => tuneReportSchema.parse({ ...report, rows: [{ ...report.rows[0], agreement: 1.2 }] }))
  assert.throws(() => tuneReportSchema.parse({ ...report, kind: 'run' }))
})

test('counts have three digits and their unit', () => {
  assert.deepEqual([0, 812, 999.6, 5400, 99_960, 224_800, 999_600, 2_631_000, 1.25e9].map(formatCount), [
    '0',
    '812',
    '1.00 k',
    '5.40 k',
    '100 k',
    '225 k',
    '1.00 M',
    '2.63 M',
    '1.25 G',
  ])
})

test('axes keep every value inside, and tell small from large', () => {
  const stretch = { from: 60, to: 500 }
  for (const values of [[1, 2, 3], [38e3, 902e3], [5], [0, 0], [1e-6, 1e9]]) {
    const axis = amountAxis(values, stretch)
    for (const value of values) assert.ok(axis.at(value) >= 60 && axis.at(value) <= 500, `${values}`)
    assert.ok(axis.ticks.every((tick) => Number.isFinite(axis.at(tick))))
  }
  assert.equal(amountAxis([38e3, 902e3], stretch).logarithmic, true)
  assert.equal(amountAxis([300e3, 902e3], stretch).logarithmic, false)
  // a share is never above 100 %
  const shares = spanAxis([0.97, 1], { from: 300, to: 10 }, { low: 0, high: 1 })
  assert.equal(shares.at(1), 10)
  assert.ok(shares.ticks.every((tick) => tick <= 1))
})

test('the page loads nothing, runs without script, and fits a phone in light and dark', {
  skip,
}, async () => {
  const file = join(scratch, 'page.html')
  const report = sampleReport()
  const rows = [
    ...report.rows,
    { ...report.rows[7]!, form: 'simulated', choice: '4-bit weights', fileBytes: null, latency: null },
  ]
  const name = '"><img src=x onerror=alert(1)>'
  writeFileSync(file, renderTunePage({ ...report, rows, model: { ...report.model, name } }))
  for (const [width, colorScheme] of [
    [1200, 'light'],
    [390, 'dark'],
  ] as const) {
    const page = await browser!.newPage({
      viewport: { width, height: 900 },
      colorScheme,
      javaScriptEnabled: true,
    })
    const requests: string[] = []
    const errors: string[] = []
    page.on('request', (request) => requests.push(request.url()))
    page.on('pageerror', (error) => errors.push(String(error)))
    page.on('console', (message) => errors.push(message.text()))
    await page.goto(pathToFileURL(file).href)
    assert.deepEqual(requests, [pathToFileURL(file).href])
    assert.deepEqual(errors, [])
    assert.equal(await page.locator('img, script').count(), 0)
    const main = await page.locator('html').evaluate((root) => root.scrollWidth)
    assert.equal(main, width)
    const hidden = await page
      .locator('.scroll, .tensors')
      .evaluateAll((boxes) => boxes.map((box) => box.scrollWidth - box.clientWidth))
    assert.deepEqual(hidden, [0, 0, 0], 'a table is cut off')
    // size has no point for what has no file, nor latency
    const points = await page
      .locator('section:has(h2:text("against cost")) svg')
      .evaluateAll((charts) => charts.map((chart) => chart.querySelectorAll('circle').length))
    assert.deepEqual(points, [8, 9, 8])
    const outside = await page.locator('svg text').evaluateAll(
      (texts) =>
        texts.filter((text) => {
          const [box, chart] = [text, text.closest('svg')!].map((one) => one.getBoundingClientRect())
          return (
            box!.left < chart!.left - 1 ||
            box!.right > chart!.right + 1 ||
            box!.top < chart!.top - 1 ||
            box!.bottom > chart!.bottom + 1
          )
        }).length,
    )
    assert.equal(outside, 0, 'a label leaves its chart')
    await page.close()
  }
})

/** Figures and what they are of are held together by spaces that do not break. */
function plain(text: string): string {
  return text.replaceAll('\u00a0', ' ')
}
