#!/usr/bin/env bash
# Makes sure that what a make target needs is on this machine: installs it with apt where that is possible, and names
# the command to run where it is not.
#
#   scripts/setup.sh build    what building and the demo need
#   scripts/setup.sh deb      also what `make deb` needs
#   scripts/setup.sh test     also what the tests need
#   scripts/setup.sh dist     also what `make dist-check` needs, some of it from cargo
#   scripts/setup.sh portability   what `make portability` needs, as far as it can be had
set -euo pipefail

level=${1:?usage: setup.sh build|deb|test|dist|portability}

# One line a need: the command that shows it is there, and Debian's package of it.
build_needs="
cc gcc
make make
python3 python3
"
deb_needs="
dpkg-shlibdeps dpkg-dev
"
test_needs="
gcc gcc
g++ g++
clang clang
valgrind valgrind
nm binutils
python3 python3
pkg-config pkg-config
cmake cmake
abidiff abigail-tools
lintian lintian
/usr/sbin/debootstrap debootstrap
mandoc mandoc
go golang-go
node nodejs
npm npm
openssl openssl
"
portability_needs="
aarch64-linux-gnu-gcc gcc-aarch64-linux-gnu
qemu-aarch64 qemu-user
musl-gcc musl-tools
"

missing_packages() {
  local command package
  while read -r command package; do
    if [ -n "$command" ] && ! command -v "$command" >/dev/null; then echo "$package"; fi
  done <<<"$1"
  # A compiler without the C library's headers compiles nothing.
  if [ ! -e /usr/include/stdlib.h ]; then echo libc6-dev; fi
  # The tests link a program with OpenSSL and libtckms.
  if [ "$level" != build ] && [ "$level" != deb ] && [ ! -e /usr/include/openssl/ssl.h ]; then echo libssl-dev; fi
  # Debian's python3 has venv but not what fills one.
  if [ "$level" = test ] && command -v python3 >/dev/null && ! python3 -c 'import ensurepip, venv' 2>/dev/null; then
    echo python3-venv
  fi
}

install() {
  local as_root=()
  if [ "$(id -u)" != 0 ]; then
    if ! command -v sudo >/dev/null; then
      echo "setup: missing: $*. Run as root: apt-get install $*" >&2
      exit 1
    fi
    as_root=(sudo)
  fi
  echo "setup: installing $*"
  "${as_root[@]}" apt-get update -qq
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null
}

if ! command -v cargo >/dev/null; then
  echo "setup: Rust is missing. Install it as https://rustup.rs says, version 1.95 or later." >&2
  exit 1
fi

if [ "$level" = test ]; then
  # A Rust of the minimal profile has neither, and make lint needs both.
  for component in rustfmt clippy; do
    if ! cargo "${component/rustfmt/fmt}" --version >/dev/null 2>&1; then
      command -v rustup >/dev/null || { echo "setup: $component is missing. Install it beside this Rust." >&2; exit 1; }
      rustup component add "$component"
    fi
  done
fi

needs=$build_needs
case $level in
  build) ;;
  deb) needs+=$deb_needs ;;
  test | dist) needs+=$deb_needs$test_needs ;;
  portability) needs+=$portability_needs ;;
  *)
    echo "setup: there is no level $level" >&2
    exit 2
    ;;
esac
mapfile -t packages < <(missing_packages "$needs" | sort -u)
if [ "${#packages[@]}" -gt 0 ]; then
  if ! command -v apt-get >/dev/null; then
    echo "setup: missing: ${packages[*]} (names of Debian packages). Install them with this system's own tool." >&2
    exit 1
  fi
  install "${packages[@]}"
fi

# The thread sanitizer instruments Rust's own library too, and for that needs its source.
if [ "$level" = test ] && [ ! -e "$(rustc --print sysroot)/lib/rustlib/src/rust/library/Cargo.lock" ]; then
  if ! command -v rustup >/dev/null; then
    echo "setup: the source of Rust's library is missing. Install it beside this Rust (rust-src)." >&2
    exit 1
  fi
  rustup component add rust-src
fi
# Builds and runs the fuzz targets.
if [ "$level" = test ] && ! command -v cargo-fuzz >/dev/null; then cargo install --locked cargo-fuzz; fi
if [ "$level" = dist ]; then
  # One line a need: cargo's command, and the features that it is built with.
  while read -r tool features; do
    command -v "$tool" >/dev/null || cargo install --locked "$tool" $features
  done <<<"cargo-about --features cli
cargo-cyclonedx
cargo-deny --no-default-features"
fi
if [ "$level" = portability ] && command -v rustup >/dev/null; then
  rustup target add aarch64-unknown-linux-gnu x86_64-unknown-linux-musl >/dev/null 2>&1 ||
    echo "setup: not all targets of Rust could be had; make portability names those that are missing"
fi
echo "setup: all that '$level' needs is here"
