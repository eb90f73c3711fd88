import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { renderComparisonMarkdown } from '../../src/report/comparison-markdown.ts'
import { renderComparison } from '../../src/report/comparison-text.ts'
import { renderJunit, renderJunitError } from '../../src/report/junit.ts'
import { type Comparison, comparisonJsonSchema, comparisonSchema } from '../../src/store/comparison.ts'
import { repositoryRoot } from '../fixtures.ts'
import { passWith, sampleComparison, sideWith } from '../run/compare/sample-comparison.ts'

const hostile = `pi@"><script>&'\u001b[31m\n]]>\u0000\ud800|<!-- x -->@someone http://evil`

const gated = (changes: Partial<Comparison> = {}) =>
  sampleComparison({
    gate: [
      { written: 'latency.p50 > +3%', status: 'broken', reason: '+4.00 % (95 %: +3.9 % to +4.1 %).' },
      { written: 'size > +20%', status: 'kept', reason: '+10.00 %.' },
      { written: 'energy > +3%', status: 'inconclusive', reason: 'Energy was not measured.' },
    ],
    ...changes,
  })

function named(text: string): Comparison {
  const sample = gated()
  return {
    ...sample,
    environment: { ...sample.environment, device: text },
    a: sideWith(4e6, { path: text }),
    gate: [{ written: text, status: 'broken', reason: text }],
    warnings: [{ code: text, message: text, hint: text }],
  }
}

test('a comparison is what its schema says', () => {
  assert.deepEqual(comparisonSchema.parse(structuredClone(gated())), gated())
})

test('docs/compare.schema.json is what the schema says today', () => {
  assert.equal(
    readFileSync(join(repositoryRoot, 'docs', 'compare.schema.json'), 'utf8'),
    comparisonJsonSchema(),
    'run npm run docs:schema',
  )
})

