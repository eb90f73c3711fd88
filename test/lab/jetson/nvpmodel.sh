#!/bin/sh
# A STAND-IN for NVIDIA's nvpmodel, for emulated boards: modes of an Orin Nano developer kit, kept in a file.
status=/var/lib/nvpmodel/status
read -r line <"$status"
id=${line#pmode:}
id=${id%% *}
id=$((10${id} - 100000))
name() { sed -n "s/^< POWER_MODEL ID=$1 NAME=\([^ ]*\) >\$/\1/p" /etc/nvpmodel.conf; }
case ${1:-} in
  -q)
    echo "NV Power Mode: $(name "$id")"
    echo "$id" ;;
  -m)
    [ "$(id -u)" = 0 ] || [ -n "${STAND_IN_ROOT:-}" ] || { echo 'NVPM ERROR: Error opening /var/lib/nvpmodel/status: 13' >&2; exit 255; }
    [ -n "$(name "$2")" ] || { echo "NVPM ERROR: invalid mode $2" >&2; exit 255; }
    if grep -qx "$2" /etc/nvpmodel-stand-in-reboot 2>/dev/null; then
      echo 'NVPM WARN: Golden image context is already created'
      echo "NVPM WARN: Reboot required for changing to this power mode: $2"
      echo 'NVPM WARN: DO YOU WANT TO REBOOT NOW? enter YES/yes to confirm:'
      read -r answer
      case $answer in YES|yes) echo 'NVPM WARN: rebooting'; echo reboot >>/tmp/nvpmodel-stand-in-calls; exit 0 ;; esac
      echo 'NVPM ERROR: optMask is 1, no request for power mode'
      exit 255
    fi
    echo "-m $2" >>/tmp/nvpmodel-stand-in-calls
    printf 'pmode:%04d fmode:quiet\n' "$2" >"$status" ;;
  *) echo 'Usage: nvpmodel -q | -m MODE' >&2; exit 1 ;;
esac
