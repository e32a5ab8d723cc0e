#!/usr/bin/env bash
# Reads and updates packaging/tckms.map, the list of exported functions. It is a linker script that gives each function the version
# that added it. The shared library, the archive and Debian's symbols file are made from it.
#
#   scripts/symbols.sh list      print all functions, one on a line
#   scripts/symbols.sh versions  the same, each with its version
#   scripts/symbols.sh check     fail unless they are the functions that include/tckms.h declares
#   scripts/symbols.sh update    add missing functions of the header to the newest version
set -euo pipefail
cd "$(dirname "$0")/.."

map=packaging/tckms.map

declared() {
  sed -n '/^extern "C" {/,/^}  *\/\* extern "C"/p' include/tckms.h |
    sed -nE 's/^[A-Za-z].*[ *](tckms_[a-z0-9_]+)\(.*/\1/p' | sort -u
}

versions() {
  awk '/^TCKMS_[0-9.]+ [{]/ { version = $1 } /^ *tckms_[a-z0-9_]+;/ { sub(";", "", $1); print $1, version }' "$map"
}

list() { versions | cut -d ' ' -f 1 | sort; }

missing() { comm -23 <(declared) <(list); }
surplus() { comm -13 <(declared) <(list); }

check() {
  if [ -n "$(missing)" ]; then
    echo "symbols: $map lacks these functions of the header; run 'make symbols':" $(missing) >&2
    exit 1
  fi
  if [ -n "$(surplus)" ]; then
    echo "symbols: $map exports functions that the header does not declare:" $(surplus) >&2
    echo "symbols: removing a function breaks programs; docs/abi.md says when that is allowed" >&2
    exit 1
  fi
}

# Rewrites the functions of the newest version, old and new, in alphabetical order.
update() {
  local newest
  newest=$(awk '/^TCKMS_[0-9.]+ [{]/ { version = $1 } END { print version }' "$map")
  functions=$({
    missing
    versions | awk -v version="$newest" '$2 == version { print $1 }'
  } | sort -u | sed 's/.*/    &;/') \
    awk -v newest="$newest" '
      /^TCKMS_/ { inside = $1 == newest }
      inside && /^ *tckms_/ { next }
      { print }
      inside && /^ *global:/ { print ENVIRON["functions"] }
    ' "$map" >"$map.new"
  mv "$map.new" "$map"
  echo "symbols: $map has $(list | wc -l) functions"
}

case ${1:-} in
  list | versions | check | update) "$1" ;;
  *)
    echo "usage: scripts/symbols.sh list|versions|check|update" >&2
    exit 2
    ;;
esac
