#!/usr/bin/env bash
# Makes the libraries that are installed from cargo's archive, in target/dist:
#
#   libtckms.a          one object that defines the functions of packaging/tckms.map and nothing else. So no name is defined twice
#                       in a program with another library, also if that one is written in Rust
#   tckms-seal          the tool of examples-c, linked with the archive, so that it runs in any folder
#   libtckms.so.0.x.y   that object with packaging/tckms.map, which gives each function its version; and its two links
#
# Also makes the manual pages and the HTML reference from the header, in target/reference.
#
# For another kind of machine: TARGET=aarch64-unknown-linux-gnu CROSS=aarch64-linux-gnu- scripts/dist.sh
# UNWINDER names the library that unwinds the stack, if it is not libgcc_s.
set -euo pipefail
cd "$(dirname "$0")/.."

out=${CARGO_TARGET_DIR:-target}${TARGET:+/$TARGET}
archive=$out/release/libtckms.a
dist=$out/dist
map=packaging/tckms.map
cross=${CROSS:-}
cc=${CC:-${cross:+${cross}gcc}}
cc=${cc:-cc}

# The manual pages and reference.html, which are the same for every kind of machine.
make_reference() {
  local made=$out/reference/reference.html source
  for source in include/tckms.h examples-c/quickstart.c scripts/reference.py; do
    [ "$made" -nt "$source" ] && continue
    command -v python3 >/dev/null || { echo "dist: python3 is missing; it makes the manual pages" >&2; exit 1; }
    scripts/reference.py --output "$out/reference"
    return
  done
}

# The manual pages and completions of the tool tckms, if it was built.
make_tool_reference() {
  local tool=$out/release/tckms made=$out/reference/completions/tckms.fish
  if [ -x "$tool" ] && [ ! "$made" -nt "$tool" ]; then scripts/tool-reference.sh "$tool" "$out/reference"; fi
}

version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
abi=$(cat packaging/abi-version)

[ -e "$archive" ] || { echo "dist: $archive is missing; run 'make build'" >&2; exit 1; }
scripts/symbols.sh check
if [ -z "${TARGET:-}" ]; then
  make_reference
  make_tool_reference
fi

# This file is made last. If it is newer than all sources, the others are up to date too.
last=$dist/libtckms.so
if [ "$last" -nt "$archive" ] && [ "$last" -nt "$map" ] && [ "$last" -nt scripts/dist.sh ] &&
  [ "$last" -nt packaging/abi-version ] && [ -z "$(find examples-c/tckms-seal -newer "$last")" ]; then exit 0; fi

mkdir -p "$dist"
work=$(mktemp -d "$dist/.new.XXXXXX")
trap 'rm -rf "$work"' EXIT
scripts/symbols.sh list >"$work/functions"

# With older linkers (seen with binutils 2.35), removing unused sections this early breaks .eh_frame, and the stack cannot be
# unwound. Without it the archive is larger. The linker removes the same sections when it links a program or the shared library.
early_gc() {
  local version
  version=$("${cross}ld" --version | sed -n '1s/.* \([0-9][0-9.]*\).*/\1/p')
  if [ "$(printf '2.40\n%s\n' "$version" | sort -V | head -n 1)" = 2.40 ]; then echo --gc-sections; fi
}

on_elf() {
  local shared=libtckms.so.$version soname=libtckms.so.$abi
  # All Rust libraries have some section groups in common. The linker would merge them with those of another library, although
  # their symbols are local by then, so they become plain sections.
  "${cross}ld" -r $(early_gc) --force-group-allocation $(sed 's/^/-u /' "$work/functions") \
    --whole-archive "$archive" -o "$work/all.o"
  # The bitcode serves only link-time optimisation by the same rustc, and is three quarters of the size. secure_getenv: crates read
  # variables too (AWS-LC: OPENSSL_ia32cap), and a privileged program must not accept them from its caller.
  "${cross}objcopy" --enable-deterministic-archives --redefine-sym getenv=secure_getenv --strip-unneeded --remove-section .llvmbc --remove-section .llvmcmd \
    --keep-global-symbols="$work/functions" "$work/all.o" "$work/tckms.o"
  "${cross}ar" rcsD "$work/libtckms.a" "$work/tckms.o"

  # nodelete: the network thread and the destructors of thread-local values run code of the library.
  # Before glibc 2.34, threads and dlopen are in separate libraries. With a later glibc, --as-needed drops these.
  # shellcheck disable=SC2086
  $cc -shared -o "$work/$shared" "$work/tckms.o" \
    -Wl,--version-script="$map" -Wl,-soname,"$soname" -Wl,--gc-sections -Wl,-O1 -Wl,--as-needed -Wl,--build-id=sha1 \
    -Wl,-z,nodelete -Wl,-z,relro -Wl,-z,now -Wl,-z,noexecstack -Wl,-z,defs ${LDFLAGS:-} ${UNWINDER:--lgcc_s} -lpthread -ldl -lm -lc
  # shellcheck disable=SC2086
  $cc -std=c99 -O2 -fPIE -pie -Iinclude examples-c/tckms-seal/*.c "$work/libtckms.a" ${LDFLAGS:-} ${UNWINDER:-} -lpthread -ldl -lm \
    -Wl,-z,relro -Wl,-z,now -o "$work/tckms-seal"
  "${cross}strip" --strip-unneeded "$work/$shared" "$work/tckms-seal"
  move_to_dist "$shared" "$soname" libtckms.so
}

on_macos() {
  local shared=libtckms.$version.dylib soname=libtckms.$abi.dylib
  sed 's/^/_/' "$work/functions" >"$work/exported"
  ld -r -exported_symbols_list "$work/exported" -all_load "$archive" -o "$work/tckms.o"
  libtool -static -D -o "$work/libtckms.a" "$work/tckms.o"
  # macOS has no symbol versions; the list still limits the exports.
  $cc -dynamiclib -o "$work/$shared" "$work/tckms.o" -Wl,-exported_symbols_list,"$work/exported" -Wl,-dead_strip \
    -install_name "@rpath/$soname" -current_version "$version" -compatibility_version "$abi" \
    -Wl,-headerpad_max_install_names ${LDFLAGS:-} -framework CoreFoundation -framework Security
  $cc -std=c99 -O2 -Iinclude examples-c/tckms-seal/*.c "$work/libtckms.a" -framework CoreFoundation -framework Security \
    -o "$work/tckms-seal"
  strip -x "$work/$shared"
  move_to_dist "$shared" "$soname" libtckms.dylib
}

# move_to_dist LIBRARY LOADER-LINK LINKER-LINK: the linker's link comes last.
move_to_dist() {
  mv "$work/libtckms.a" "$dist/libtckms.a"
  mv "$work/tckms-seal" "$dist/tckms-seal"
  mv "$work/$1" "$dist/$1"
  ln -sfn "$1" "$dist/$2"
  ln -sfn "$1" "$dist/$3"
  echo "dist: $dist has $1 ($(wc -c <"$dist/$1" | tr -d ' ') bytes) and libtckms.a ($(wc -c <"$dist/libtckms.a" | tr -d ' ') bytes)"
}

case ${TARGET:-$(uname -s)} in
  *darwin* | Darwin) last=$dist/libtckms.dylib on_macos ;;
  *) on_elf ;;
esac
