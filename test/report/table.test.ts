import assert from 'node:assert/strict'
import test from 'node:test'
import { renderMarkdown } from '../../src/report/markdown.ts'
import { renderTable } from '../../src/report/table.ts'
import type { RunDocument } from '../../src/store/document.ts'
import { sampleRun } from '../store/sample-run.ts'

const { document } = sampleRun()
const wide = { color: false, width: 140 }

function withFirst(changes: Partial<RunDocument['results'][number]>): RunDocument {
  return { ...document, results: [{ ...document.results[0]!, ...changes }, ...document.results.slice(1)] }
}

test('float stands above int8 with every figure in one column', () => {
  const lines = renderTable(document, wide).split('\n')
  const head = lines.findIndex((line) => line.startsWith('device'))
  const [title, float, int8] = lines.slice(head, head + 3) as [string, string, string]
  assert.match(
    float,
    /^pi@raspberrypi\.local +float +95\.7 kB +91\.8 % +4\.31 ms +4\.52 ms +6\.11 ms +31\.5 MB$/,
  )
  assert.match(
    int8,
    /^ {2}raspberry-pi-4b, 4 threads +int8 +38\.4 kB +91\.6 % +98\.6 % +2\.36 ms +2\.45 ms +3\.21 ms +1\.83× +27\.3 MB$/,
  )
  for (const name of ['size', 'p50', 'p99', 'peak memory']) {
    const end = title.indexOf(name) + name.length
    assert.match(float.slice(0, end), /\S$/, name)
    assert.match(int8.slice(0, end), /\S$/, name)
  }
})

test('a narrow terminal loses the least telling columns and never the medians', () => {
  for (const width of [40, 80, 100]) {
    const text = renderTable(document, { color: false, width })
    assert.match(text, /4\.31 ms/)
    assert.match(text, /2\.36 ms/)
  }
  const lines = renderTable(document, { color: false, width: 90 }).split('\n')
  assert.deepEqual(
    lines.filter((line) => line.length > 90),
    [],
  )
  assert.doesNotMatch(lines.join('\n'), /p90/)
})

test('a failed device is named with its error and hides none of the others', () => {
  const text = renderTable(document, wide)
  assert.match(
    text,
    /nvidia@lab-orin\.local\n {2}failed: The board lab-orin\.local does not answer\. \(DEVICE_UNREACHABLE\)\n {2}saw: connect ETIMEDOUT\n {2}hint: Is it on/,
  )
  assert.match(text, /Emulated \(qemu-aarch64 8\.2\): times are the emulator’s, not a board’s/)
  assert.match(text, /warning CLOCK_NOT_FIXED/)
})

test('a run in which nothing was measured still says what happened', () => {
  const only = { ...document, results: [document.results[2]!] }
  assert.match(renderTable(only, wide), /failed: The board/)
  assert.doesNotMatch(renderTable(only, wide), /p50/)
  assert.match(renderMarkdown(only), /\*\*failed\*\*/)
})

test('colours are escape sequences of ours only, and none without colour', () => {
  const esc = '\u001b'
  const hostile = withFirst({
    device: `pi${esc}[2J\u202e\nroot@host`,
    warnings: [{ code: 'X', message: `a${esc}]0;title\u0007b`, hint: '' }],
  })
  assert.ok(!renderTable(hostile, wide).includes(esc))
  assert.doesNotMatch(renderTable(hostile, wide), /[\u0007\u202e]/)
  const coloured = renderTable(hostile, { color: true, width: 140 })
  assert.ok(coloured.includes(esc))
  assert.equal(coloured.replace(/\u001b\[\d+m/g, '').includes(esc), false)
})

test('percentiles that too few inferences support are left empty', () => {
  const latency = { ...document.results[0]!.latency!, p99Ns: null, p90Ns: null }
  assert.doesNotMatch(renderTable(withFirst({ latency }), wide), /null|NaN|undefined/)
  assert.doesNotMatch(renderMarkdown(withFirst({ latency })), /null|NaN|undefined/)
})

test('outputs that differ beyond tolerance say where', () => {
  const parity = {
    samples: 8,
    maxSteps: 3,
    identicalShare: 0.9,
    tolerance: 1,
    ok: false,
    firstDivergence: 'sample 2, output y[7]',
  }
  assert.match(
    renderTable(withFirst({ parity }), wide),
    /differ by at most 3 quantization steps over 8 samples, more than the 1 allowed: first at sample 2/,
  )
})

test('Markdown keeps its table whole and turns no name into markup', () => {
  const markdown = renderMarkdown(document)
  const rows = markdown.split('\n').filter((line) => line.startsWith('|'))
  assert.equal(rows.length, 6)
  for (const line of rows) assert.equal(line.replaceAll('\\|', '').split('|').length, 12, line)
  assert.match(markdown, /\| `pi@raspberrypi\.local` \| 4 \| float \| 95\.7 kB \| 91\.8 % \| 4\.31 ms \|/)
  const hostile = renderMarkdown(
    withFirst({
      device: 'a|b`c`d',
      warnings: [
        {
          code: 'W',
          message: '<script>x</script> @everyone [x](javascript:y) ![i](http://e.vil/x) **b**',
          hint: '',
        },
      ],
    }),
  )
  assert.match(hostile, /`` a\\\|b`c`d ``/)
  assert.doesNotMatch(hostile, /<script|@everyone|[^\\]\]\(|http:\/\//)
})
