#!/bin/sh
# Runs on the emulated board before its SSH server: loads the drivers of the chips that /board/chips names, behind a
# program that plays a power waveform into them. `CHIP DRIVER` a line, e.g. `0x40 ina3221`.
load() {
  for module in "/board/sensors/$1"/*.ko; do insmod "$module" 2>/dev/null; done
}
addresses=$(while read -r address driver; do echo "$address"; done </board/chips)
load base
mkdir -p /run/lab
echo 0 >/run/lab/marker
chmod 666 /run/lab/marker
for port in /sys/class/virtio-ports/*; do
  [ "$(cat "$port/name")" != lab ] || device=/dev/${port##*/}
done
if [ -n "$addresses" ]; then
  insmod /board/sensors/stub/*i2c-stub.ko "chip_addr=$(echo $addresses | tr ' ' ',')"
fi
/board/sensors/power-wave "$device" /dev/i2c-0 $addresses
while read -r address driver; do load "$driver"; done </board/chips
load soc
