# shellcheck shell=bash
# Debian's stock kernel and those of its modules that networks of pods may need.

readonly MODULE_FOLDERS=(
  arch/x86/crypto crypto lib net virt fs/{9p,configfs,fscache,netfs,overlayfs}
  drivers/{dca,infiniband,pci,pps,ptp,uio,vfio,virtio} drivers/i2c/algos
  drivers/net/{bonding,ipvlan,mdio,phy,vxlan,wireguard} drivers/net/ethernet/intel/{igb,igbvf}
)
readonly MODULES=(drivers/net/{dummy,geneve,ifb,macsec,macvlan,macvtap,net_failover,nlmon,tap,tun,veth,virtio_net,vrf}.ko)

# fetch_kernel FOLDER: makes vmlinux, lib/modules, and the files release and version there.
fetch_kernel() {
  local folder=$1 package
  package=$(newest_of linux-image-amd64 bookworm)
  [[ $package == linux-image-6.1.* ]] || die "cannot use the kernel \"$package\": not a 6.1"
  RELEASE=${package#linux-image-}
  fetch "$APT/kernel" "$package/bookworm"
  mkdir -p "$folder"
  echo "$RELEASE" >"$folder/release"
  dpkg-deb --field "$APT"/kernel/*.deb Version >"$folder/version"
  unpack_modules "$APT"/kernel/*.deb "$folder"
  dpkg-deb --fsys-tarfile "$APT"/kernel/*.deb | tar -xO "./boot/vmlinuz-$RELEASE" >"$APT/vmlinuz"
  unpack_payload "$APT/vmlinuz" | xz -dc >"$folder/vmlinux"
}

unpack_modules() {
  local archive=$1 folder=$2 kernel="./lib/modules/$RELEASE/kernel"
  dpkg-deb --fsys-tarfile "$archive" | tar -x -C "$folder" --wildcards "./lib/modules/$RELEASE/modules.*" \
    "${MODULE_FOLDERS[@]/#/$kernel/}" "${MODULES[@]/#/$kernel/}"
}

# The kernel proper within a vmlinuz: unpacked here it starts 3 s earlier, since the emulated machine is slow.
# Where it lies is in the header (Documentation/x86/boot.rst: setup_sects, payload_offset, payload_length).
unpack_payload() {
  local setup_sectors offset length
  setup_sectors=$(number_at "$1" 0x1f1 u1)
  offset=$(number_at "$1" 0x248 u4)
  length=$(number_at "$1" 0x24c u4)
  # The last four bytes are the unpacked size.
  dd if="$1" iflag=skip_bytes,count_bytes bs=1M skip=$(((setup_sectors + 1) * 512 + offset)) count=$((length - 4)) \
    status=none
}

number_at() { od -An -j "$2" -N "${3#u}" -t "$3" "$1" | tr -d ' '; }
