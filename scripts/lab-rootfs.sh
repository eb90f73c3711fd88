#!/bin/sh
# lab-rootfs.sh SUITE DEST : an arm64 Debian userland with an SSH server, unpacked at DEST.
# Packages are extracted and never configured (that would run for minutes under emulation); what their
# maintainer scripts would have written is written here. The main archive alone: security updates of an old suite move
# away, and these boards serve the loopback only.
set -eu
suite=$1
dest=$2
[ ! -d "$dest" ] || exit 0

packages=base-files,base-passwd,bash,coreutils,dash,diffutils,findutils,grep,gzip,hostname,kmod,iproute2,libatomic1,libc-bin,libstdc++6,mount,openssh-server,openssh-sftp-server,procps,sed,tar,util-linux

work=$dest.partial
rm -rf "$work" "$work.tar"
trap 'rm -rf "$work" "$work.tar"' EXIT

attempt=1
until mmdebstrap --quiet --arch=arm64 --variant=extract --include="$packages" \
  --aptopt='APT::Install-Recommends "0"' --aptopt='Acquire::Retries "3"' \
  --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
  --dpkgopt='path-exclude=/usr/share/locale/*' "$suite" "$work.tar" \
  "deb http://deb.debian.org/debian $suite main"; do
  [ $attempt -lt 3 ] || exit 1
  attempt=$((attempt + 1))
  sleep 5
done
mkdir "$work"
tar -C "$work" --numeric-owner -xpf "$work.tar" --exclude='./dev/*'

cp "$work/usr/share/base-passwd/passwd.master" "$work/etc/passwd"
cp "$work/usr/share/base-passwd/group.master" "$work/etc/group"
echo 'sshd:x:101:65534::/run/sshd:/usr/sbin/nologin' >>"$work/etc/passwd"
echo 'pi:x:1000:1000::/home/pi:/bin/bash' >>"$work/etc/passwd"
echo 'pi:x:1000:' >>"$work/etc/group"
sed 's/:.*/:*:19000:0:99999:7:::/' "$work/etc/passwd" >"$work/etc/shadow"
chmod 640 "$work/etc/shadow"
printf 'passwd: files\ngroup: files\nshadow: files\nhosts: files\n' >"$work/etc/nsswitch.conf"
echo '127.0.0.1 localhost raspberrypi' >"$work/etc/hosts"
echo raspberrypi >"$work/etc/hostname"

for folder in dev proc sys tmp run/sshd home/pi etc/ssh opt usr/local/bin; do mkdir -p "$work/$folder"; done
chmod 1777 "$work/tmp"
chmod 755 "$work/run/sshd"
chown 1000:1000 "$work/home/pi"
cat >"$work/etc/ssh/sshd_config" <<'SSHD'
HostKey /etc/ssh/board_host_key
PermitRootLogin no
PasswordAuthentication no
KbdInteractiveAuthentication no
UsePAM no
UseDNS no
PidFile none
MaxStartups 100
Subsystem sftp /usr/lib/openssh/sftp-server
SSHD
mv "$work" "$dest"
