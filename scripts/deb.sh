#!/usr/bin/env bash
# Makes Debian packages from the files of `make build`, in target/deb. Compiles nothing and needs no network.
#
# DEBFULLNAME and DEBEMAIL name the maintainer. For another kind of machine: TARGET and CROSS as for scripts/dist.sh, ARCHITECTURE
# with dpkg's name of it, and DEPENDS with the packages that the files need, because dpkg-shlibdeps knows only this machine's.
set -euo pipefail
umask 022
cd "$(dirname "$0")/.."

out=${CARGO_TARGET_DIR:-target}${TARGET:+/$TARGET}
deb=$out/deb
work=$out/deb.new
upstream=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
version=$upstream-1
abi=$(cat packaging/abi-version)
contact=$(sed -n 's/^contact = "\(.*\)"/\1/p' packaging/home.toml)
maintainer="${DEBFULLNAME:-tckms maintainers} <${DEBEMAIL:-$contact}>"
architecture=${ARCHITECTURE:-$(dpkg --print-architecture)}
triplet=$(dpkg-architecture --host-arch "$architecture" --query DEB_HOST_MULTIARCH 2>/dev/null)
# Times in packages are those of the commit, so that the same commit makes the same packages.
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || stat -c %Y Cargo.toml)}
export SOURCE_DATE_EPOCH

rm -rf "$work"
mkdir -p "$work/stage" "$work/debian" "$deb"
DESTDIR=$work/stage PREFIX=/usr LIBDIR=/usr/lib/$triplet scripts/install.sh install >/dev/null
sed "s/@MAINTAINER@/$(printf %s "$maintainer" | sed 's/[&\\/]/\\&/g')/; s/@ABI@/$abi/" packaging/debian/control >"$work/debian/control"
stage=$work/stage/usr

# take PACKAGE FILE…: moves installed files into a package.
take() {
  local package=$1 file
  shift
  for file in "$@"; do
    [ -e "$file" ] || [ -L "$file" ] || continue
    mkdir -p "$work/$package/usr/$(dirname "${file#"$stage"/}")"
    mv "$file" "$work/$package/usr/${file#"$stage"/}"
  done
}

document() {
  local package=$1 folder=$work/$1/usr/share/doc/$1
  mkdir -p "$folder"
  cp packaging/debian/copyright "$folder/copyright"
  gzip -9n <CHANGELOG.md >"$folder/changelog.gz"
  printf 'tckms (%s) unstable; urgency=medium\n\n  * New version. The changes are in changelog.gz.\n\n -- %s  %s\n' \
    "$version" "$maintainer" "$(LC_ALL=C date -u -R -d "@$SOURCE_DATE_EPOCH")" |
    gzip -9n >"$folder/changelog.Debian.gz"
}

# components PACKAGE [-PRODUCT]: adds the licences of the crates in a product, and its bill of materials.
components() {
  local folder=$work/$1/usr/share/doc/$1
  gzip -9n <"packaging/THIRD-PARTY-LICENSES${2:-}.txt" >"$folder/THIRD-PARTY-LICENSES.gz"
  gzip -9n <"packaging/tckms${2:-}.cdx.json" >"$folder/tckms.cdx.json.gz"
}

# describe PACKAGE: writes the control file of a binary package, from its fields in debian/control.
describe() {
  local package=$1 needs=
  # dpkg-shlibdeps recognizes a package by this folder.
  mkdir -p "$work/$package/DEBIAN"
  mapfile -t binaries < <(find "$work/$package" -type f \( -path '*/bin/*' -o -name '*.so.*' -o -path '*/pkcs11/*.so' \))
  if [ "${#binaries[@]}" -gt 0 ] && [ -n "${DEPENDS:-}" ]; then
    needs=$DEPENDS
  elif [ "${#binaries[@]}" -gt 0 ]; then
    needs=$(cd "$work" && dpkg-shlibdeps -O "${binaries[@]/#$work\//}" | sed 's/^shlibs:Depends=//')
  fi
  {
    echo "Package: $package"
    echo "Source: tckms"
    echo "Version: $version"
    echo "Architecture: $architecture"
    echo "Maintainer: $maintainer"
    echo "Installed-Size: $(du -k -s --apparent-size "$work/$package/usr" | cut -f 1)"
    echo "Priority: optional"
    sed -n 's/^Homepage: /&/p' "$work/debian/control"
    awk -v package="$package" '/^Package: / { inside = $2 == package; next } /^$/ { inside = 0 } inside' \
      "$work/debian/control" | sed "s/\${shlibs:Depends}/$needs/; s/\${binary:Version}/$version/" |
      grep -v '^Architecture: any$\|^Depends: $'
  } | awk '/^Description:/ { last = 1 } last { late = late $0 "\n"; next } { print } END { printf "%s", late }' \
    >"$work/$package/DEBIAN/control"
  (cd "$work/$package" && find usr -type f -print0 | sort -z | xargs -0 md5sum >DEBIAN/md5sums)
}

# The symbols file, which dpkg-shlibdeps reads: the version of the package that a program needs for each function.
symbols() {
  echo "libtckms.so.$abi libtckms$abi #MINVER#"
  scripts/symbols.sh versions | awk '{ print $2 "@" $2; print $1 "@" $2 }' | sort -u |
    sed -E 's/(.*)@TCKMS_([0-9.]+)$/ \1@TCKMS_\2 \2.0/'
}

packages=(libtckms$abi libtckms-dev tckms-pkcs11 tckms-tools tckms-emulator)
gzip -9n "$stage"/share/man/man*/* 2>/dev/null || true
take libtckms$abi "$stage/lib/$triplet/libtckms.so".*
take tckms-emulator "$stage/bin/tckms-emulator" "$stage"/share/man/man1/tckms-emulator*
take tckms-pkcs11 "$stage/lib/$triplet/pkcs11" "$stage"/share/man/man[58]/tckms-pkcs11*
take tckms-tools "$stage"/bin/* "$stage"/share/man/man1/* "$stage"/share/{bash-completion,zsh,fish} "$stage/lib/systemd"
take libtckms-dev "$stage/lib" "$stage/include" "$stage/share/man" "$stage/share/tckms"
documents=$work/libtckms-dev/usr/share/doc/libtckms-dev
mkdir -p "$documents"
mv "$stage"/share/doc/tckms/{README.md,docs,examples-c,reference.html} "$documents"
# Debian's usual path.
ln -s examples-c "$documents/examples"

for package in "${packages[@]}"; do
  document "$package"
done
components libtckms$abi
components libtckms-dev
components tckms-tools -tools
components tckms-pkcs11 -pkcs11
components tckms-emulator -emulator

chmod 644 "$work"/libtckms$abi/usr/lib/"$triplet"/libtckms.so."$upstream" "$work"/tckms-pkcs11/usr/lib/"$triplet"/pkcs11/*.so
rm -f "$deb"/*.deb
for package in "${packages[@]}"; do
  describe "$package"
  if [ "$package" = libtckms$abi ]; then
    symbols >"$work/$package/DEBIAN/symbols"
    echo "libtckms $abi libtckms$abi (>= $upstream)" >"$work/$package/DEBIAN/shlibs"
    echo "activate-noawait ldconfig" >"$work/$package/DEBIAN/triggers"
  fi
  dpkg-deb -Zxz --root-owner-group --build "$work/$package" "$deb/${package}_${version}_$architecture.deb" >/dev/null
done
rm -rf "$work"
echo "deb: $(cd "$deb" && echo *.deb) in $deb"
