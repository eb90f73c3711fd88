#!/bin/sh
# A STAND-IN for NVIDIA's jetson_clocks, for emulated boards: the state of the clocks is one word in a file.
state=/tmp/jetson_clocks-stand-in-state
[ "$(id -u)" = 0 ] || [ -n "${STAND_IN_ROOT:-}" ] || { echo 'Please run this script as root' >&2; exit 1; }
echo "$*" >>/tmp/jetson_clocks-stand-in-calls
case ${1:-} in
  --store) [ ! -e "${2:-/root/l4t_dfs.conf}" ] || { echo "File ${2:-/root/l4t_dfs.conf} already exists. Can I overwrite it? Y/N:"; read -r a; [ "$a" = Y ] || exit 1; }; cat "$state" 2>/dev/null >"${2:-/root/l4t_dfs.conf}" || echo dynamic >"${2:-/root/l4t_dfs.conf}" ;;
  --restore) [ -r "${2:-/root/l4t_dfs.conf}" ] || { echo 'Error: no stored settings' >&2; exit 1; }; cat "${2:-/root/l4t_dfs.conf}" >"$state" ;;
  --show) cat "$state" 2>/dev/null || echo dynamic ;;
  '') echo locked >"$state" ;;
  *) echo "Unknown option $1" >&2; exit 1 ;;
esac
