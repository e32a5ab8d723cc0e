#!/usr/bin/env bash
# Installs the files of `make build`, or removes them. Compiles nothing and needs no network.
#
#   scripts/install.sh install|uninstall
#
# Variables, all optional:
#   PREFIX=/usr/local            the folder in which the files are used
#   LIBDIR=$PREFIX/lib           libraries; Debian uses /usr/lib/x86_64-linux-gnu, Fedora /usr/lib64
#   INCLUDEDIR BINDIR MANDIR DOCDIR   $PREFIX/include, /bin, /share/man, /share/doc/tckms
#   DATADIR=$PREFIX/share        shell completions
#   UNITDIR=$PREFIX/lib/systemd/system   systemd units
#   GODIR=$PREFIX/share/tckms/go   the Go module, for a replace directive in go.mod
#   DESTDIR=                     a staging folder in place of /, to make a package
set -euo pipefail
umask 022

: "${PREFIX:=/usr/local}"
: "${LIBDIR:=$PREFIX/lib}"
: "${INCLUDEDIR:=$PREFIX/include}"
: "${BINDIR:=$PREFIX/bin}"
: "${MANDIR:=$PREFIX/share/man}"
: "${DOCDIR:=$PREFIX/share/doc/tckms}"
: "${DATADIR:=$PREFIX/share}"
: "${UNITDIR:=$PREFIX/lib/systemd/system}"
: "${GODIR:=$PREFIX/share/tckms/go}"
: "${DESTDIR:=}"
# TARGET names another kind of machine, for which scripts/dist.sh was run.
out=${CARGO_TARGET_DIR:-target}
reference=$out/reference
out=$out${TARGET:+/$TARGET}
cd "$(dirname "$0")/.."

