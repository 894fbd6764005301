#!/usr/bin/env bash
# The first process of a node: a root of its own over that of the machine, whose files it sees and does not change. It
# says "ready", then waits, and reaps what loses its parents.
# usage: node-init.sh NAME FOLDER KUBERNETES RUNTIME RUNC OWN...; after the folder come two folders of programs and a
# program, then paths of which the node sees nothing of the machine's
set -euo pipefail

readonly NAME=$1 FOLDER=$2 KUBERNETES=$3 RUNTIME=$4 RUNC=$5

echo "$NAME" >/proc/sys/kernel/hostname
ip link set lo up
mount -t overlay overlay -o "lowerdir=/,upperdir=$FOLDER/disk,workdir=$FOLDER/work" "$FOLDER/root"
cd "$FOLDER/root"
mount -t proc proc proc
mount -t sysfs sysfs sys # shows the links of this network namespace
mount --rbind /sys/fs/cgroup sys/fs/cgroup
mount --rbind /dev dev
for path in run tmp; do
  mount -t tmpfs tmpfs "$path"
done
mkdir -p old run/lock run/netns opt/kubernetes opt/runtime
mount --bind "$KUBERNETES" opt/kubernetes
mount --bind "$RUNTIME" opt/runtime
mount --bind "$RUNC" opt/runtime/runc
# The disk itself: what lies on an overlay cannot be a part of another one, which containerd makes.
for path in "${@:6}"; do
  mkdir -p ".$path"
  mount --bind "$FOLDER/own$path" ".$path"
done

# A kubelet insists on these, which are the whole machine's: it may read here what it wants, and change nothing.
mkdir run/sysctl
for wanted in vm/overcommit_memory=1 kernel/panic=10 kernel/panic_on_oops=1; do
  file=run/sysctl/${wanted##*/}
  file=${file%=*}
  echo "${wanted#*=}" >"$file"
  mount --bind "$file" "proc/sys/${wanted%=*}"
done

pivot_root . old
umount -l /old
cd /
mount --make-rshared /
echo ready
while :; do
  sleep 86400 &
  wait
done
