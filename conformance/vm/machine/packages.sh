# shellcheck shell=bash
# Debian packages that are unpacked here and not installed. apt runs with package lists of its own, so that neither
# those of this machine nor its sources change; it knows what is installed, and fetches no library twice.

# open_packages FOLDER: for what apt keeps.
open_packages() {
  local mirror
  APT=$1
  mirror=$(mirror_of bookworm)
  [[ -n $mirror ]] || die 'cannot find packages: no source of apt has bookworm'
  mkdir -p "$APT"/{lists,cache/archives}/partial
  printf 'deb %s %s main\n' "$mirror" bookworm "$mirror" bookworm-backports >"$APT/sources.list"
  OPTIONS=(-o APT::Sandbox::User=root -o "Dir::Etc::SourceList=$APT/sources.list" -o Dir::Etc::SourceParts=-
    -o Dir::Etc::PreferencesParts=/dev/null -o "Dir::State::Lists=$APT/lists" -o "Dir::Cache=$APT/cache"
    -o Acquire::Languages=none -o Acquire::Retries=3)
  quietly packages update || die 'cannot read the package lists: see above'
}

mirror_of() {
  # shellcheck disable=SC2016 # the words with a dollar sign are apt's
  apt-get indextargets --format '$(RELEASE) $(REPO_URI)' 'Identifier: Packages' |
    awk -v codename="$1" '$1 == codename && !found { found = $2 } END { print found }'
}

# packages WORD…: apt-get with these lists.
packages() { apt-get -qq -y "${OPTIONS[@]}" "$@" </dev/null; }

# fetch FOLDER PACKAGE…: puts the files of packages there.
fetch() {
  local folder=$1
  mkdir -p "$folder"
  (cd "$folder" && quietly packages download "${@:2}") || die "cannot fetch ${*:2}: see above"
}

# newest_of META RELEASE: the package that a meta package stands for.
newest_of() {
  apt-cache "${OPTIONS[@]}" show --no-all-versions "$1/$2" |
    awk -F'[ ,]' '/^Depends:/ && !found { found = $2 } END { print found }'
}

# Debian's own emulator is too old for a card with virtual functions: it is in backports.
fetch_emulator() {
  local folder=$1 archive
  quietly packages --download-only --reinstall --no-install-recommends -t bookworm-backports install \
    qemu-system-x86 qemu-system-common qemu-system-data seabios || die 'cannot fetch QEMU: see above'
  for archive in "$APT"/cache/archives/*.deb; do
    dpkg-deb --extract "$archive" "$folder"
  done
  rm -rf "$folder"/usr/share/{doc,man,icons,applications,lintian}
}

fetch_busybox() {
  fetch "$APT/busybox" busybox-static/bookworm
  dpkg-deb --fsys-tarfile "$APT"/busybox/*.deb | tar -xO ./bin/busybox >"$1"
  chmod 755 "$1"
}
