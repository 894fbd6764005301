#!/bin/sh
# The first process of a node that a real systemd boots: it gets a /run, units and a group of processes of its own, and
# knows nothing of what else the machine has. usage: systemd-init.sh UNITS GROUP; UNITS lasts when the node does not
set -eu
UNITS=$1 GROUP=$2

# pods of the lab stay where they are
mount -t tmpfs tmpfs /mnt
mkdir -p /mnt/netns /mnt/cgroup
mount --rbind /run/netns /mnt/netns
mount -n --move /mnt /run
mount --bind "$UNITS" /etc/systemd/system
for path in /lib/systemd/system /lib/systemd/system-generators /usr/lib/systemd/system-environment-generators; do
  [ ! -d "$path" ] || mount -t tmpfs tmpfs "$path"
done
for target in sysinit basic sockets shutdown umount final multi-user; do
  printf '[Unit]\n' >"/lib/systemd/system/$target.target"
done
printf '[Unit]\nWants=sockets.target multi-user.target\nAfter=sockets.target multi-user.target\n' \
  >/lib/systemd/system/default.target

mount -t cgroup2 cgroup2 /run/cgroup
mkdir "/run/cgroup/$GROUP"
echo 0 >"/run/cgroup/$GROUP/cgroup.procs"
# shellcheck disable=SC2016 # for the shell that comes
exec unshare --cgroup sh -c 'umount /run/cgroup
mount -t tmpfs tmpfs /sys/fs/cgroup
mount -t cgroup2 cgroup2 /sys/fs/cgroup
container=lab exec /lib/systemd/systemd --system --unit=default.target --log-target=null \
  --default-standard-output=inherit --default-standard-error=inherit'
