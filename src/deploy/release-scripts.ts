import { digestFunction } from './blobs.ts'

/**
 * What happens to releases on the board. A release is whole once `.content` stands in its folder, which is written
 * last and after everything else has reached the disk; `.state` says what is known of it, `.log` in which order
 * releases became current. `current` is renamed over from a folder of its own, since `mv` onto a link to a folder would
 * move into that folder.
 */
const releaseFunctions = `
settle() { sync -f "$1" 2>/dev/null || sync; }
now() { date +%s; }
numbers() { for d in "$r"/*; do k=\${d##*/}; case $k in ''|*[!0-9]*) ;; *) [ -d "$d" ] && [ ! -L "$d" ] && echo "$k" ;; esac; done; }
current() { c=$(readlink "$r/current" 2>/dev/null); c=\${c##*/}; case $c in *[!0-9]*) c='' ;; esac; echo "$c"; }
whole() { [ -s "$r/$1/.content" ]; }
state() { s=installed; { read -r s at <"$r/$1/.state"; } 2>/dev/null; echo "\${s:-installed}"; }
mark() { printf '%s %s\\n' "$2" "$(now)" >"$r/$1/.state.new" && mv -f "$r/$1/.state.new" "$r/$1/.state"; }
logged() {
  # true, not a colon: a shell ends where a special built-in cannot open its file
  [ -f "$r/.log" ] || true >"$r/.log" || return 1
  h=''
  while read -r _ k _; do
    case $k in ''|*[!0-9]*) continue ;; esac
    o=''
    for j in $h; do [ "$j" = "$k" ] || o="$o $j"; done
    h="$o $k"
  done <"$r/.log"
}
record() { printf '%s %s committed\\n' "$(now)" "$1" >>"$r/.log"; }
reconcile() {
  logged || return 1
  c=$(current)
  [ -z "$c" ] || [ "\${h##* }" = "$c" ] || { record "$c"; logged; }
}
previous() {
  p=''
  for j in $h; do
    [ "$j" = "$1" ] && continue
    whole "$j" || continue
    case $(state "$j") in failed|rolled-back) ;; *) p=$j ;; esac
  done
}
switch() {
  mkdir -p "$r/.switch.$1" && ln -sfn "$1" "$r/.switch.$1/current" && mv -f "$r/.switch.$1/current" "$r/" || return 1
  rmdir "$r/.switch.$1" 2>/dev/null
  settle "$r"
}
drop_old() {
  c=$(current)
  reconcile && previous "$c" || return 0
  for k in $(numbers); do
    [ "$k" -le $(($1 - $2)) ] && [ "$k" != "$c" ] && [ "$k" != "$p" ] && rm -rf "\${r:?}/$k"
  done
  return 0
}
`

/** `mkdir` takes the number, so two hosts never share one. A whole release of the same content is used again. */
export const installScript = `${releaseFunctions}
root=$1 name=$2 id=$3 keep=$4; shift 4
r=$root/releases/$name
mkdir -p "$r" || exit 70
n=0 same=''
for k in $(numbers); do
  [ "$k" -gt "$n" ] && n=$k
  have=''
  { read -r have <"$r/$k/.content"; } 2>/dev/null
  [ "$have" = "$id" ] && { [ -z "$same" ] || [ "$k" -gt "$same" ]; } && same=$k
done
if [ -n "$same" ]; then
  again=1 i=0
  for f in "$@"; do
    i=$((i + 1))
    [ $((i % 2)) -eq 0 ] && [ ! -e "$r/$same/$f" ] && again=0
  done
  if [ "$again" = 1 ]; then
    case $(state "$same") in failed|rolled-back) mark "$same" installed ;; esac
    echo "release $same there"; return 0
  fi
fi
tries=0
until n=$((n + 1)); mkdir "$r/$n" 2>/dev/null; do tries=$((tries + 1)); [ "$tries" -lt 50 ] || { mkdir "$r/$n"; exit 71; }; done
t=$r/$n
while [ $# -ge 2 ]; do
  case $2 in */*) mkdir -p "$t/\${2%/*}" || exit 72 ;; esac
  ln "$root/blobs/$1" "$t/$2" 2>/dev/null || ln -s "$root/blobs/$1" "$t/$2" || exit 73
  shift 2
done
printf 'installed %s\\n' "$(now)" >"$t/.state" && printf '%s\\n' "$id" >"$t/.content.new" || exit 74
settle "$t"
mv -f "$t/.content.new" "$t/.content" && settle "$t" || exit 75
drop_old "$n" "$keep"
echo "release $n new"`

