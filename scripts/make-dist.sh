#!/usr/bin/env bash
# Builds the release artefacts for glibc 2.17 and Linux 3.10 and later, in target/release-artifacts: tarballs for x86-64 and
# ARM64 with glibc and for x86-64 with musl, Debian packages, RPM packages, and SHA256SUMS. A commit gives the same files in every
# folder.
#
#   scripts/make-dist.sh [SYSTEM…]               for all systems, or only these: x86_64, aarch64, x86_64-musl
#   scripts/make-dist.sh --assemble [SYSTEM…]    from what was compiled before; compiles no Rust
#
# The linker is zig, which contains the symbols of every version of glibc. It is installed from PyPI into a virtual environment in
# the target folder, in the version of packaging/zig-requirements.txt.
set -euo pipefail
umask 022
cd "$(dirname "$0")/.."

compile=yes
if [ "${1:-}" = --assemble ]; then
  compile=no
  shift
fi
systems=("$@")
if [ $# = 0 ]; then systems=(x86_64 aarch64 x86_64-musl); fi
for system in "${systems[@]}"; do
  case $system in x86_64 | aarch64 | x86_64-musl) ;; *) echo "dist: unknown system '$system'" >&2; exit 2 ;; esac
done

glibc=2.17
mkdir -p "${CARGO_TARGET_DIR:-target}"
out=$(cd "${CARGO_TARGET_DIR:-target}" && pwd)
export CARGO_TARGET_DIR=$out
artifacts=$out/release-artifacts
version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
homepage=$(sed -n 's/^homepage = "\(.*\)"/\1/p' packaging/home.toml)
packager="tckms maintainers <$(sed -n 's/^contact = "\(.*\)"/\1/p' packaging/home.toml)>"
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || stat -c %Y Cargo.toml)}
export SOURCE_DATE_EPOCH
say() { echo "dist: $*"; }

# ---- Downloads --------------------------------------------------------------------------------------------------------

# Before the build, so that it does not fail half-way.
fail() { echo "dist: $*" >&2; exit 1; }
venv=$out/zig
[ -x "$venv/bin/python" ] || python3 -m venv "$venv" || fail "python3 cannot create a virtual environment; run 'scripts/setup.sh dist'"
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check --retries 1 -r packaging/zig-requirements.txt ||
  fail "zig and cargo-zigbuild are missing ($(grep -v '^#' packaging/zig-requirements.txt | paste -s -d ' ')), and pip could not install them"
zig=$("$venv/bin/python" -c 'import os, ziglang; print(os.path.join(os.path.dirname(ziglang.__file__), "zig"))')
PATH=$venv/bin:$PATH
[ $compile = no ] || cargo fetch --quiet --locked || fail "some crates of Cargo.lock are missing, and cargo could not fetch them"

# Keeps the paths of this machine out of the result.
cargo_home=${CARGO_HOME:-$HOME/.cargo}
export CFLAGS="${CFLAGS:-} -ffile-prefix-map=$cargo_home=/cargo -ffile-prefix-map=$PWD=/tckms -ffile-prefix-map=$out=/target"
# zig's clang unrolls and vectorizes loops of AWS-LC that gcc does not. That adds 117 kB to the shared library, although the ciphers,
# the hashes and the usual curves are assembly. gcc accepts these options too.
CFLAGS+=" -fno-unroll-loops -fno-tree-vectorize"
remap="--remap-path-prefix=$cargo_home=/cargo --remap-path-prefix=$PWD=/tckms --remap-path-prefix=$out=/target"

# ---- Build ----------------------------------------------------------------------------------------------------------

# build TRIPLE ZIG-TRIPLE [SUFFIX OF CARGO'S TRIPLE]: libraries, the tool, and with glibc the emulator and the self-test.
build() {
  local target=$1 zig_target=$2 suffix=${3:-} cross=
  if [ "${target%%-*}" != "$(uname -m)" ]; then cross=${target%%-*}-linux-gnu-; fi
  if [ $compile = yes ]; then
    RUSTFLAGS="$remap ${RUSTFLAGS:-}" cargo-zigbuild rustc --release --locked --lib --crate-type staticlib \
      --features wipe-on-free --target "$target$suffix"
    if [ -n "$suffix" ]; then
      RUSTFLAGS="$remap" cargo-zigbuild build --release --locked -p tckms-emulator --target "$target$suffix"
      RUSTFLAGS="$remap" cargo-zigbuild build --release --locked -p tckms-cli --features wipe-on-free --target "$target$suffix"
      RUSTFLAGS="$remap" cargo-zigbuild rustc --release --locked -p tckms-pkcs11 --lib --crate-type staticlib \
        --features wipe-on-free --target "$target$suffix"
    fi
  fi
  # The files need only the C library. zig has no libgcc_s, so the unwinder is linked into each file (20 kB).
  TARGET=$target CROSS=$cross CC="$zig cc -target $zig_target" UNWINDER=-lunwind scripts/dist.sh
  if [ -n "$suffix" ]; then
    TARGET=$target CROSS=$cross CC="$zig cc -target $zig_target" UNWINDER=-lunwind scripts/dist-pkcs11.sh
    "$zig" cc -target "$zig_target" -std=c99 -O2 -fPIE -pie -s -Iinclude packaging/selftest.c -ldl -o "$out/$target/tckms-selftest"
  fi
}

