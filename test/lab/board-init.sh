#!/bin/sh
# board-init.sh LOWER BOARD PORT HOME_BYTES : process 1 of an emulated board, inside its own mount, pid, uts and
# ipc namespaces. LOWER is the shared read-only userland, BOARD the folder with this board's keys, sysfs and cpuinfo.
# All that the board writes lives in a tmpfs of this namespace and goes with it.
set -eu
lower=$1
board=$2
port=$3
home_bytes=$4

hostname raspberrypi
mount -t tmpfs -o size=2g,mode=755 board "$board/disk"
cd "$board/disk"
mkdir upper work root
mount -t overlay overlay -o "lowerdir=$lower,upperdir=$board/disk/upper,workdir=$board/disk/work" root
cd root

mount -t proc proc proc
mount --bind "$board/cpuinfo" proc/cpuinfo
mount --rbind "$board/sys" sys
mount -t tmpfs -o mode=755 tmpfs dev
for node in null:3 zero:5 full:7 random:8 urandom:9; do
  mknod -m 666 "dev/${node%:*}" c 1 "${node#*:}"
done
mkdir dev/pts dev/shm
mount -t devpts -o newinstance,ptmxmode=666 devpts dev/pts
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
mount -t tmpfs -o mode=1777,size=256m tmpfs dev/shm

mount -t tmpfs -o "size=$home_bytes,mode=755,uid=1000,gid=1000" home home/pi
mkdir -m 700 home/pi/.ssh
cp "$board/identity.pub" home/pi/.ssh/authorized_keys
chmod 600 home/pi/.ssh/authorized_keys
chown -R 1000:1000 home/pi/.ssh
install -m 600 "$board/host_key" etc/ssh/board_host_key
cat "$board/sshd_config" etc/ssh/sshd_config >etc/ssh/sshd_config.board
if [ -f "$board/shadow" ]; then
  sed -i '/^pi:/d' etc/shadow
  cat "$board/shadow" >>etc/shadow
fi

exec env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
  chroot . /usr/sbin/sshd -D -e -f /etc/ssh/sshd_config.board -o ListenAddress=127.0.0.1 -p "$port"
