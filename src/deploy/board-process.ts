/**
 * Shell functions for naming a process on a board safely: its pid with its start time (field 22 of /proc/PID/stat,
 * proc(5)), so that a pid used again is not taken for the process that had it before.
 * `$(…)` forks, so a shell that asks for itself is seen from outside (qemu-user answers a process about itself with
 * made-up times).
 */
export const boardProcessFunctions = `
starttime() {
  { read -r st <"/proc/$1/stat"; } 2>/dev/null || return 0
  st=\${st##*) }
  set -- $st
  case $1 in Z|X) return 0 ;; esac
  [ $# -ge 20 ] && echo "\${20}"
}
lives() { [ -n "$1" ] && [ -n "$2" ] && [ "$(starttime "$1")" = "$2" ]; }
`

/** The start time in a /proc/PID/stat line, or null; null too for a process that is dead and only waits for its parent. */
export function startTimeOf(stat: string): string | null {
  const fields = stat.slice(stat.lastIndexOf(') ') + 2).split(' ')
  return fields[0] === 'Z' || fields[0] === 'X' ? null : (fields[19] ?? null)
}
