#!/usr/bin/env bash
# Prints the path of a qemu-aarch64 that can run forked children of programs with threads: qemu 8 and earlier ends with an assertion
# failure when such a child starts a thread. If the installed one is older, takes the package qemu-user of Debian 13, whose programs
# are static, into target/qemu, without installing it. Needs apt, and no root.
set -euo pipefail
cd "$(dirname "$0")/.."

oldest=9
installed=$(command -v qemu-aarch64 || true)
version=$([ -z "$installed" ] || "$installed" --version | sed -n '1s/.*version \([0-9]*\).*/\1/p')
if [ "${version:-0}" -ge $oldest ]; then
  echo "$installed"
  exit
fi

mkdir -p "${CARGO_TARGET_DIR:-target}"
qemu=$(cd "${CARGO_TARGET_DIR:-target}" && pwd)/qemu
if [ ! -x "$qemu/usr/bin/qemu-aarch64" ]; then
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
  mkdir -p "$work/state/lists/partial" "$work/cache/archives/partial" "$work/deb"
  echo "deb $(scripts/debian-mirror.sh) trixie main" >"$work/sources.list"
  # Its own lists, so that the packages of this machine are not upgraded to Debian 13. apt checks the signatures.
  options=(-qq -o "Dir::State=$work/state" -o "Dir::State::status=/var/lib/dpkg/status" -o "Dir::Cache=$work/cache"
    -o "Dir::Etc::sourcelist=$work/sources.list" -o Dir::Etc::sourceparts=- -o APT::Sandbox::User=root)
  {
    apt-get "${options[@]}" update
    (cd "$work/deb" && apt-get "${options[@]}" download qemu-user)
  } >"$work/log" 2>&1 || { cat "$work/log" >&2; exit 1; }
  rm -rf "$qemu.new"
  dpkg-deb -x "$work"/deb/qemu-user_*.deb "$qemu.new"
  rm -rf "$qemu"
  mv "$qemu.new" "$qemu"
fi
echo "$qemu/usr/bin/qemu-aarch64"
