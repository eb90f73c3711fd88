/**
 * Shell functions that set a board's clocks for the time of a run, and set them back. What was found is written to
 * `<root>/pinned/<run>` before anything is changed, one line a setting, so that whoever comes next can set it back: the
 * supervisor at the end, its watcher where the supervisor was killed, the next connection where the power was lost.
 *
 * A record: `run BOOT PID STARTTIME FOLDER`, then `governor FILE FROM TO`, `mode FROM-ID TO-ID FROM-NAME TO-NAME`,
 * `clocks FILE stored locked`. Needs boardProcessFunctions.
 */
export const pinFunctions = `
boot() { b=-; { read -r b </proc/sys/kernel/random/boot_id; } 2>/dev/null; echo "$b"; }
as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi; }
# its own input: the lines still to be read must not be swallowed by sudo or by a script of the vendor's
alone() { as_root "$@" </dev/null >/dev/null 2>&1; }
governor_file() {
  case $1 in
    *..*|*[!A-Za-z0-9/_-]*) return 1 ;;
    /sys/devices/system/cpu/cpufreq/policy[0-9]*/scaling_governor) ;;
    /sys/devices/system/cpu/cpu[0-9]*/cpufreq/scaling_governor) ;;
    *) return 1 ;;
  esac
}
plain() { case $1 in ''|*[!A-Za-z0-9_.+-]*) return 1 ;; esac; }
number() { case $1 in ''|*[!0-9]*) return 1 ;; esac; }
governor_of() { now=''; { read -r now <"$1"; } 2>/dev/null; }
mode_of() {
  now=''
  { read -r now _ </var/lib/nvpmodel/status; } 2>/dev/null
  now=\${now#pmode:}
  while [ "\${now#0}" != "$now" ] && [ -n "\${now#0}" ]; do now=\${now#0}; done
}
write_governor() {
  { printf '%s\\n' "$1" >"$2"; } 2>/dev/null || printf '%s\\n' "$1" | as_root tee "$2" >/dev/null 2>&1
  governor_of "$2"
  [ "$now" = "$1" ]
}
# some changes of mode ask to reboot: the answer is no, and the mode stays
write_mode() {
  said=$(echo no | as_root nvpmodel -m "$1" 2>&1)
  mode_of
  [ "$now" = "$1" ]
}
keep() { printf '%s\\n' "$1" >>"$record" && { sync "$record" 2>/dev/null || sync; }; }

# pin ROOT RUN PID STARTTIME FOLDER WANTED : prints what it could not set and fails
pin() {
  record=$1/pinned/$2
  mkdir -p "$1/pinned" || { echo 'refused record - - -'; return 1; }
  printf 'run %s %s %s %s\\n' "$(boot)" "$3" "$4" "$5" >"$record.new" && mv -f "$record.new" "$record" || { echo 'refused record - - -'; return 1; }
  while read -r what a b c; do
    case $what in
      governor)
        governor_file "$a" && plain "$b" || { echo "refused governor - - -"; return 1; }
        governor_of "$a"
        [ "$now" = "$b" ] && continue
        plain "$now" && keep "governor $a $now $b" && write_governor "$b" "$a" || { echo "refused governor $a $now $b"; return 1; } ;;
      mode)
        number "$a" && plain "$b" && plain "$c" || { echo 'refused mode - - -'; return 1; }
        mode_of
        [ "$now" = "$a" ] && continue
        was=$now
        number "$was" && keep "mode $was $a $c $b" && write_mode "$a" || {
          case $said in *[Rr][Ee][Bb][Oo][Oo][Tt]*) echo "reboot mode $was $c $b" ;; *) echo "refused mode $was $c $b" ;; esac
          return 1
        } ;;
      clocks)
        keep "clocks $record.clocks stored locked" &&
          alone jetson_clocks --store "$record.clocks" &&
          alone jetson_clocks || { echo 'refused clocks - - -'; return 1; } ;;
    esac
  done <"$6"
}

# restore ROOT RECORD : sets back in reverse order, prints a line a setting; the record goes once all of it is back
restore() {
  n=0
  until mkdir "$1/pinned/.restoring" 2>/dev/null; do
    n=$((n + 1))
    # whoever holds it was killed
    [ "$n" -lt 50 ] || break
    sleep 0.1 2>/dev/null || { sleep 1; n=$((n + 9)); }
  done
  restore_alone "$2"
  rmdir "$1/pinned/.restoring" 2>/dev/null
}
restore_alone() {
  [ -s "$1" ] || return 0
  record=$1 lines='' same='' whole=1
  while read -r line; do lines="$line
$lines"; done <"$record"
  case $lines in *"
run $(boot) "*|"run $(boot) "*) same=1 ;; esac
  while read -r what a b c d; do
    outcome=failed
    case $what in
      governor)
        governor_file "$a" && plain "$b" && plain "$c" || continue
        governor_of "$a"
        if [ "$now" = "$b" ]; then outcome=restored
        # a restart has set it anew, somebody else has set it since: theirs
        elif [ -z "$same" ] || [ "$now" != "$c" ]; then outcome=left
        elif write_governor "$b" "$a"; then outcome=restored; fi
        echo "$outcome governor $a $b $c" ;;
      mode)
        number "$a" && number "$b" && plain "$c" && plain "$d" || continue
        mode_of
        if [ "$now" = "$a" ]; then outcome=restored
        elif [ "$now" != "$b" ]; then outcome=left
        elif write_mode "$a"; then outcome=restored; fi
        echo "$outcome mode $a $c $d" ;;
      clocks)
        case $a in "$record.clocks") ;; *) continue ;; esac
        if [ -z "$same" ] || [ ! -s "$a" ]; then outcome=left
        elif alone jetson_clocks --restore "$a"; then outcome=restored; fi
        [ "$outcome" = failed ] || alone rm -f "$a"
        echo "$outcome clocks - stored locked" ;;
      *) continue ;;
    esac
    [ "$outcome" != failed ] || whole=''
  done <<END
$lines
END
  [ -z "$whole" ] || rm -f "$record"
}

# restore_left ROOT : what runs that are no more have left pinned
restore_left() {
  for left in "$1"/pinned/*; do
    case $left in *.new|*.clocks) continue ;; esac
    [ -s "$left" ] || continue
    bt='' p='' s=''
    { read -r _ bt p s _ <"$left"; } 2>/dev/null
    [ "$bt" = "$(boot)" ] && lives "$p" "$s" && continue
    echo "left-by \${left##*/}"
    restore "$1" "$left"
  done
}
`
