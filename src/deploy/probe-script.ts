/**
 * Prints what a board says about itself as key=value lines. Read-only, bounded, POSIX sh (dash, busybox), no awk.
 * Every value passes through `v`, which cuts it and takes NULs and line ends out.
 */
export const probeScript = `
v() { printf '%s=' "$1"; head -c 4000 | tr '\\000\\n\\r' '   '; echo; }
first() { for f in "$@"; do [ -r "$f" ] && { cat "$f"; return; }; done; }
cpu() { sed -n "s/^$1[[:space:]]*:[[:space:]]*//p" /proc/cpuinfo 2>/dev/null | head -n 1; }
main() {
  LC_ALL=C; export LC_ALL
  uname -m | v machine
  uname -sr | v kernel
  uname -n | v hostname
  printf %s "\${HOME:-}" | v home
  head -c 5 /bin/sh 2>/dev/null | tail -c 1 | tr '\\001\\002' '12' | v elfclass
  getconf LONG_BIT 2>/dev/null | v longbit
  first /proc/device-tree/model /sys/firmware/devicetree/base/model /sys/class/dmi/id/product_name | v model
  first /proc/device-tree/compatible /sys/firmware/devicetree/base/compatible | head -c 2000 | tr '\\000' '\\n' |
    while read -r one; do printf %s "$one" | v compatible; done
  for key in 'model name' Model Hardware 'CPU implementer' 'CPU part'; do cpu "$key" | v "cpu.$key"; done
  { cpu Features; cpu flags; } | v features
  { nproc 2>/dev/null || getconf _NPROCESSORS_ONLN 2>/dev/null; } | v cpus
  sed -n 's/^MemTotal:[[:space:]]*//p' /proc/meminfo 2>/dev/null | v memory
  df -Pk "\${HOME:-/}" 2>/dev/null | sed -n 2p | v disk
  getconf GNU_LIBC_VERSION 2>/dev/null | v glibc
  ldd --version 2>&1 | head -n 2 | v ldd
  for f in /lib/ld-musl-*; do [ -e "$f" ] && printf %s "$f" | v musl; done
  sed -n 's/^PRETTY_NAME=//p' /etc/os-release 2>/dev/null | head -n 1 | v os
  first /etc/nv_tegra_release | v nv_tegra_release
  first /sys/class/dmi/id/sys_vendor | v dmi_vendor
  n=0
  for d in /sys/bus/usb/devices/*/idVendor; do
    [ -r "$d" ] && [ "$n" -lt 64 ] || continue
    n=$((n + 1))
    { cat "$d"; printf :; cat "\${d%idVendor}idProduct"; } 2>/dev/null | tr -d '\\n' | v usb
  done
  echo done=1
}
main "$@" </dev/null 2>/dev/null
`
