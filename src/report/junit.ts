import type { Comparison } from '../store/comparison.ts'
import { renderComparison } from './comparison-text.ts'

/** One row of a JUnit file. */
interface TestCase {
  readonly name: string
  readonly outcome: 'passed' | 'failure' | 'error' | 'skipped'
  readonly message: string
  readonly text?: string
}

/**
 * A comparison as JUnit XML: a case for each limit, or one for the verdict where there are none. A broken limit is a
 * failure; one that cannot be told, a device that cannot judge, is an error: never read as a slow network. Holds to both
 * schemas in use: of Ant's JUnitReport, which asks for most, and of Jenkins' xUnit plug-in.
 */
export function renderJunit(comparison: Comparison): string {
  const { gate, passes, environment, createdAt, conditions } = comparison
  const [pass] = passes
  const cases: TestCase[] =
    gate.length > 0
      ? gate.map(({ written, status, reason }) => ({
          name: written,
          outcome: ({ kept: 'passed', broken: 'failure', inconclusive: 'error' } as const)[status],
          message: reason,
        }))
      : [
          {
            name: 'latency.p50',
            outcome: pass!.verdict === 'unproven' ? 'skipped' : 'passed',
            message: pass!.reason,
          },
        ]
  const seconds = conditions
    ? Math.max(0, (Date.parse(conditions.endedAt) - Date.parse(conditions.startedAt)) / 1000)
    : 0
  return suite(cases, {
    properties: {
      device: environment.device,
      profile: environment.profile,
      a: comparison.a.path,
      b: comparison.b.path,
      verdict: pass!.verdict,
    },
    createdAt,
    seconds,
    output: renderComparison(comparison),
  })
}

/** A comparison that could not be made, e.g. since the board is away: an error, not a failure. */
export function renderJunitError(
  error: { readonly code: string; readonly message: string; readonly hint?: string | undefined },
  device: string,
  createdAt: string,
): string {
  return suite(
    [
      {
        name: error.code,
        outcome: 'error',
        message: error.message,
        ...(error.hint ? { text: error.hint } : {}),
      },
    ],
    { properties: { device }, createdAt, seconds: 0, output: '' },
  )
}

function suite(
  cases: readonly TestCase[],
  about: {
    readonly properties: Readonly<Record<string, string>> & { readonly device: string }
    readonly createdAt: string
    readonly seconds: number
    readonly output: string
  },
): string {
  const count = (outcome: TestCase['outcome']) => cases.filter((one) => one.outcome === outcome).length
  const time = about.seconds.toFixed(3)
  const properties = Object.entries(about.properties).map(
    ([name, value]) => `      <property name="${name}" value="${escapeXml(value)}"/>`,
  )
  return `${[
    '<?xml version="1.0" encoding="UTF-8"?>',
    '<testsuites>',
    // hostname is a word to the schemas, a device's name may be anything
    `  <testsuite id="0" package="edgewright" name="edgewright compare" tests="${cases.length}" failures="${count('failure')}" errors="${count('error')}" skipped="${count('skipped')}" time="${time}" timestamp="${escapeXml(about.createdAt.slice(0, 19))}" hostname="localhost">`,
    '    <properties>',
    ...properties,
    '    </properties>',
    ...cases.map((one) => testCase(one, about.properties.device, about.seconds / cases.length)),
    `    <system-out>${escapeXml(about.output)}</system-out>`,
    '    <system-err></system-err>',
    '  </testsuite>',
    '</testsuites>',
  ].join('\n')}\n`
}

function testCase({ name, outcome, message, text }: TestCase, device: string, seconds: number): string {
  const opening = `    <testcase name="${escapeXml(name)}" classname="${escapeXml(device)}" time="${seconds.toFixed(3)}"`
  if (outcome === 'passed') return `${opening}/>`
  const inside =
    outcome === 'skipped'
      ? `<skipped message="${escapeXml(message)}"/>`
      : `<${outcome} message="${escapeXml(message)}" type="${outcome === 'failure' ? 'regression' : 'inconclusive'}">${escapeXml(text ?? message)}</${outcome}>`
  return `${opening}>${inside}</testcase>`
}

/** Characters that XML 1.0 does not have are left out; lines stay lines only where `text` is one. */
function escapeXml(text: string): string {
  return text
    .replace(/[^\t\n\r\u0020-\uD7FF\uE000-\uFFFD\u{10000}-\u{10FFFF}]/gu, '\uFFFD')
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
    .replaceAll("'", '&apos;')
}