# The paths are written to files of pkg-config and CMake, in which some characters have a meaning.
for name in PREFIX LIBDIR INCLUDEDIR BINDIR MANDIR DOCDIR DATADIR UNITDIR GODIR; do
  case ${!name} in
    /*) ;;
    *)
      echo "install: $name is ${!name}; it has to be an absolute path" >&2
      exit 2
      ;;
  esac
  case ${!name} in
    *[[:cntrl:]\"\'\`\\\$\#\;]*)
      printf 'install: %s has a character that cannot be in it (a quote, \\, $, #, ; or a control character): %q\n' \
        "$name" "${!name}" >&2
      exit 2
      ;;
  esac
done

dist=$out/dist
version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
major=${version%%.*}
abi=$(cat packaging/abi-version)
if [ "$(uname -s)" = Darwin ]; then
  shared=libtckms.$version.dylib soname=libtckms.$abi.dylib link=libtckms.dylib
else
  shared=libtckms.so.$version soname=libtckms.so.$abi link=libtckms.so
fi

# The relative path from one folder to another, or the absolute path if they have only / in common.
relative_path() {
  local from=$1 to=$2 up=
  while [ "$from" != / ] && [ "${to#"$from"/}" = "$to" ] && [ "$to" != "$from" ]; do
    from=$(dirname "$from")
    up=../$up
  done
  if [ "$from" = / ]; then
    echo "$to"
  elif [ "$to" = "$from" ]; then
    echo "${up%/}"
  else
    echo "$up${to#"$from"/}"
  fi
}

# The path is relative to the folder of the pkg-config file, so that a moved tree works. For /usr it is absolute: then pkg-config
# omits the options for the compiler's default folders.
pc_prefix() {
  local relative
  relative=$(relative_path "$LIBDIR/pkgconfig" "$PREFIX")
  if [ "$PREFIX" = /usr ] || [ "$relative" = "$PREFIX" ]; then pc_escape "$PREFIX"; else echo "\${pcfiledir}/$(pc_escape "$relative")"; fi
}

pc_path() {
  if [ "${1#"$PREFIX"/}" = "$1" ]; then pc_escape "$1"; else echo "\${prefix}/$(pc_escape "${1#"$PREFIX"/}")"; fi
}

# pkg-config splits at blanks. In the path of its file it escapes them itself.
pc_escape() { printf '%s\n' "${1// /\\ }"; }

# Replaces @NAME@ in a file. No character of a path has a special meaning, not even & (bash 5.2).
fill_in() {
  local text name
  local -A values=(
    [VERSION]=$version [MAJOR]=$major [SHARED]=$shared [SONAME]=$soname [POINTER_SIZE]=$(($(getconf LONG_BIT) / 8))
    [PC_PREFIX]=$(pc_prefix) [PC_LIBDIR]=$(pc_path "$LIBDIR") [PC_INCLUDEDIR]=$(pc_path "$INCLUDEDIR")
    [BINDIR]=$BINDIR
    [NODELETE]=$([ "$(uname -s)" = Darwin ] || echo -Wl,-z,nodelete)
    [CMAKE_TO_INCLUDEDIR]=$(relative_path "$LIBDIR/cmake/tckms" "$INCLUDEDIR")
  )
  shopt -u patsub_replacement 2>/dev/null || true
  text=$(cat "$1")
  for name in "${!values[@]}"; do text=${text//"@$name@"/${values[$name]}}; done
  printf '%s\n' "$text"
}

one() { printf '%s\t%s\t%s\n' "$@"; }

# Every file: mode, source and installed path, separated by tabs, because a path may have blanks.
files() {
  one 644 "include/tckms.h" "$INCLUDEDIR/tckms.h"
  one 644 "include/tckms.hpp" "$INCLUDEDIR/tckms.hpp"
  one 644 "include/tckms_async.hpp" "$INCLUDEDIR/tckms_async.hpp"
  one 755 "$dist/$shared" "$LIBDIR/$shared"
  one 644 "$dist/libtckms.a" "$LIBDIR/libtckms.a"
  one 644 "packaging/tckms.pc.in" "$LIBDIR/pkgconfig/tckms.pc"
  one 644 "packaging/cmake/tckms-config.cmake.in" "$LIBDIR/cmake/tckms/tckms-config.cmake"
  one 644 "packaging/cmake/tckms-config-version.cmake.in" "$LIBDIR/cmake/tckms/tckms-config-version.cmake"
  one 755 "$dist/tckms-seal" "$BINDIR/tckms-seal"
  # There is no emulator for musl.
  if [ -z "${TARGET:-}" ] || [ -e "$out/release/tckms-emulator" ]; then
    one 755 "$out/release/tckms-emulator" "$BINDIR/tckms-emulator"
    components -emulator
  fi
  # Nor the tool tckms.
  if [ -z "${TARGET:-}" ] || [ -e "$out/release/tckms" ]; then tool_files; fi
  # There is no PKCS#11 module for musl and macOS.
  if [ -e "$dist/libtckms-pkcs11.so" ] || { [ -z "${TARGET:-}" ] && [ "$(uname -s)" != Darwin ]; }; then
    one 755 "$dist/libtckms-pkcs11.so" "$LIBDIR/pkcs11/libtckms-pkcs11.so"
    components -pkcs11
  fi
  local page
  for page in man/man*/* "$reference"/man3/*; do
    one 644 "$page" "$MANDIR/$(basename "$(dirname "$page")")/${page##*/}"
  done
  for page in go/*; do
    one 644 "$page" "$GODIR/${page#go/}"
  done
  # In the same folders as in the source tree, so that links between them work.
  for page in docs/*.md docs/*/*.* docs/*/*/*.* examples-c/*.c examples-c/*/*.[ch] examples-c/*.md examples-c/Makefile examples-c/CMakeLists.txt; do
    one 644 "$page" "$DOCDIR/$page"
  done
  components
  for page in LICENSE-APACHE LICENSE-MIT README.md CHANGELOG.md "$reference/reference.html"; do
    one 644 "$page" "$DOCDIR/${page##*/}"
  done
}

