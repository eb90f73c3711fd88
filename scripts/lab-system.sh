#!/bin/sh
# lab-system.sh ROOTFS SENSORS DEST : what boots a whole emulated arm64 machine: Debian's kernel, an initrd with the few
# modules that reach the disk and the network, a root disk made of ROOTFS, and device trees that say which Raspberry Pi it
# is. And, in an archive of its own for boards that have them, its power, temperature and clock: the kernel's drivers of
# the INA3221 and INA226, which Debian's arm64 kernel lacks, its i2c-stub for them to read, and what SENSORS holds.
set -eu
rootfs=$1
sources=$2
dest=$3
[ ! -d "$dest" ] || exit 0

work=$dest.partial
rm -rf "$work"
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/out" "$work/apt/lists/partial" "$work/apt/cache/archives/partial" "$work/debs"
cd "$work"

# a package index of our own: the computer's own architectures and sources stay as they are
echo 'deb http://deb.debian.org/debian bookworm main' >apt/sources.list
apt_of() {
  architecture=$1
  program=$2
  shift 2
  "$program" -qq -o "APT::Architecture=$architecture" -o "APT::Architectures::=$architecture" -o APT::Sandbox::User=root \
    -o Acquire::Retries=3 -o Dir::Etc::sourcelist="$work/apt/sources.list" -o Dir::Etc::sourceparts=- \
    -o Dir::State="$work/apt" -o Dir::State::lists="$work/apt/lists" -o Dir::State::status=/dev/null \
    -o Dir::Cache="$work/apt/cache" "$@"
}
apt_arm64() {
  apt_of arm64 "$@"
}
# the compiled programs of the kernel's build are for this computer; the same repository, so of the same kernel
here=$(dpkg --print-architecture)
apt_of "$here" apt-get update
(cd debs && apt_of "$here" apt-get download linux-kbuild-6.1)
apt_arm64 apt-get update
release=$(apt_arm64 apt-cache depends linux-image-arm64 | sed -n 's/.*Depends: linux-image-\([^ ]*-arm64\).*/\1/p' | head -n 1)
common=${release%-arm64}
(cd debs && apt_arm64 apt-get download "linux-image-$release" busybox-static "linux-headers-$release" \
  "linux-headers-$common-common" linux-source-6.1)
dpkg-deb -x debs/linux-image-"$release"_*.deb kernel

for package in debs/linux-headers-*.deb debs/linux-kbuild-*.deb; do dpkg-deb -x "$package" headers; done
mkdir drivers
dpkg-deb --fsys-tarfile debs/linux-source-6.1_*.deb | tar -xO ./usr/src/linux-source-6.1.tar.xz |
  tar -xJf - -C drivers --strip-components=3 linux-source-6.1/drivers/i2c/i2c-stub.c \
    linux-source-6.1/drivers/hwmon/ina3221.c linux-source-6.1/drivers/hwmon/ina2xx.c
# the two chip drivers stay as they are; the stub's bus gets a node of the device tree, so that its chips have labels and
# shunts there as on a real board
sed -i -e 's|^#include <linux/init.h>|#include <linux/of.h>\n&|' \
  -e 's|ret = i2c_add_adapter(&stub_adapter);|stub_adapter.dev.of_node = of_find_node_by_path("/i2c-stub");\n\t&|' drivers/i2c-stub.c
grep -q of_find_node_by_path drivers/i2c-stub.c
grep -q '<linux/of.h>' drivers/i2c-stub.c
cp "$sources/fakesoc.c" drivers
echo 'obj-m := i2c-stub.o ina3221.o ina2xx.o fakesoc.o' >drivers/Makefile
echo "include $work/headers/usr/src/linux-headers-$common-common/Makefile" >"headers/usr/src/linux-headers-$release/Makefile"
make -s -C "headers/usr/src/linux-headers-$release" "M=$work/drivers" ARCH=arm64 CROSS_COMPILE=aarch64-linux-gnu- modules
mkdir "kernel/lib/modules/$release/extra"
for module in drivers/*.ko; do
  aarch64-linux-gnu-strip -g -o "kernel/lib/modules/$release/extra/${module##*/}" "$module"
done
depmod -b "$work/kernel" "$release"

