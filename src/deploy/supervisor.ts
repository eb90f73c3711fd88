import { boardProcessFunctions } from './board-process.ts'
import { pinFunctions } from './pin-script.ts'

/**
 * The little shell that stands over a detached run: it records itself, starts the command with its output in files,
 * and writes the exit status by rename, last of all. Arguments: run folder, lock's run file or '', mode, command….
 * `$$`'s start time is recorded before the command starts, so whoever finds the command finds its supervisor.
 *
 * Where the folder holds a file `pin`, its settings are made before the command and unmade after it, and a watcher in a
 * session of its own waits for this shell's end at the other end of a pipe: a KILL leaves no board pinned.
 */
export const supervisorScript = `${boardProcessFunctions}${pinFunctions}
if [ "$1" = watch ]; then
  trap '' TERM INT HUP
  cd "$2" || exit 70
  root=$3 id=$4
  read -r nothing
  [ -s "$root/pinned/$id" ] || exit 0
  c='' cs=''
  { read -r c cs <child; } 2>/dev/null
  n=0
  while lives "$c" "$cs" && [ "$n" -lt 50 ]; do
    if [ "$n" -lt 40 ]; then kill -TERM "$c" 2>/dev/null; else kill -KILL "$c" 2>/dev/null; fi
    n=$((n + 1))
    sleep 0.1 2>/dev/null || { sleep 1; n=$((n + 9)); }
  done
  # the folder may be gone by now, the record is elsewhere
  said=$(restore "$root" "$root/pinned/$id" 2>/dev/null)
  printf '%s\\n' "$said" >pin.end
  exit 0
fi
cd "$1" || exit 70
dir=$1 bind=$2 mode=$3
root=\${dir%/runs/*} id=\${dir##*/}
shift 3
child='' stopped=''
trap 'stopped=1; [ -n "$child" ] && kill -TERM "$child" 2>/dev/null' TERM INT HUP
self=$(starttime "$$")
me="$$ $self"
if [ -n "$bind" ]; then printf '%s\\n' "$me" >"$bind.new" && mv -f "$bind.new" "$bind"; fi
printf '%s %s\\n' "$me" "$mode" >pid.new && mv -f pid.new pid
code=0
if [ -s pin ]; then
  mkfifo alive && exec 9<>alive
  if [ "$mode" = session ]; then
    setsid sh ./.supervisor watch "$dir" "$root" "$id" <alive 9>&- >/dev/null 2>&1 &
  else
    nohup sh ./.supervisor watch "$dir" "$root" "$id" <alive 9>&- >/dev/null 2>&1 &
  fi
  restore_left "$root" >/dev/null 2>&1
  [ -n "$stopped" ] || pin "$root" "$id" "$$" "$self" "$dir" pin >refused 2>/dev/null || code=78
fi
if [ "$code" = 0 ]; then
  { read -r line </proc/stat; } 2>/dev/null && printf 'stat.begin %s\\n' "$line" >load.new
  "$@" </dev/null >>events.jsonl 2>stderr.txt 9>&- &
  child=$!
  its="$child $(starttime "$child")"
  printf '%s\\n' "$its" >child
  # the board is held while either lives: a killed supervisor frees no board that is still measured
  if [ -n "$bind" ] && [ -e "$bind" ]; then printf '%s\\n%s\\n' "$me" "$its" >"$bind.new" && mv -f "$bind.new" "$bind"; fi
  [ -z "$stopped" ] || kill -TERM "$child" 2>/dev/null
  while :; do
    wait "$child"
    code=$?
    kill -0 "$child" 2>/dev/null || break
  done
  { read -r line </proc/stat; } 2>/dev/null && printf 'stat.end %s\\n' "$line" >>load.new
  times >times
  { read -r shell; read -r line; } <times
  printf 'times %s %s\\n' "$shell" "$line" >>load.new && mv -f load.new load.end
fi
if [ -s pin ]; then
  said=$(restore "$root" "$root/pinned/$id" 2>/dev/null)
  { cat refused; printf '%s\\n' "$said"; } >pin.end 2>/dev/null
fi
printf 'exited %s\\n' "$code" >status.new && mv -f status.new status
`

