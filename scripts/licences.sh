#!/usr/bin/env bash
# Generates the lists of the crates in each product, with cargo-about and cargo-cyclonedx:
#
#   packaging/THIRD-PARTY-LICENSES.txt            the licences of the crates in the library
#   packaging/THIRD-PARTY-LICENSES-tools.txt      those in the tool tckms; tckms-seal contains only the library's
#   packaging/THIRD-PARTY-LICENSES-pkcs11.txt     those in the PKCS#11 module
#   packaging/THIRD-PARTY-LICENSES-emulator.txt   those in the emulator
#   packaging/tckms.cdx.json                      the library's bill of materials (CycloneDX)
#   packaging/tckms-tools.cdx.json, tckms-pkcs11.cdx.json, tckms-emulator.cdx.json   those of the other products
#
# tests/licences.rs fails if a change of Cargo.lock requires new lists.
set -euo pipefail
cd "$(dirname "$0")/.."

command -v cargo-about >/dev/null || cargo install --locked cargo-about --features cli
command -v cargo-cyclonedx >/dev/null || cargo install --locked cargo-cyclonedx

# licences FOLDER OF THE CRATE, FILE, FEATURES
licences() {
  # Offline, because each crate contains its licence.
  cargo about generate --offline --locked --fail -c packaging/about.toml -m "$1/Cargo.toml" ${3:-} packaging/about.hbs -o "packaging/$2"
  # Some licence texts have trailing blanks and carriage returns.
  sed -i 's/[[:space:]]*$//' "packaging/$2"
}
licences . THIRD-PARTY-LICENSES.txt "--features wipe-on-free"
licences cli THIRD-PARTY-LICENSES-tools.txt "--features wipe-on-free"
licences pkcs11 THIRD-PARTY-LICENSES-pkcs11.txt "--features wipe-on-free"
licences emulator THIRD-PARTY-LICENSES-emulator.txt

# cargo-cyclonedx writes a file next to every Cargo.toml of the workspace, so it runs in a copy of the tree.
copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
tar -c --exclude=./target --exclude=./.git . | tar -x -C "$copy"
SOURCE_DATE_EPOCH=0 cargo cyclonedx --quiet --manifest-path "$copy/Cargo.toml" --format json --spec-version 1.5 \
  --no-build-deps --features wipe-on-free --target x86_64-unknown-linux-gnu --override-filename product.cdx

# bill FOLDER OF THE CRATE, FILE
bill() { sed "s|path+file://$copy|path+file:///tckms|" "$copy/$1/product.cdx.json" >"packaging/$2"; }
bill . tckms.cdx.json
bill cli tckms-tools.cdx.json
bill pkcs11 tckms-pkcs11.cdx.json
bill emulator tckms-emulator.cdx.json

echo "licences: wrote $(cd packaging && echo THIRD-PARTY-LICENSES*.txt *.cdx.json) in packaging"