# components [-PRODUCT]: the licences of the crates in a product, and its bill of materials. Without an argument, the library's.
components() {
  local file
  for file in "THIRD-PARTY-LICENSES${1:-}.txt" "tckms${1:-}.cdx.json"; do one 644 "packaging/$file" "$DOCDIR/$file"; done
}

# The tool tckms, its manual pages, completions and units.
tool_files() {
  local page
  one 755 "$out/release/tckms" "$BINDIR/tckms"
  components -tools
  for page in "$reference"/man1/*; do
    one 644 "$page" "$MANDIR/man1/${page##*/}"
  done
  one 644 "$reference/completions/tckms.bash" "$DATADIR/bash-completion/completions/tckms"
  one 644 "$reference/completions/_tckms" "$DATADIR/zsh/site-functions/_tckms"
  one 644 "$reference/completions/tckms.fish" "$DATADIR/fish/vendor_completions.d/tckms.fish"
  one 644 "packaging/systemd/tckms-credentials.socket" "$UNITDIR/tckms-credentials.socket"
  one 644 "packaging/systemd/tckms-credentials.service.in" "$UNITDIR/tckms-credentials.service"
}

tab=$(printf '\t')

install_all() {
  local mode source path staged
  while IFS=$tab read -r mode source path; do
    [ -e "$source" ] || { echo "install: $source is missing; run 'make build' first" >&2; exit 1; }
  done < <(files)
  while IFS=$tab read -r mode source path; do
    staged=$DESTDIR$path
    mkdir -p "$(dirname "$staged")"
    # A running program may have the old file mapped, so the file is replaced and not overwritten.
    rm -f "$staged"
    case $source in
      *.in) fill_in "$source" >"$staged" ;;
      "$out"/release/tckms-emulator | "$out"/release/tckms)
        cp "$source" "$staged"
        "${CROSS:-}strip" "$staged"
        ;;
      *) cp "$source" "$staged" ;;
    esac
    chmod "$mode" "$staged"
  done < <(files)
  ln -sfn "$shared" "$DESTDIR$LIBDIR/$soname"
  ln -sfn "$shared" "$DESTDIR$LIBDIR/$link"
  echo "install: tckms $version is in $DESTDIR$PREFIX, its libraries in $DESTDIR$LIBDIR"
  report_glibc
  update_loader_cache
}

uninstall_all() {
  local mode source path
  while IFS=$tab read -r mode source path; do
    rm -f "$DESTDIR$path"
  done < <(files)
  rm -f "$DESTDIR$LIBDIR/$soname" "$DESTDIR$LIBDIR/$link"
  # Other folders may have existed before the installation.
  for path in "$LIBDIR/cmake/tckms" "$LIBDIR/pkcs11" "$DOCDIR" "$GODIR"; do
    if [ -d "$DESTDIR$path" ]; then find "$DESTDIR$path" -depth -type d -empty -delete; fi
  done
  rmdir "$DESTDIR$(dirname "$GODIR")" 2>/dev/null || true
  echo "install: tckms $version is no longer in $DESTDIR$PREFIX"
  update_loader_cache
}

# A library that is linked on a new system does not load on an older one.
report_glibc() {
  local newest
  command -v nm >/dev/null || return 0
  newest=$(for file in "$dist/$shared" "$dist/tckms-seal" "$out/release/tckms-emulator" "$out/release/tckms"; do
    nm --dynamic --undefined-only --with-symbol-versions "$file" 2>/dev/null || true
  done | sed -n 's/.*@GLIBC_\([0-9.]*\)$/\1/p' | sort -V | tail -n 1)
  if [ -n "$newest" ]; then echo "install: it needs glibc $newest or later; 'make dist' makes files for older systems"; fi
}

update_loader_cache() {
  if [ -z "$DESTDIR" ] && [ -w /etc/ld.so.cache ] && command -v ldconfig >/dev/null; then ldconfig; fi
}

action=${1:-}
case $action in
  install | uninstall) "${action}_all" ;;
  *)
    echo "usage: scripts/install.sh install|uninstall" >&2
    exit 2
    ;;
esac
