#!/bin/sh
# A STAND-IN for sudo, for emulated boards: nobody becomes root, but the stand-ins for nvpmodel and jetson_clocks believe it.
# /etc/sudo-stand-in holds `refuse` where a password would be asked for.
[ "${1:-}" = -n ] && shift
[ ! -r /etc/sudo-stand-in ] || { echo 'sudo: a password is required' >&2; exit 1; }
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin STAND_IN_ROOT=1 exec "$@"