export const commitScript = `${releaseFunctions}
r=$1/releases/$2 n=$3 keep=$4
whole "$n" || { echo half; return 0; }
reconcile || exit 70
case $(state "$n") in failed|rolled-back) mark "$n" installed || exit 71 ;; esac
switch "$n" || exit 72
record "$n"
if [ "$(wc -l <"$r/.log")" -gt 400 ]; then tail -n 200 "$r/.log" >"$r/.log.new" && mv -f "$r/.log.new" "$r/.log"; fi
drop_old "$n" "$keep"
settle "$r"
echo "committed $n"`

export const markScript = `${releaseFunctions}
r=$1/releases/$2
[ ! -d "$r/$3" ] || mark "$3" "$4" || exit 70
echo "marked $3"`

/**
 * A release that did not verify: its files are held against their digests, since something on the board's disk may have
 * changed since they were sent; with a damaged one the release and the blob go, so that the next deploy sends it again.
 */
export const failScript = `${releaseFunctions}
${digestFunction}
root=$1
r=$root/releases/$2 n=$3
shift 3
[ -d "$r/$n" ] || return 0
mark "$n" failed
spoilt=''
for b in "$@"; do
  d=$(digest "$root/blobs/$b" 2>/dev/null)
  if [ -n "$d" ] && [ "$d" != "$b" ]; then rm -f "$root/blobs/$b"; spoilt=1; echo "damaged $b"; fi
done
[ -z "$spoilt" ] || rm -rf "\${r:?}/$n"
return 0`

/** `release NAME NUMBER STATE TIME CONTENT`; what an installation left half is `half`. */
export const listScript = `${releaseFunctions}
root=$1 only=$2
for r in "$root"/releases/*; do
  name=\${r##*/}
  [ -d "$r" ] && [ ! -L "$r" ] || continue
  [ -z "$only" ] || [ "$only" = "$name" ] || continue
  c=$(current) p=''
  reconcile && previous "$c"
  for k in $(numbers); do
    s=$(state "$k") at=0 id=-
    { read -r _ at <"$r/$k/.state"; } 2>/dev/null
    { read -r id <"$r/$k/.content"; } 2>/dev/null
    whole "$k" || s=half
    [ "$k" = "$c" ] && s="$s+current"
    [ "$k" = "$p" ] && s="$s+previous"
    echo "release $name $k $s \${at:-0} \${id:--}"
  done
done
return 0`

/** Marked before the switch: repeated after a cut it goes to the same release. `to` is a number or empty. */
export const rollbackScript = `${releaseFunctions}
r=$1/releases/$2 to=$3
[ -d "$r" ] || { echo absent; return 0; }
c=$(current)
reconcile || exit 70
previous "$c"
[ -n "$to" ] || to=$p
[ -n "$to" ] || { echo none; return 0; }
whole "$to" || { echo half; return 0; }
[ "$to" != "$c" ] || { echo "already $to"; return 0; }
[ -z "$c" ] || mark "$c" rolled-back || exit 71
case $(state "$to") in failed|rolled-back) mark "$to" installed || exit 72 ;; esac
settle "$r"
switch "$to" || exit 73
record "$to"
echo "back $to \${c:-0}"`

/**
 * Removes what no application opens: half-made releases (younger than an hour may be another host's, under way),
 * failed and rolled-back ones, old ones beyond `keep`; never the current one nor the one before it. With `blobs` also
 * every blob that no release has.
 */
export const pruneScript = `${releaseFunctions}
root=$1 only=$2 keep=$3 blobs=$4
for r in "$root"/releases/*; do
  name=\${r##*/}
  [ -d "$r" ] && [ ! -L "$r" ] || continue
  [ -z "$only" ] || [ "$only" = "$name" ] || continue
  c=$(current)
  reconcile && previous "$c" || continue
  rm -rf "$r"/.switch.*
  left=$keep
  for k in $(numbers | sort -rn); do
    [ "$k" = "$c" ] && continue
    if ! whole "$k"; then
      [ -n "$(find "$r/$k" -maxdepth 0 -mmin -60 2>/dev/null)" ] && continue
    else
      case $(state "$k") in
        failed|rolled-back) ;;
        *)
          [ "$k" = "$p" ] && continue
          left=$((left - 1))
          [ "$left" -ge 0 ] && continue ;;
      esac
    fi
    rm -rf "\${r:?}/$k" && echo "removed $name $k"
  done
done
if [ "$blobs" = 1 ]; then
  linked=$(find "$root/releases" -type l -exec readlink {} + 2>/dev/null)
  find "$root/blobs" -maxdepth 1 -type f -links 1 2>/dev/null | head -n 2000 | while read -r f; do
    d=\${f##*/}
    case $linked in *"/$d"*) continue ;; esac
    s=$(wc -c <"$f") && rm -f "$f" && echo "blob $d $s"
  done
fi
return 0`