test('the text has the verdict on the one headline figure, the others stand without', () => {
  const text = renderComparison(gated())
  assert.match(text, /^p50 +4\.00 ms +4\.16 ms +\+4\.0 % +\+[34]\.\d % to \+4\.\d %, slower$/m)
  assert.match(text, /^p90 .*%$/m)
  assert.equal(text.match(/slower/g)!.length, 2)
  assert.match(text, /^slower: B takes 4\.\d+ % more time \(95 %: [34]\.\d+ % to 4\.\d+ % more; p/m)
  assert.match(text, /^A loaded a second time: /m)
  assert.match(text, /^Outputs: up to 2\.00 quantization steps apart, SQNR 31\.4 dB, same class on 100\.0 %/m)
  assert.match(text, /^BROKEN +latency\.p50 > \+3% +/m)
  assert.match(text, /^energy +2\.50 mJ ± 25 µJ +2\.60 mJ/m)
})

test('nothing proved is a tilde; a device that cannot judge says so', () => {
  assert.match(
    renderComparison(sampleComparison({ passes: [passWith(0.0, { noise: 1 })] })),
    /^~: Nothing is proved/m,
  )
  const unfit = sampleComparison({ passes: [passWith(0.2, { control: 0.05 })] })
  assert.match(renderComparison(unfit), /^unproven: The same network loaded a second time differs/m)
})

test('of an emulated board no time and no energy is shown, in any form, and ratios are named as the emulator’s', () => {
  const sample = gated()
  const none = { value: null, reason: 'emulated' }
  const emulated = gated({
    environment: { ...sample.environment, emulated: 'QEMU system' },
    a: sideWith(4e6, { energy: none }),
    b: sideWith(4.1e6, { energy: none }),
  })
  for (const render of [renderComparison, renderComparisonMarkdown, renderJunit]) {
    const text = render(emulated)
    assert.doesNotMatch(text, /\d [nµm]s\b|\d [mµ]?J\b/)
    assert.match(text, /ratios are the emulator(’|'|&apos;|&#39;)s/)
    assert.match(text, /\+4\.0 %/)
  }
})

test('figures of a file are named as weaker, in every form', () => {
  const old = gated({
    baseline: {
      path: 'old.json',
      createdAt: '2026-11-01T10:00:00.000Z',
      differences: ['kernel: 6.1, now 6.6'],
    },
  })
  for (const render of [renderComparison, renderComparisonMarkdown, renderJunit]) {
    assert.match(render(old), /weaker/)
    assert.match(render(old), /kernel: 6\.1, now 6\.6/)
  }
})

test('nothing from outside steers the terminal', () => {
  const accuracy = { metric: hostile, value: 0.9, samples: 1, measuredOn: 'host' as const }
  const measured = {
    source: hostile,
    scope: 'board' as const,
    sync: 'same-clock' as const,
    syncBoundNs: 0,
    sampleHz: 20,
    samples: 100,
    windowNs: 5e9,
    inferences: 100,
    rateHz: 0,
    activeMilliW: 3000,
    idleMilliW: { before: 1000, after: 1000 },
  }
  const text = renderComparison({
    ...named(hostile),
    b: sideWith(4e6, { accuracy, energy: { value: 2500, reason: null, measured } }),
  })
  assert.equal(text.match(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f]/), null)
  assert.equal(text.split('\n').filter((line) => line.startsWith(']]>')).length, 0, 'no line of its own')
})

describe('Markdown', () => {
  test('has size, accuracy, times, energy and memory of both with their change', () => {
    const markdown = renderComparisonMarkdown(gated())
    for (const row of [
      '| size | 100 kB | 110 kB | +10 % |  |',
      '| top-1 | 91.0 % | 91.0 % | −2.0 points | p = 0.0040 |',
      '| peak memory | 30.0 MB | 31.0 MB | +3.3 % |  |',
    ])
      assert.ok(markdown.includes(row), `${row} in\n${markdown}`)
    assert.match(markdown, /^\| p99 \| 4\.80 ms \| 4\.99 ms \|/m)
    assert.match(markdown, /^\| energy \| 2\.50 mJ ± 25 µJ \|/m)
    assert.match(markdown, /\*\*broken\*\*/)
  })

  test('nothing from outside becomes markup, a mention, a link or a new row', () => {
    const markdown = renderComparisonMarkdown(named(hostile))
    assert.doesNotMatch(markdown.replace(/`+[^`\n]*`+/g, ''), /<script|<!--|@someone|http:\/\/evil|\u001b/)
    for (const line of markdown.split('\n').filter((each) => each.startsWith('|')))
      assert.ok([4, 6].includes(line.replaceAll('\\|', '').split('|').length - 1), line)
  })
})

const python = spawnSync('python3', ['-c', 'import xml.dom.minidom']).status === 0

describe('JUnit', () => {
  test('a broken limit is a failure, one that cannot be told an error, and they are counted', () => {
    const xml = renderJunit(gated())
    assert.match(xml, /<testsuite [^>]*tests="3" failures="1" errors="1" skipped="0"/)
    assert.match(
      xml,
      /<testcase name="latency\.p50 &gt; \+3%"[^>]*><failure message="[^"]+" type="regression">/,
    )
    assert.match(xml, /<testcase name="energy &gt; \+3%"[^>]*><error message="[^"]+" type="inconclusive">/)
    assert.match(xml, /<testcase name="size &gt; \+20%"[^>]*\/>/)
  })

  test('without limits the verdict is the case; a device that cannot judge skips it', () => {
    assert.match(renderJunit(sampleComparison()), /tests="1" failures="0" errors="0" skipped="0"/)
    const unfit = sampleComparison({ passes: [passWith(0.2, { control: 0.05 })] })
    assert.match(renderJunit(unfit), /tests="1" failures="0" errors="0" skipped="1"/)
  })

  test('a board that is away is an error, not a failure', () => {
    const error = { code: 'DEVICE_UNREACHABLE', message: 'There is nobody <there>.', hint: 'Plug it in.' }
    const xml = renderJunitError(error, 'pi@board', '2026-11-23T04:00:00.000Z')
    assert.match(xml, /tests="1" failures="0" errors="1"/)
    assert.match(xml, /<error message="There is nobody &lt;there&gt;\."/)
  })

  test('is well-formed and keeps to the elements and attributes of the common schema, whatever names say', {
    skip: python ? false : 'needs python3 with an XML parser',
  }, () => {
    for (const comparison of [gated(), named(hostile), sampleComparison()]) {
      const tree = parsed(renderJunit(comparison))
      assert.equal(tree.name, 'testsuites')
      check(tree)
    }
    const [suite] = parsed(renderJunit(named(hostile))).children
    const testcase = suite!.children.find(({ name }) => name === 'testcase')
    // what XML cannot hold is replaced, the rest comes through verbatim
    assert.equal(
      testcase!.attributes['classname'],
      hostile
        .replace('\u001b', '\uFFFD')
        .replace('\u0000', '\uFFFD')
        .replace('\ud800', '\uFFFD')
        .replace('\n', ' '),
    )
  })
})

interface Element {
  readonly name: string
  readonly attributes: Readonly<Record<string, string>>
  readonly children: readonly Element[]
}

/** By a parser that is not ours. */
function parsed(xml: string): Element {
  const script = `
import json, sys, xml.etree.ElementTree as tree
def plain(e): return {'name': e.tag, 'attributes': dict(e.attrib), 'children': [plain(c) for c in e]}
print(json.dumps(plain(tree.fromstring(sys.stdin.buffer.read()))))`
  const { stdout, stderr, status } = spawnSync('python3', ['-c', script], { input: xml, encoding: 'utf8' })
  assert.equal(status, 0, stderr)
  return JSON.parse(stdout) as Element
}

/**
 * What both common schemas let stand where, as far as these files go: of Ant's JUnitReport (which asks for most) and of
 * Jenkins' xUnit plug-in. Attributes, and the order of children.
 */
const allowed: Record<string, { attributes: string[]; optional?: string[]; children: string[] }> = {
  testsuites: { attributes: [], children: ['testsuite'] },
  testsuite: {
    attributes: ['id', 'package', 'name', 'tests', 'failures', 'errors', 'time', 'timestamp', 'hostname'],
    optional: ['skipped'],
    children: ['properties', 'testcase', 'system-out', 'system-err'],
  },
  properties: { attributes: [], children: ['property'] },
  property: { attributes: ['name', 'value'], children: [] },
  testcase: { attributes: ['name', 'classname', 'time'], children: ['skipped', 'error', 'failure'] },
  failure: { attributes: ['type', 'message'], children: [] },
  error: { attributes: ['type', 'message'], children: [] },
  skipped: { attributes: ['message'], children: [] },
  'system-out': { attributes: [], children: [] },
  'system-err': { attributes: [], children: [] },
}

function check({ name, attributes, children }: Element): void {
  const rule = allowed[name]
  assert.ok(rule, `element ${name}`)
  const known = [...rule.attributes, ...(rule.optional ?? [])]
  for (const attribute of Object.keys(attributes))
    assert.ok(known.includes(attribute), `${name} ${attribute}`)
  for (const attribute of rule.attributes) assert.ok(attribute in attributes, `${name} lacks ${attribute}`)
  if (name === 'testcase') assert.ok(children.length <= 1)
  // all four of a suite are asked for, the cases between them as often as there are any
  if (name === 'testsuite') assert.deepEqual([...new Set(children.map((child) => child.name))], rule.children)
  const places = children.map((child) => rule.children.indexOf(child.name))
  assert.ok(!places.includes(-1), `${name} holds ${children.map((child) => child.name).join(', ')}`)
  assert.deepEqual(
    places,
    places.toSorted((x, y) => x - y),
    `order in ${name}`,
  )
  children.forEach(check)
}
