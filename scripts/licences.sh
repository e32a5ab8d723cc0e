#!/usr/bin/env bash
# Generates, with cargo-about and cargo-cyclonedx, what the library is made of:
#
#   packaging/THIRD-PARTY-LICENSES.txt            the licences of the crates in the library
#   packaging/THIRD-PARTY-LICENSES-emulator.txt   the same of the emulator
#   packaging/tckms.cdx.json                      the library's bill of materials (CycloneDX)
#
# tests/licences.rs says when that is due: after every change of Cargo.lock that touches them.
set -euo pipefail
cd "$(dirname "$0")/.."

command -v cargo-about >/dev/null || cargo install --locked cargo-about --features cli
command -v cargo-cyclonedx >/dev/null || cargo install --locked cargo-cyclonedx

licences() {
  # Not over the network: the licence of a crate is in the crate.
  cargo about generate --offline --locked --fail -c packaging/about.toml -m "$1" ${3:-} packaging/about.hbs -o "$2"
  # Trailing blanks and the carriage returns of some files are of no use.
  sed -i 's/[[:space:]]*$//' "$2"
}
licences Cargo.toml packaging/THIRD-PARTY-LICENSES.txt "--features wipe-on-free"
licences emulator/Cargo.toml packaging/THIRD-PARTY-LICENSES-emulator.txt

# cargo-cyclonedx writes beside every Cargo.toml, so it gets a copy of the tree to write into.
copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
tar -c --exclude=./target --exclude=./.git . | tar -x -C "$copy"
SOURCE_DATE_EPOCH=0 cargo cyclonedx --quiet --manifest-path "$copy/Cargo.toml" --format json --spec-version 1.5 \
  --no-build-deps --features wipe-on-free --target x86_64-unknown-linux-gnu --override-filename tckms.cdx
sed "s|path+file://$copy|path+file:///tckms|" "$copy/tckms.cdx.json" >packaging/tckms.cdx.json

echo "licences: wrote packaging/THIRD-PARTY-LICENSES.txt, THIRD-PARTY-LICENSES-emulator.txt and tckms.cdx.json"
