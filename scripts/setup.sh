#!/usr/bin/env bash
# Makes sure that what a make target needs is on this machine: installs it with apt where that is possible, and names
# the command to run where it is not.
#
#   scripts/setup.sh build    what building and the demo need
#   scripts/setup.sh test     also what the tests need
set -euo pipefail

level=${1:?usage: setup.sh build|test}

# One line a need: the command that shows it is there, and Debian's package of it.
build_needs="
cc gcc
make make
"
test_needs="
gcc gcc
g++ g++
clang clang
valgrind valgrind
nm binutils
python3 python3
mandoc mandoc
pkg-config pkg-config
go golang-go
"

missing_packages() {
  local command package
  while read -r command package; do
    if [ -n "$command" ] && ! command -v "$command" >/dev/null; then echo "$package"; fi
  done <<<"$1"
  # A compiler without the C library's headers compiles nothing.
  if [ ! -e /usr/include/stdlib.h ]; then echo libc6-dev; fi
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

needs=$build_needs
if [ "$level" = test ]; then needs+=$test_needs; fi
mapfile -t packages < <(missing_packages "$needs" | sort -u)
if [ "${#packages[@]}" -gt 0 ]; then
  if ! command -v apt-get >/dev/null; then
    echo "setup: missing: ${packages[*]} (names of Debian packages). Install them with this system's own tool." >&2
    exit 1
  fi
  install "${packages[@]}"
fi
echo "setup: all that '$level' needs is here"
