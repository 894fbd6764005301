#!/usr/bin/env bash
# The first process of a node: mounts of its own, then containerd, again whenever somebody kills it. It ends, and the
# node with it, when containerd ends by itself.
# usage: node-init.sh FOLDER [LOG_LEVEL]; the folder has config.toml
# With AGENT, a program, "agent" of it runs too, again whenever it has ended: it is where BRAID_AGENT has launchers look.
set -euo pipefail

readonly FOLDER=$1 LOG_LEVEL=${2:-info} KILLED=137

mkdir -p /run/containerd /run/netns /var/lib/cni "$FOLDER/cgroup" "$FOLDER/cni"
for path in /run/containerd /run/netns; do
  mount -t tmpfs tmpfs "$path"
done
mount --bind "$FOLDER/cni" /var/lib/cni # its state lasts when the node does not

# A sysfs mounted here shows the links of this network namespace.
mount --rbind /sys/fs/cgroup "$FOLDER/cgroup"
mount -t sysfs sysfs /sys
mount --move "$FOLDER/cgroup" /sys/fs/cgroup
ip link set lo up

if [[ -n ${AGENT-} ]]; then
  while :; do
    "$AGENT" agent --socket "$BRAID_AGENT" || true
  done &
  while [[ ! -S $BRAID_AGENT ]]; do
    sleep 0.05
  done
fi

status=$KILLED
while ((status == KILLED)); do
  status=0
  containerd --config "$FOLDER/config.toml" --log-level "$LOG_LEVEL" || status=$?
done
exit "$status"
