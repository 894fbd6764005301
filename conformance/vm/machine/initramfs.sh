# shellcheck shell=bash
# What the kernel finds first: busybox, `init`, and the modules that mounting the root takes.

# make_initramfs FOLDER
make_initramfs() {
  local folder=$1 root=$APT/initramfs modules path
  modules=$folder/kernel/lib/modules/$RELEASE
  mkdir -p "$root"/{bin,dev,host,modules,proc,root,rw,sys}
  cp "$folder/busybox" "$root/bin/"
  ln -s busybox "$root/bin/sh"
  install -m 755 "$MACHINE/init" "$root/init"
  for path in $(in_order "$modules" virtio_pci 9pnet_virtio 9p overlay); do
    cp "$modules/$path" "$root/modules/"
    basename "$path" >>"$root/modules/order"
  done
  (cd "$root" && find . -mindepth 1 | bin/busybox cpio -o -H newc 2>/dev/null) >"$folder/initramfs"
}

# in_order FOLDER MODULE…: their files and those they depend on, which come first.
in_order() {
  local name line
  for name in "${@:2}"; do
    line=$(grep -m 1 -E "/$name\.ko:" "$1/modules.dep") || die "the kernel has no module $name"
    tr ' ' '\n' <<<"${line#*:}" | tac
    echo "${line%%:*}"
  done | awk 'NF && !seen[$0]++'
}
