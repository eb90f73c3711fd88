import type { Overlay, Profile } from './schema.ts'

/** docs/profiles.md, made from the profiles themselves. Pure; `npm run docs:profiles` writes it. */
export function profilesMarkdown(profiles: readonly Profile[], overlays: readonly Overlay[]): string {
  const boards = profiles.filter(({ id }) => id !== 'this-computer')
  return `# Boards

Made from \`profiles/*.yaml\` by \`npm run docs:profiles\`: change those, not this page.
\`edgewright targets\` lists the targets that this version builds; where a board's best target is not among them, the next is used and named.
Int8 dot product is what decides most about int8 on a CPU: \`asimddp\` for Arm, VNNI for x86. A board's own features overrule its profile.

| profile | board | CPU | int8 dot product | memory (MiB) | accelerator | targets, best first | power |
|---|---|---|---|---|---|---|---|
${boards.map(row).join('\n')}

\`this-computer\` is filled in from the machine at run time. A profile of your own: \`--profile ./mine.yaml\`.

## Plug-in accelerators

Laid over any board, e.g. \`--profile raspberry-pi-5+coral-usb\`.

| overlay | accelerator | found by | targets |
|---|---|---|---|
${overlays.map(overlayRow).join('\n')}

## What each board sets or narrows

${[...boards, ...overlays].map(section).join('\n\n')}
`
}

function row({ id, name, cpu, memory, accelerator, targets, power }: Profile): string {
  const clock = cpu.clockMHz === null ? '' : `, ${cpu.clockMHz} MHz`
  return cells([
    `\`${id}\``,
    name,
    `${cpu.model}${clock}`,
    dotProduct(cpu),
    memory.optionsMiB.join(', ') || 'not confirmed',
    accelerator?.name ?? 'none',
    targets.map(({ target }) => `\`${target}\``).join(', '),
    power.map(({ kind, scope }) => (kind === 'none' ? 'no sensor' : `${kind} (${scope})`)).join(', '),
  ])
}

function dotProduct({ architecture, features, model }: Profile['cpu']): string {
  if (model.startsWith('unknown')) return 'as found'
  if (architecture === 'x86_64') return features.some((word) => /vnni/.test(word)) ? 'yes' : 'no'
  return features.includes('asimddp') ? 'yes' : 'no'
}

function overlayRow({ id, accelerator, usbIds, pciIds, targets }: Overlay): string {
  const found = [...usbIds.map((usb) => `USB ${usb}`), ...pciIds.map((pci) => `PCI ${pci}`)].join(', ')
  return cells([
    `\`${id}\``,
    accelerator.name,
    found,
    targets.map(({ target }) => `\`${target}\``).join(', '),
  ])
}

function section({ id, name, constraints, unverified }: Profile | Overlay): string {
  const lines = constraints.map(({ sentence, targets, basis, source }) => {
    const concerned =
      targets === undefined ? '' : ` For ${targets.map((target) => `\`${target}\``).join(', ')}.`
    return `- ${sentence}${concerned} _${basis}: ${source.join(', ')}_`
  })
  const open = unverified.map((fact) => `- Not verified, not built upon: ${fact}`)
  return `### ${name} (\`${id}\`)\n\n${[...lines, ...open].join('\n') || '- Nothing.'}`
}

function cells(values: readonly string[]): string {
  return `| ${values.map((value) => value.replaceAll('|', '\\|')).join(' | ')} |`
}
