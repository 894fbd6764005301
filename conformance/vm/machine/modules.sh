# shellcheck shell=bash
# Modules that Debian's kernel lacks, or that tests want otherwise than they are: see README.md.

readonly RXE=drivers/infiniband/sw/rxe

# build_modules FOLDER: into the kernel's modules there, for that kernel.
build_modules() {
  local folder=$1 work=$APT/modules version updates
  version=$(<"$folder/kernel/version")
  updates=$folder/kernel/lib/modules/$RELEASE/updates
  fetch "$work" "linux-headers-$RELEASE=$version" "linux-headers-${RELEASE%-amd64}-common=$version" \
    "linux-kbuild-6.1=$version" "linux-source-6.1=$version"
  unpack_headers "$work"
  mkdir -p "$work/vfsim" "$updates"
  cp "$MACHINE/vfsim.c" "$work/vfsim/"
  echo 'obj-m := vfsim.o' >"$work/vfsim/Makefile"
  unpack_rxe "$work"
  compile "$work" vfsim
  compile "$work" "$RXE" CONFIG_RDMA_RXE=m
  # One file for each name: busybox looks no further than the first.
  rm "$folder/kernel/lib/modules/$RELEASE/kernel/$RXE/rdma_rxe.ko"
  cp "$work/vfsim/vfsim.ko" "$work/$RXE/rdma_rxe.ko" "$updates/"
  "$folder/busybox" depmod -b "$folder/kernel" "$RELEASE"
}

unpack_headers() {
  local work=$1 archive
  for archive in "$work"/linux-{headers,kbuild}-*.deb; do
    dpkg-deb --extract "$archive" "$work"
  done
  HEADERS=$work/usr/src/linux-headers-$RELEASE
  sed -i "s#/usr/src/#$work/usr/src/#g" "$HEADERS/Makefile"
}

unpack_rxe() {
  dpkg-deb --fsys-tarfile "$1"/linux-source-*.deb | tar -xO ./usr/src/linux-source-6.1.tar.xz | xz -dc -T 0 |
    tar -x -C "$1" --strip-components=1 --wildcards "linux-source-6.1/$RXE/*"
  quietly patch -d "$1" -p1 -i "$MACHINE/rxe.patch" || die 'cannot change the module rdma_rxe: see above'
}

# compile WORK FOLDER [VARIABLE=VALUE]…
compile() {
  quietly make -s -j "$(nproc)" -C "$HEADERS" "M=$1/$2" "${@:3}" modules || die "cannot build the module in $2: see above"
  strip --strip-debug "$1/$2"/*.ko
}