mkdir -p sensors/board/sensors
modprobe_list() {
  for module in "$@"; do
    modprobe -d "$work/kernel" -S "$release" --show-depends "$module" | sed -n 's/^insmod \([^ ]*\).*/\1/p'
  done
}
# group by group, as start loads them; what another group has loaded already is refused, which does no harm
for group in 'base virtio_console i2c-dev' 'stub i2c-stub' 'ina3221 ina3221' 'ina2xx ina2xx' 'ina2xx-adc ina2xx-adc' 'soc fakesoc'; do
  name=${group%% *}
  mkdir "sensors/board/sensors/$name"
  index=10
  for module in $(modprobe_list ${group#* }); do
    cp "$module" "sensors/board/sensors/$name/$index-${module##*/}"
    index=$((index + 1))
  done
done
aarch64-linux-gnu-gcc -O2 -Wall -Wextra -Werror -static -o sensors/board/sensors/power-wave "$sources/power-wave.c" -lm
cp "$sources/start.sh" sensors/board/sensors/start
(cd sensors && find board | sort | cpio -o -H newc --quiet | gzip -1) >out/sensors.gz
cp "kernel/boot/vmlinuz-$release" out/vmlinuz

mkdir -p initrd/bin initrd/proc initrd/sys initrd/dev initrd/new initrd/modules
dpkg-deb --fsys-tarfile debs/busybox-static_*.deb | tar -x -C initrd ./bin/busybox
for applet in sh mount insmod switch_root sleep cp rm; do ln -s busybox "initrd/bin/$applet"; done
index=10
for module in virtio_mmio virtio_pci virtio_blk virtio_net virtio-rng ext4; do
  modprobe -d "$work/kernel" -S "$release" --show-depends "$module" | sed -n 's/^insmod \([^ ]*\).*/\1/p'
done >modules.list
while read -r module; do
  name=${module##*/}
  [ ! -e "seen.$name" ] || continue
  : >"seen.$name"
  cp "$module" "initrd/modules/$index-$name"
  index=$((index + 1))
done <modules.list
cat >initrd/init <<'INIT'
#!/bin/sh
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
for module in /modules/*.ko; do insmod "$module"; done
tries=0
while [ ! -b /dev/vda ] && [ $tries -lt 500 ]; do sleep 0.02; tries=$((tries + 1)); done
mount -t ext4 -o rw,noatime /dev/vda /new || exec sh
rm -rf /new/board
cp -a /board /new/board
mount --move /dev /new/dev
exec switch_root /new /sbin/init
INIT
chmod 755 initrd/init
(cd initrd && find . | cpio -o -H newc --quiet | gzip -1) >out/initrd.gz

cp -a "$rootfs" root
rm -f root/sbin/init
cat >root/sbin/init <<'INIT'
#!/bin/sh
export PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mkdir -p /dev/pts /dev/shm
mount -t devpts devpts /dev/pts
mount -t tmpfs tmpfs /run
mount -t tmpfs -o mode=1777 tmpfs /tmp
mkdir -p -m 755 /run/sshd
hostname raspberrypi
date -s "@$(cat /board/now)" >/dev/null
install -m 600 /board/host_key /etc/ssh/board_host_key
install -d -m 700 -o 1000 -g 1000 /home/pi/.ssh
install -m 600 -o 1000 -g 1000 /board/identity.pub /home/pi/.ssh/authorized_keys
ip link set lo up
ip link set eth0 up
ip addr add 10.0.2.15/24 dev eth0
ip route add default via 10.0.2.2
[ ! -e /board/sensors/start ] || sh /board/sensors/start
/usr/sbin/sshd -D -e 2>/dev/console &
while :; do wait; sleep 1; done
INIT
chmod 755 root/sbin/init
truncate -s 1G out/root.ext4
mke2fs -q -t ext4 -d root out/root.ext4

# dumped with the memory and CPUs that the machine is started with (test/lab/system-board.ts)
device_tree() {
  qemu-system-aarch64 -M virt,gic-version=3,dumpdtb=plain.dtb -cpu "$2" -smp 2 -m 1024 -nodefaults -display none >/dev/null 2>&1
  dtc -q -I dtb -O dts plain.dtb | sed "0,/model = \"linux,dummy-virt\";/s//model = \"$3\";/
    0,/compatible = \"linux,dummy-virt\";/s//compatible = $4, \"linux,dummy-virt\";/" | dtc -q -I dts -O dtb -o "out/$1.dtb"
}
device_tree raspberry-pi-5 cortex-a76 'Raspberry Pi 5 Model B Rev 1.0' '"raspberrypi,5-model-b", "brcm,bcm2712"'
device_tree raspberry-pi-4b cortex-a72 'Raspberry Pi 4 Model B Rev 1.4' '"raspberrypi,4-model-b", "brcm,bcm2711"'
device_tree raspberry-pi-3b-plus cortex-a53 'Raspberry Pi 3 Model B Plus Rev 1.3' '"raspberrypi,3-model-b-plus", "brcm,bcm2837"'
mv out "$dest"
