import { printable } from '../../deploy/printable.ts'
import type { Device } from '../../deploy/types.ts'
import { type Finding, missing, ok, warning } from './findings.ts'

/** Programs that our scripts call, with the Debian package that has them. */
const programs = {
  cut: 'coreutils',
  date: 'coreutils',
  df: 'coreutils',
  find: 'findutils',
  head: 'coreutils',
  ln: 'coreutils',
  mkdir: 'coreutils',
  mv: 'coreutils',
  readlink: 'coreutils',
  sed: 'sed',
  sync: 'coreutils',
  tail: 'coreutils',
  wc: 'coreutils',
} as const

/**
 * Tries out what a deploy and a run do, in a folder of its own that it removes again. `word rest` a line; POSIX sh.
 */
const surveyScript = `
set -u
umask 022
root=$1; shift
for p in "$@"; do command -v "$p" >/dev/null 2>&1 || echo "lacks $p"; done
command -v sha256sum >/dev/null 2>&1 || command -v shasum >/dev/null 2>&1 || command -v openssl >/dev/null 2>&1 || echo 'lacks sha256sum'
command -v setsid >/dev/null 2>&1 || echo 'lacks setsid'
echo "time $(date +%s)"
t=$root/.doctor.$$
if mkdir -p "$t" 2>/dev/null && : >"$t/a" 2>/dev/null; then
  echo 'does write'
  ln "$t/a" "$t/b" 2>/dev/null && echo 'does hard-links'
  ln -s a "$t/c" 2>/dev/null && echo 'does symlinks'
  printf '#!/bin/sh\\nexit 7\\n' >"$t/x" && chmod 755 "$t/x" && "$t/x"
  [ $? = 7 ] && echo 'does execute'
fi
rm -rf "$t"
half=0
for d in "$root"/releases/*/*/; do
  n=\${d%/}; n=\${n##*/}
  case $n in current|*[!0-9]*) ;; *) [ -s "$d/.content" ] || half=$((half + 1)) ;; esac
done
echo "half $half"
dead=0
for d in "$root"/runs/*/; do [ -f "$d/pid" ] && dead=$((dead + 1)); done
echo "runs $dead"
if command -v loginctl >/dev/null 2>&1; then
  k=$(sed -n 's/^ *KillUserProcesses *= *//p' /etc/systemd/logind.conf /etc/systemd/logind.conf.d/*.conf 2>/dev/null | tail -n 1)
  l=$(loginctl show-user "$(id -u)" -p Linger --value 2>/dev/null)
  echo "logind \${k:-no} \${l:-unknown}"
fi
return 0
`

/** What the board can do, tried out on its disk. */
export async function surveyNeeds(device: Device, signal: AbortSignal, nowMs: number): Promise<Finding[]> {
  const { stdout } = await device.connection.script(
    `main() {\n${surveyScript}\n}\nmain "$@" </dev/null\n`,
    [device.root, ...Object.keys(programs)],
    { signal, deadlineMs: 30_000 },
  )
  return judgeSurvey(stdout, device.root, nowMs)
}

/** The judgement alone; `said` is whatever the board answered. */
export function judgeSurvey(said: string, root: string, nowMs: number): Finding[] {
  const lines = said
    .split('\n')
    .slice(0, 500)
    .map((line) => printable(line, 200).split(' '))
  const all = (word: string) => lines.filter(([first]) => first === word).map(([, ...rest]) => rest)
  const does = (what: string) => all('does').some(([one]) => one === what)
  return [
    ...tools(all('lacks').map(([program]) => program ?? '')),
    ...folder(root, does),
    clock(all('time')[0]?.[0], nowMs),
    ...sessions(all('lacks').flat(), all('logind')[0]),
    ...leftovers(Number(all('half')[0]?.[0] ?? 0), Number(all('runs')[0]?.[0] ?? 0)),
  ]
}

function tools(lacking: readonly string[]): Finding[] {
  const packages = new Map<string, string[]>()
  for (const program of lacking.filter((one) => one !== 'setsid')) {
    const from = program in programs ? programs[program as keyof typeof programs] : 'coreutils'
    packages.set(from, [...(packages.get(from) ?? []), program])
  }
  if (packages.size === 0) return [ok('programs', 'every program that our scripts call is there')]
  return [...packages].map(([from, names]) =>
    missing('programs', `There is no ${names.join(', ')}.`, `sudo apt-get install ${from}`),
  )
}

function folder(root: string, does: (what: string) => boolean): Finding[] {
  if (!does('write'))
    return [
      missing(
        'folder',
        `${root} cannot be made or written by this user.`,
        'Give another folder with --root, or change its owner.',
      ),
    ]
  const findings: Finding[] = []
  if (!does('execute'))
    findings.push(
      missing(
        'folder',
        `Programs may not be run from ${root} (mounted noexec?).`,
        'Give a --root on another file system.',
      ),
    )
  if (!does('hard-links'))
    findings.push(
      missing(
        'folder',
        `The file system of ${root} makes no hard links, which the lock needs.`,
        'Give a --root on a Linux file system (ext4), not FAT or exFAT.',
      ),
    )
  return findings.length > 0
    ? findings
    : [ok('folder', `${root} can be written, links made and programs run there`)]
}

function clock(said: string | undefined, nowMs: number): Finding {
  const seconds = Number(said)
  if (!/^\d{1,12}$/.test(said ?? ''))
    return warning('clock', 'The board does not tell the time.', 'Install coreutils’ date.')
  const apart = Math.abs(seconds - nowMs / 1000)
  if (apart < 120) return ok('clock', 'as this computer’s')
  const days = apart / 86_400
  return warning(
    'clock',
    `The board’s clock is ${days >= 2 ? `${days.toFixed(0)} days` : `${(apart / 60).toFixed(0)} minutes`} off: dates of releases are wrong (measurements are not affected).`,
    'sudo timedatectl set-ntp true, or set it by hand: sudo date -s …',
  )
}

function sessions(lacking: readonly string[], logind: readonly string[] | undefined): Finding[] {
  if (lacking.includes('setsid'))
    return [
      warning(
        'sessions',
        'There is no setsid: a run may end when the connection does.',
        'sudo apt-get install util-linux',
      ),
    ]
  const [kill, linger] = logind ?? []
  if (kill === 'yes' && linger !== 'yes')
    return [
      warning(
        'sessions',
        'systemd ends a user’s programs at log-out: a run ends when the connection does.',
        'loginctl enable-linger',
      ),
    ]
  return [ok('sessions', 'runs outlive their connection')]
}

function leftovers(half: number, runs: number): Finding[] {
  const what = [
    ...(half > 0 ? [`${half} half-made ${half === 1 ? 'release' : 'releases'}`] : []),
    ...(runs > 0 ? [`${runs} ${runs === 1 ? 'run that was' : 'runs that were'} not collected`] : []),
  ]
  if (what.length === 0) return []
  return [
    warning(
      'leftovers',
      `There ${half + runs === 1 ? 'is' : 'are'} ${what.join(' and ')}: never used, they only take room.`,
      'edgewright releases prune --device BOARD; edgewright bench … --attach RUN collects a run.',
    ),
  ]
}