/**
 * Starts the supervisor in a session of its own and returns once it has recorded itself.
 * Arguments: root, run id, lock token, `own` where the lock is to live and end with the run, the supervisor's text,
 * command….
 */
export const launchScript = `
root=$1 id=$2 token=$3 own=$4
printf '%s' "$5" >"$1/runs/$2/.supervisor" || exit 70
shift 5
dir=$root/runs/$id bind=$root/lock/run.$token
: >>"$dir/events.jsonl" || exit 70
if command -v setsid >/dev/null 2>&1; then
  mode=session
  setsid sh "$dir/.supervisor" "$dir" "$bind" session "$@" </dev/null >/dev/null 2>&1 &
else
  mode=nohup
  nohup sh "$dir/.supervisor" "$dir" "$bind" nohup "$@" </dev/null >/dev/null 2>&1 &
fi
n=0
until [ -s "$dir/pid" ]; do
  n=$((n + 1))
  [ "$n" -lt 100 ] || { echo 'the supervisor did not start' >&2; exit 71; }
  sleep 0.05 2>/dev/null || sleep 1
done
[ "$own" != own ] || rm -f "$root/lock/lease.$token"
echo "started $mode"`

/** Prints the state of a run: `status …`, `lives` (its supervisor, or the command that outlived it) or `dead`; `absent` where there is no such run. */
export const stateScript = `${boardProcessFunctions}
dir=$1
[ -d "$dir" ] || { echo absent; return 0; }
p='' s='' c='' cs=''
{ read -r p s _ <"$dir/pid"; } 2>/dev/null
{ read -r c cs <"$dir/child"; } 2>/dev/null
if [ -s "$dir/status" ]; then cat "$dir/status"
elif lives "$p" "$s" || lives "$c" "$cs"; then echo lives
else echo dead; fi`

/**
 * TERM to the run's processes, KILL after the grace; only where the pid is still the one that was started.
 * `kill -TERM -PID` and no `--`: dash's own kill knows no `--` after a signal.
 */
export const abortScript = `${boardProcessFunctions}
dir=$1 grace=$2
[ -d "$dir" ] || { echo absent; return 0; }
p='' s='' mode='' c='' cs=''
{ read -r p s mode <"$dir/pid"; } 2>/dev/null
{ read -r c cs <"$dir/child"; } 2>/dev/null
send() {
  if [ "$mode" = session ] && lives "$p" "$s"; then kill "-$1" "-$p" 2>/dev/null; return 0; fi
  lives "$c" "$cs" && kill "-$1" "$c" 2>/dev/null
  [ "$1" = KILL ] && lives "$p" "$s" && kill -KILL "$p" 2>/dev/null
  return 0
}
if [ ! -s "$dir/status" ]; then
  send TERM
  n=0
  while [ ! -s "$dir/status" ] && [ "$n" -lt "$grace" ] && { lives "$p" "$s" || lives "$c" "$cs"; }; do
    n=$((n + 1))
    sleep 0.1 2>/dev/null || { sleep 1; n=$((n + 9)); }
  done
  if [ ! -s "$dir/status" ]; then
    send KILL
    n=0
    while [ "$n" -lt 20 ] && { lives "$p" "$s" || lives "$c" "$cs"; }; do n=$((n + 1)); sleep 0.1 2>/dev/null || sleep 1; done
    if lives "$p" "$s" || lives "$c" "$cs"; then echo lives; return 0; fi
    printf 'killed\\n' >"$dir/.status.new" && mv -f "$dir/.status.new" "$dir/status"
  fi
fi
cat "$dir/status"`

export const cleanScript = `${boardProcessFunctions}
dir=$1
[ -d "$dir" ] || { echo absent; return 0; }
p='' s='' c='' cs=''
{ read -r p s _ <"$dir/pid"; } 2>/dev/null
{ read -r c cs <"$dir/child"; } 2>/dev/null
[ -s "$dir/status" ] || { ! lives "$p" "$s" && ! lives "$c" "$cs"; } || { echo lives; return 0; }
rm -rf "\${dir:?}" && echo cleaned`
