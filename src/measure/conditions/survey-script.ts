/**
 * Prints what a board says of its heat, clocks, supply and load as lines of words, the key first. Read-only, bounded,
 * POSIX sh (dash, busybox). Arguments: any of `load` (look at the CPUs for half a second first), `pin` (may the governor
 * be written?).
 */
export const surveyScript = `
r() { x=''; { read -r x <"$1"; } 2>/dev/null; [ -n "$x" ]; }
say() { printf '%s %.600s\\n' "$1" "$2"; }
want() { case " $wanted " in *" $1 "*) return 0 ;; esac; return 1; }
some() { n=$((n + 1)); [ "$n" -le 64 ]; }
main() {
  LC_ALL=C; export LC_ALL
  wanted=$*
  if want load; then
    r /proc/stat && say stat.begin "$x"
    sleep 0.5 2>/dev/null || sleep 1
    r /proc/stat && say stat.end "$x"
  fi
  # another's /proc/PID/exe names the emulator; a process sees of itself only that it is what it seems
  case $(readlink "/proc/$$/exe") in *qemu-*) echo 'emulator QEMU user mode' ;; esac
  for f in /proc/device-tree/fw-cfg@* /sys/firmware/devicetree/base/fw-cfg@*; do
    [ -e "$f" ] && echo 'emulator QEMU system' && break
  done
  n=0
  for d in /sys/class/thermal/thermal_zone*; do
    some && r "$d/temp" || continue
    t=$x
    r "$d/type"
    say zone "$d/temp $t $x"
    for f in "$d"/trip_point_*_type; do
      r "$f" && [ "$x" = passive ] && r "\${f%_type}_temp" && say trip "$d/temp $x"
    done
  done
  for d in /sys/class/apex/apex_*; do
    r "$d/temp" || continue
    say zone "$d/temp $x \${d##*/}"
    r "$d/trip_point0_temp" && say trip "$d/temp $x"
  done
  n=0
  for d in /sys/class/thermal/cooling_device*; do
    some && r "$d/type" || continue
    case $x in
      *cpufreq*|*devfreq*|Processor|*throttle*) t=$x; r "$d/cur_state" && say cooling "$d/cur_state $x $t" ;;
    esac
  done
  n=0 first=''
  for d in /sys/devices/system/cpu/cpufreq/policy* /sys/devices/system/cpu/cpu0/cpufreq; do
    some && [ -r "$d/scaling_governor" ] || continue
    case $d in */cpu0/cpufreq) [ -z "$first" ] || continue ;; esac
    first=$d
    for f in related_cpus scaling_governor scaling_available_governors scaling_cur_freq scaling_min_freq \\
      scaling_max_freq cpuinfo_max_freq; do
      r "$d/$f" && say cpufreq "$d $f $x"
    done
  done
  n=0
  for d in /sys/class/hwmon/hwmon*; do
    some && r "$d/name" || continue
    case $x in
      rpi_volt) r "$d/in0_lcrit_alarm" && say rpi_volt "$d/in0_lcrit_alarm $x" ;;
      soctherm_oc*) for f in "$d"/oc[1-3]_event_cnt; do r "$f" && say soctherm_oc "$f $x"; done ;;
    esac
  done
  f=/sys/devices/system/cpu/cpu0/thermal_throttle/package_throttle_count
  r "$f" && say package_throttle "$f $x"
  for f in /sys/devices/platform/soc/soc:firmware/get_throttled /sys/devices/platform/soc@*/*firmware/get_throttled; do
    r "$f" && say get_throttled "$f $x" && break
  done
  tool=$(command -v vcgencmd || { [ -x /opt/vc/bin/vcgencmd ] && echo /opt/vc/bin/vcgencmd; })
  if [ -n "$tool" ]; then
    limit=''; command -v timeout >/dev/null 2>&1 && limit='timeout 3'
    say vcgencmd "$($limit "$tool" get_throttled 2>/dev/null | head -c 200 | head -n 1)"
  fi
  if command -v nvpmodel >/dev/null 2>&1 || [ -r /etc/nvpmodel.conf ]; then
    r /var/lib/nvpmodel/status && say nvpmodel.status "$x"
    sed -n '/^[[:space:]]*<[[:space:]]*POWER_MODEL[[:space:]]/p' /etc/nvpmodel.conf 2>/dev/null | head -n 32 |
      while read -r x; do say nvpmodel.mode "$x"; done
  fi
  command -v jetson_clocks >/dev/null 2>&1 && echo 'has jetson_clocks'
  r /proc/loadavg && say loadavg "$x"
  say available "$(sed -n 's/^MemAvailable:[[:space:]]*//p' /proc/meminfo 2>/dev/null | head -n 1)"
  n=0
  for d in /sys/bus/usb/devices/*; do
    some && r "$d/idVendor" || continue
    t=$x; r "$d/idProduct"
    case $t:$x in 18d1:9302|1a6e:089a) r "$d/speed" && say edgetpu "$x" ;; esac
  done
  if want pin; then
    may=no
    if [ "$(id -u)" = 0 ]; then may=direct
    elif [ -w "$first/scaling_governor" ]; then may=direct
    elif command -v sudo >/dev/null 2>&1 && sudo -n true </dev/null >/dev/null 2>&1; then may=sudo; fi
    echo "may $may"
  fi
  echo 'done 1'
}
main "$@" </dev/null 2>/dev/null
`
