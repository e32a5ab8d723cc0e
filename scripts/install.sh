#!/usr/bin/env bash
# Installs what `make build` made, or removes it again. Compiles nothing and needs no network.
#
#   scripts/install.sh install|uninstall
#
# Variables, all optional:
#   PREFIX=/usr/local            where it is to be used
#   LIBDIR=$PREFIX/lib           libraries; Debian says /usr/lib/x86_64-linux-gnu, Fedora /usr/lib64
#   INCLUDEDIR BINDIR MANDIR DOCDIR   $PREFIX/include, /bin, /share/man, /share/doc/tckms
#   GODIR=$PREFIX/share/tckms/go   the Go package, as a module to point at
#   DESTDIR=                     a folder that stands for / while a package is made
set -euo pipefail
umask 022

: "${PREFIX:=/usr/local}"
: "${LIBDIR:=$PREFIX/lib}"
: "${INCLUDEDIR:=$PREFIX/include}"
: "${BINDIR:=$PREFIX/bin}"
: "${MANDIR:=$PREFIX/share/man}"
: "${DOCDIR:=$PREFIX/share/doc/tckms}"
: "${GODIR:=$PREFIX/share/tckms/go}"
: "${DESTDIR:=}"
out=${CARGO_TARGET_DIR:-target}
cd "$(dirname "$0")/.."

for name in PREFIX LIBDIR INCLUDEDIR BINDIR MANDIR DOCDIR GODIR; do
  case ${!name} in
    /*) ;;
    *)
      echo "install: $name is ${!name}; it has to be an absolute path" >&2
      exit 2
      ;;
  esac
done

dist=$out/dist
version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
major=${version%%.*}
if [ "$(uname -s)" = Darwin ]; then
  shared=libtckms.$version.dylib soname=libtckms.$major.dylib link=libtckms.dylib
else
  shared=libtckms.so.$version soname=libtckms.so.$major link=libtckms.so
fi

# The way from one folder to another, or the other as it is when they have only / in common.
way() {
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

# pkg-config knows the folder of its file, so a tree that is moved goes on working. A package for /usr says so: there
# pkg-config leaves out the options that name the compiler's own folders.
pc_prefix() {
  local relative
  relative=$(way "$LIBDIR/pkgconfig" "$PREFIX")
  if [ "$PREFIX" = /usr ] || [ "$relative" = "$PREFIX" ]; then echo "$PREFIX"; else echo "\${pcfiledir}/$relative"; fi
}

pc_path() {
  if [ "${1#"$PREFIX"/}" = "$1" ]; then echo "$1"; else echo "\${prefix}/${1#"$PREFIX"/}"; fi
}

fill_in() {
  sed -e "s|@PC_PREFIX@|$(pc_prefix)|" -e "s|@PC_LIBDIR@|$(pc_path "$LIBDIR")|" \
    -e "s|@PC_INCLUDEDIR@|$(pc_path "$INCLUDEDIR")|" -e "s|@VERSION@|$version|g" -e "s|@MAJOR@|$major|g" \
    -e "s|@SHARED@|$shared|g" -e "s|@SONAME@|$soname|g" -e "s|@POINTER_SIZE@|$(($(getconf LONG_BIT) / 8))|g" \
    -e "s|@CMAKE_TO_INCLUDEDIR@|$(way "$LIBDIR/cmake/tckms" "$INCLUDEDIR")|" "$1"
}

# Every file, as "mode source place".
files() {
  echo "644 include/tckms.h $INCLUDEDIR/tckms.h"
  echo "644 include/tckms.hpp $INCLUDEDIR/tckms.hpp"
  echo "755 $dist/$shared $LIBDIR/$shared"
  echo "644 $dist/libtckms.a $LIBDIR/libtckms.a"
  echo "644 packaging/tckms.pc.in $LIBDIR/pkgconfig/tckms.pc"
  echo "644 packaging/cmake/tckms-config.cmake.in $LIBDIR/cmake/tckms/tckms-config.cmake"
  echo "644 packaging/cmake/tckms-config-version.cmake.in $LIBDIR/cmake/tckms/tckms-config-version.cmake"
  echo "755 $dist/tckms-seal $BINDIR/tckms-seal"
  echo "755 $out/release/tckms-emulator $BINDIR/tckms-emulator"
  local page
  for page in man/man1/* "$out"/reference/man3/*; do
    echo "644 $page $MANDIR/$(basename "$(dirname "$page")")/${page##*/}"
  done
  for page in go/*; do
    echo "644 $page $GODIR/${page#go/}"
  done
  for page in LICENSE-APACHE LICENSE-MIT CHANGELOG.md packaging/THIRD-PARTY-LICENSES.txt \
    packaging/THIRD-PARTY-LICENSES-emulator.txt packaging/tckms.cdx.json "$out/reference/reference.html"; do
    echo "644 $page $DOCDIR/${page##*/}"
  done
}

install_all() {
  local mode source place whole
  while read -r mode source place; do
    [ -e "$source" ] || { echo "install: $source is missing; run 'make build' first" >&2; exit 1; }
  done < <(files)
  while read -r mode source place; do
    whole=$DESTDIR$place
    mkdir -p "$(dirname "$whole")"
    # A running program has the old file mapped: it is replaced, never written into.
    rm -f "$whole"
    case $source in
      *.in) fill_in "$source" >"$whole" ;;
      "$out"/release/tckms-emulator) install -s "$source" "$whole" ;;
      *) cp "$source" "$whole" ;;
    esac
    chmod "$mode" "$whole"
  done < <(files)
  ln -sfn "$shared" "$DESTDIR$LIBDIR/$soname"
  ln -sfn "$shared" "$DESTDIR$LIBDIR/$link"
  echo "install: tckms $version is in $DESTDIR$PREFIX, its libraries in $DESTDIR$LIBDIR"
  tell_the_loader
}

uninstall_all() {
  local mode source place
  while read -r mode source place; do
    rm -f "$DESTDIR$place"
  done < <(files)
  rm -f "$DESTDIR$LIBDIR/$soname" "$DESTDIR$LIBDIR/$link"
  # Folders of our own; others may have been there before.
  for place in "$LIBDIR/cmake/tckms" "$DOCDIR" "$GODIR" "$(dirname "$GODIR")"; do
    rmdir "$DESTDIR$place" 2>/dev/null || true
  done
  echo "install: tckms $version is no longer in $DESTDIR$PREFIX"
  tell_the_loader
}

# The loader has a cache of what is in its folders.
tell_the_loader() {
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
