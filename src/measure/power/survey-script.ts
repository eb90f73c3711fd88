/**
 * Prints the power sensors of a board. Read-only, POSIX sh (dash, busybox), few forks. Lines of tab-separated words:
 * `chip KIND FOLDER REAL-FOLDER NAME SUBSYSTEM`, then `f FILE VALUE` for each of its files; `pmic COMMAND`, then
 * `p LINE`; `done`.
 */
export const surveyScript = `
tab=$(printf '\\t')
value() { v=; IFS= read -r v <"$1"; }
say() { printf "%s$tab%s$tab%s\\n" f "\${1##*/}" "$v"; }
chip() {
  real=$(cd "$2" && pwd -P) || return
  sub=$(readlink "$2/device/subsystem")
  printf "%s$tab%s$tab%s$tab%s$tab%s$tab%s\\n" chip "$1" "$2" "$real" "$3" "\${sub##*/}"
}
files() { for f in "$@"; do [ -r "$f" ] && value "$f" && [ -n "$v" ] && say "$f"; done; }
main() {
  LC_ALL=C; export LC_ALL
  n=0
  for d in /sys/class/hwmon/hwmon*; do
    [ -r "$d/name" ] && [ "$n" -lt 48 ] || continue
    value "$d/name"
    name=$v
    case $name in
      ina*) ;;
      *) set -- "$d"/power*_input; [ -r "$1" ] || continue ;;
    esac
    n=$((n + 1))
    chip hwmon "$d" "$name"
    files "$d"/label "$d"/update_interval "$d"/shunt*_resistor "$d"/in[0-9]*_label "$d"/in[0-9]*_enable \\
      "$d"/in[0-9]*_input "$d"/curr[0-9]*_input "$d"/curr[0-9]*_crit "$d"/power[0-9]*_label "$d"/power[0-9]*_input
  done
  n=0
  for i in /sys/bus/i2c/devices/*; do
    [ -r "$i/name" ] || continue
    value "$i/name"
    name=$v
    case $name in *ina3221*) ;; *) continue ;; esac
    for d in "$i"/iio:device* "$i"/iio_device*; do
      [ -d "$d" ] && [ "$n" -lt 16 ] || continue
      n=$((n + 1))
      chip jetpack4 "$d" "$name"
      files "$d"/rail_name_* "$d"/in_voltage*_input "$d"/in_current*_input "$d"/in_power*_input "$d"/crit_current_limit_*
    done
  done
  n=0
  for d in /sys/bus/iio/devices/iio:device*; do
    [ -r "$d/name" ] && [ "$n" -lt 16 ] || continue
    value "$d/name"
    name=$v
    case $name in ina2*) ;; *) continue ;; esac
    n=$((n + 1))
    chip iio "$d" "$name"
    files "$d"/label "$d"/in_shunt_resistor "$d"/in_voltage1_* "$d"/in_current3_* "$d"/in_power2_*
  done
  vc=$(command -v vcgencmd || { [ -x /opt/vc/bin/vcgencmd ] && echo /opt/vc/bin/vcgencmd; })
  if [ -n "$vc" ]; then
    printf "%s$tab%s\\n" pmic "$vc"
    "$vc" pmic_read_adc 2>&1 | head -c 6000 | while IFS= read -r line; do printf "%s$tab%s\\n" p "$line"; done
  fi
  echo done
}
main </dev/null 2>/dev/null
`
