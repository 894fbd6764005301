# shellcheck shell=bash
# Shared by the commands in this folder, which source this file; scripts/test.ts runs single functions of it:
# `bash scripts/setup.sh install_tools ip cc`. All output goes to stderr.
set -euo pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$ROOT"

readonly OLDEST_NODE=18
readonly OLDEST_GO=21 # minor version; since then Go can fetch another version
readonly NEW_ENOUGH_GO=26
readonly FETCHED_GO=go1.26.8

say() { printf '%s\n' "$*" >&2; }

die() {
  say "$(basename "$0"): $*"
  exit 1
}

# quietly COMMAND…: shows the output only on failure.
quietly() {
  local said status=0
  said=$("$@" 2>&1) || status=$?
  ((status == 0)) || say "$said"
  return "$status"
}

is_root() { [[ $(id -u) == 0 ]]; }

# The packages of package-lock.json, including the Node that runs everything else.
install_modules() {
  PATH=${PATH//"$ROOT/node_modules/.bin:"/}
  command -v node >/dev/null || die "needs Node $OLDEST_NODE or newer on the PATH"
  command -v npm >/dev/null || die 'needs npm on the PATH'
  node -e "process.exit(parseInt(process.versions.node, 10) < $OLDEST_NODE ? 1 : 0)" ||
    die "needs Node $OLDEST_NODE or newer: the one on the PATH is $(node --version)"
  if ! modules_are_current; then
    say 'installing the npm packages named in package-lock.json (npm ci)'
    npm ci --no-audit --no-fund --loglevel=error >&2 || die 'cannot install the npm packages: see above'
  fi
  PATH=$ROOT/node_modules/.bin:$PATH
}

modules_are_current() {
  node_modules/.bin/node --version >/dev/null 2>&1 && node -e '
    const { readFileSync } = require("node:fs");
    const packagesIn = (path) => JSON.parse(readFileSync(path, "utf8")).packages;
    const [wanted, found] = ["package-lock.json", "node_modules/.package-lock.json"].map(packagesIn);
    const isThere = ([path, { version, optional }]) => !path || optional || found[path]?.version === version;
    process.exit(Object.entries(wanted).every(isThere) ? 0 : 1);
  ' 2>/dev/null
}

build() {
  say 'building dist/ (npm run build)'
  quietly node bundle/build.ts || die 'cannot build dist/ (npm run build): see above'
}

# install_tools TOOL…: system packages for the tools that are missing.
install_tools() {
  local tool packages=()
  for tool in "$@"; do
    has_tool "$tool" || read -ra packages <<<"${packages[*]-} $(packages_of "$tool")"
  done
  install_packages ${packages[@]+"${packages[@]}"}
}

has_tool() {
  case $1 in
    cc) printf '#include <errno.h>\n#include <linux/netlink.h>\n' | cc -E - >/dev/null 2>&1 ;;
    *) command -v "$1" >/dev/null ;;
  esac
}

packages_of() {
  case $1 in
    aarch64-linux-gnu-gcc) echo 'gcc-aarch64-linux-gnu libc6-dev-arm64-cross' ;;
    cc) echo 'gcc libc6-dev' ;;
    ip) echo iproute2 ;;
    nsenter | pivot_root | setpriv | unshare) echo util-linux ;;
    ping) echo iputils-ping ;;
    qemu-aarch64-static) echo qemu-user-static ;;
    systemctl) echo systemd ;;
    *) echo "$1" ;;
  esac
}

