#!/usr/bin/env bash
# Links the PKCS#11 module from cargo's archive, in target/dist:
#
#   libtckms-pkcs11.so   exports the functions of packaging/tckms-pkcs11.map and nothing else
#
# The variables are those of scripts/dist.sh.
set -euo pipefail
cd "$(dirname "$0")/.."

out=${CARGO_TARGET_DIR:-target}${TARGET:+/$TARGET}
archive=$out/release/libtckms_pkcs11.a
made=$out/dist/libtckms-pkcs11.so
map=packaging/tckms-pkcs11.map
cross=${CROSS:-}
cc=${CC:-${cross:+${cross}gcc}}
cc=${cc:-cc}

case ${TARGET:-$(uname -s)} in
  *darwin* | Darwin)
    echo "dist: there is no PKCS#11 module for macOS"
    exit 0
    ;;
esac
[ -e "$archive" ] || { echo "dist: $archive is missing; run 'make build'" >&2; exit 1; }
if [ "$made" -nt "$archive" ] && [ "$made" -nt "$map" ] && [ "$made" -nt scripts/dist-pkcs11.sh ]; then exit 0; fi

mkdir -p "$out/dist"
work=$(mktemp -d "$out/dist/.new.XXXXXX")
trap 'rm -rf "$work"' EXIT
functions=$(sed -n 's/^ *\(C_[A-Za-z]*\);$/\1/p' "$map")
printf '%s\n' "$functions" >"$work/functions"

# As in scripts/dist.sh.
early_gc() {
  local version
  version=$("${cross}ld" --version | sed -n '1s/.* \([0-9][0-9.]*\).*/\1/p')
  if [ "$(printf '2.40\n%s\n' "$version" | sort -V | head -n 1)" = 2.40 ]; then echo --gc-sections; fi
}

# shellcheck disable=SC2046 # Lists of words.
"${cross}ld" -r $(early_gc) --force-group-allocation $(printf ' -u %s' $functions) --whole-archive "$archive" -o "$work/all.o"
"${cross}objcopy" --redefine-sym getenv=secure_getenv --strip-unneeded --remove-section .llvmbc --remove-section .llvmcmd \
  --keep-global-symbols="$work/functions" "$work/all.o" "$work/module.o"
# Bsymbolic: another module in the program may define functions of the same names.
# shellcheck disable=SC2086
$cc -shared -o "$work/module.so" "$work/module.o" \
  -Wl,--version-script="$map" -Wl,-soname,libtckms-pkcs11.so -Wl,-Bsymbolic -Wl,--gc-sections -Wl,-O1 -Wl,--as-needed \
  -Wl,--build-id=sha1 -Wl,-z,nodelete -Wl,-z,relro -Wl,-z,now -Wl,-z,noexecstack -Wl,-z,defs \
  ${LDFLAGS:-} ${UNWINDER:--lgcc_s} -lpthread -ldl -lm -lc
"${cross}strip" --strip-unneeded "$work/module.so"
mv "$work/module.so" "$made"
echo "dist: $out/dist has libtckms-pkcs11.so ($(wc -c <"$made" | tr -d ' ') bytes)"