# ---- Pack -----------------------------------------------------------------------------------------------------------

pack() { tar --sort=name --mtime="@$SOURCE_DATE_EPOCH" --owner=0 --group=0 --numeric-owner -c -C "$1" "$2" | gzip -9n; }

# tarball TRIPLE NAME
tarball() {
  local target=$1 name=tckms-$version-linux-$2 cross= stage
  if [ "${target%%-*}" != "$(uname -m)" ]; then cross=${target%%-*}-linux-gnu-; fi
  stage=$out/$target/stage
  rm -rf "$stage"
  TARGET=$target CROSS=$cross DESTDIR=$stage PREFIX=/$name scripts/install.sh install >/dev/null
  cp packaging/README.install "$stage/$name"
  if [ -e "$out/$target/tckms-selftest" ]; then cp "$out/$target/tckms-selftest" "$stage/$name"; fi
  pack "$stage" "$name" >"$artifacts/$name.tar.gz"
  say "$name.tar.gz"
}

# tool_reference TRIPLE: manual pages and completions of the tool tckms. The tool writes them itself, so it must run on this machine.
tool_reference() {
  if [ "${1%%-*}" = "$(uname -m)" ]; then
    scripts/tool-reference.sh "$out/$1/release/tckms" "$out/reference"
  elif [ ! -e "$out/reference/completions" ]; then
    cargo build --release --locked -p tckms-cli
    scripts/tool-reference.sh "$out/release/tckms" "$out/reference"
  fi
}

# debian_packages TRIPLE DEBIAN-ARCHITECTURE
debian_packages() {
  local cross=
  if [ "${1%%-*}" != "$(uname -m)" ]; then cross=${1%%-*}-linux-gnu-; fi
  # The dependency that dpkg-shlibdeps would find on the oldest system.
  TARGET=$1 CROSS=$cross ARCHITECTURE=$2 DEPENDS="libc6 (>= $glibc)" scripts/deb.sh >/dev/null
  mv "$out/$1"/deb/*.deb "$artifacts"
  say "Debian packages for $2"
}

# rpm_packages TRIPLE
rpm_packages() {
  local target=$1 architecture=${1%%-*} top=$out/$1/rpm cross=
  if [ "$architecture" != "$(uname -m)" ]; then cross=$architecture-linux-gnu-; fi
  rm -rf "$top"
  mkdir -p "$top"
  TARGET=$target CROSS=$cross DESTDIR=$top/stage PREFIX=/usr LIBDIR=/usr/lib64 scripts/install.sh install >/dev/null
  gzip -9n "$top"/stage/usr/share/man/man*/*
  # Only the module has manual pages in sections 5 and 8.
  (cd "$top/stage" && find usr/lib64/pkcs11 usr/share/man/man[58] -type f 2>/dev/null | sed 's|^|/|') >"$top/stage.pkcs11"
  sed "s|@VERSION@|$version|; s|@HOMEPAGE@|$homepage|; s|@STAGE@|$top/stage|; s|@DOCDIR@|/usr/share/doc/tckms|g
    s|@PACKAGER@|$packager|; s|@DATE@|$(LC_ALL=C date -u -d "@$SOURCE_DATE_EPOCH" '+%a %b %d %Y')|" \
    packaging/rpm/tckms.spec.in >"$top/tckms.spec"
  # Debian's rpm has other default folders than the systems that use RPM packages.
  rpmbuild --quiet -bb --target "$architecture-linux" --define "_topdir $top" --define "_libdir /usr/lib64" \
    --define "_prefix /usr" --define "_binary_payload w9.gzdio" "$top/tckms.spec" >"$top/log" 2>&1 || { cat "$top/log" >&2; exit 1; }
  find "$top/RPMS" -name '*.rpm' -exec mv {} "$artifacts" \;
  say "RPM packages for $architecture"
}

# dist.sh makes the manual pages only in a build for this machine.
scripts/reference.py --output "$out/reference" >/dev/null
mkdir -p "$artifacts"
rm -f "$artifacts"/*
for system in "${systems[@]}"; do
  case $system in
    x86_64 | aarch64)
      target=$system-unknown-linux-gnu
      build "$target" "$system-linux-gnu.$glibc" ".$glibc"
      tool_reference "$target"
      tarball "$target" "$system"
      debian_packages "$target" "$([ "$system" = x86_64 ] && echo amd64 || echo arm64)"
      rpm_packages "$target"
      ;;
    x86_64-musl)
      # Otherwise Rust would put its own C library into the archive, in addition to the program's.
      RUSTFLAGS="-C target-feature=-crt-static" build x86_64-unknown-linux-musl x86_64-linux-musl
      tarball x86_64-unknown-linux-musl x86_64-musl
      ;;
  esac
done
(cd "$artifacts" && sha256sum -- * >SHA256SUMS)
say "all files are in $artifacts"