install_packages() {
  (($# > 0)) || return 0
  command -v apt-get >/dev/null || die "needs $*: install them by hand, there is no apt-get here"
  is_root || die "needs the system packages $*: run as root, or: sudo apt-get install $*"
  say "installing the system packages $* (apt-get)"
  # Package lists may be missing or old; one that cannot be fetched may not matter.
  apt_get install "$@" >/dev/null 2>&1 || {
    apt_get update >/dev/null 2>&1 || true
    quietly apt_get install "$@" || die "cannot install $*: see above"
  }
}

apt_get() {
  DEBIAN_FRONTEND=noninteractive apt-get -y -q -o DPkg::Lock::Timeout=120 --no-install-recommends "$@" </dev/null
}

# Prints the folder of a Go that is new enough, after installing one if need be.
install_go() {
  find_go && return
  command -v apt-get >/dev/null || die "needs Go 1.$OLDEST_GO or newer on the PATH"
  is_root || die "needs Go 1.$OLDEST_GO or newer on the PATH: install it, or run as root"
  local package
  package=$(newest_go_package)
  if [[ -z $package ]]; then
    apt_get update >/dev/null 2>&1 || true
    package=$(newest_go_package)
  fi
  if [[ -z $package ]]; then
    add_backports
    package=$(newest_go_package)
  fi
  [[ -n $package ]] || die "needs Go 1.$OLDEST_GO or newer on the PATH: the package sources of this machine have none"
  install_packages "$package"
  find_go || die "cannot find the Go of $package"
}

# The Go programs that ours are compared with, built with a packaged Go if none is installed.
install_peers() {
  find_go >/dev/null || ! node conformance/peers/peers.ts >/dev/null 2>&1 || return 0 # all are there
  [[ -e ${BRAID_PEERS-.cache/peers}/multus ]] || say 'building the Go programs that ours are compared with (minutes)'
  with_go node conformance/peers/peers.ts || die 'cannot build the Go programs to compare with: see above'
}

# The container runtimes of conformance/containerd; with "containerd2" also the one that must be built.
install_containerd() {
  if [[ " $* " != *' containerd2 '* ]]; then
    quietly node conformance/containerd/install.ts || die 'cannot fetch containerd and runc: see above'
    return
  fi
  say 'building containerd 2 if missing (minutes)'
  with_go node conformance/containerd/install.ts --with containerd2 || die 'cannot build containerd 2: see above'
}

# The Kubernetes API server of conformance/cluster and its etcd, and the Go whereabouts that shares pools with ours.
install_servers() {
  find_go >/dev/null || ! are_servers_there || return 0
  say 'building kube-apiserver and etcd if missing (5 to 10 minutes)'
  with_go node conformance/cluster/servers.ts || die 'cannot build kube-apiserver and etcd: see above'
  with_go node conformance/peers/peers.ts whereabouts || die 'cannot build the Go whereabouts: see above'
}

are_servers_there() {
  node conformance/cluster/servers.ts >/dev/null 2>&1 && node conformance/peers/peers.ts whereabouts >/dev/null 2>&1
}

# What a cluster of conformance/kubernetes is made of: the API server and etcd, kubelet and the rest, the runtime.
install_kubernetes() {
  find_go >/dev/null || ! node conformance/kubernetes/install.ts >/dev/null 2>&1 || return 0
  compgen -G "${BRAID_CLUSTER-.cache/cluster}/kubernetes-*/kubelet" >/dev/null ||
    say 'building kubelet and the rest of Kubernetes (5 to 15 minutes)'
  with_go node conformance/kubernetes/install.ts || die 'cannot build Kubernetes: see above'
}

# with_go COMMAND…: with a recent Go on the PATH, or one that fetches it.
with_go() {
  local go toolchain
  go=$(install_go) || exit
  toolchain=$("$go/go" env GOTOOLCHAIN)
  (($(minor_of "$go") >= NEW_ENOUGH_GO)) || toolchain=$FETCHED_GO
  PATH=$go:$PATH GOTOOLCHAIN=$toolchain quietly "$@"
}

# minor_of FOLDER: 24 for go1.24.2; 0 where there is no Go.
minor_of() {
  [[ -x $1/go && $(GOTOOLCHAIN=local "$1/go" env GOVERSION 2>/dev/null) =~ ^go1\.([0-9]+) ]] || {
    echo 0
    return
  }
  echo "${BASH_REMATCH[1]}"
}

find_go() {
  local folder
  for folder in "$(dirname "$(command -v go || echo /)")" /usr/local/go/bin /usr/lib/go-1.*/bin; do
    if (($(minor_of "$folder") >= OLDEST_GO)); then
      echo "$folder"
      return
    fi
  done
  return 1
}

newest_go_package() {
  apt-cache search --names-only '^golang-1\.[0-9]+-go$' | sed 's/ .*//' | sort -t. -k2 -n |
    awk -F'[.-]' -v oldest="$OLDEST_GO" '$3 >= oldest { newest = $0 } END { print newest }'
}

# Debian's backports for its stable release, from the mirror that the machine already uses.
add_backports() {
  local codename mirror
  # shellcheck disable=SC1091 # of this machine
  codename=$(. /etc/os-release && [[ $ID == debian ]] && echo "${VERSION_CODENAME-}") || return 0
  # shellcheck disable=SC2016 # the words with a dollar sign are apt's
  mirror=$(apt-get indextargets --format '$(RELEASE) $(REPO_URI)' 'Identifier: Packages' |
    awk -v codename="$codename" '$1 == codename { print $2; exit }')
  [[ -n $mirror ]] || return 0
  say "adding the package source $codename-backports (/etc/apt/sources.list.d/$codename-backports.list)"
  echo "deb $mirror $codename-backports main" >"/etc/apt/sources.list.d/$codename-backports.list"
  apt_get update >/dev/null 2>&1 || true
}

if [[ ${BASH_SOURCE[0]} == "$0" ]]; then
  "$@"
fi
