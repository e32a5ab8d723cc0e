#!/usr/bin/env bash
# The release checks in addition to `make test`. All of them take hours, mostly for builds from scratch.
#
#   scripts/dist-check.sh [PART…]     all parts, or only these, in this order:
#
#   crates          the oldest Rust; licences, bans, advisories; lists of components; cargo package
#   vendored        builds without network from two vendored trees, which give the same files
#   artefacts       the files of `make dist`: symbol versions, relocation, self-test, packages
#   reproducible    `make dist` in another folder, which gives the same files
#   systems         the C tests with the artefacts in Debian 11, 12 and 13, on ARM64 and with musl
#   systemd         secrets for units from `tckms credentials`, in a Debian that systemd boots
#   from_source     make demo, make check and make install in clean roots of Debian 11, 12 and 13; set-up of all tools in Debian 13
#
# Each step prints what it checked. The checks that this machine cannot run are listed at the end. Needs the files of `make build`.
set -euo pipefail
cd "$(dirname "$0")/.."

all=(crates vendored artefacts reproducible systems systemd from_source)
parts=("$@")
if [ $# = 0 ]; then parts=("${all[@]}"); fi
for part in "${parts[@]}"; do
  case " ${all[*]} " in *" $part "*) ;; *) sed -n '2,/^set/s/^# \{0,1\}//p' "$0" >&2; exit 2 ;; esac
done

work=$(mktemp -d "${TMPDIR:-/var/tmp}/tckms-dist.XXXXXX")
trap 'rm -rf "$work"' EXIT
out=${CARGO_TARGET_DIR:-target}
cargo=${CARGO:-cargo}
unchecked=()
say() { echo "dist-check: $*"; }

# quietly COMMAND…: its output only if it fails.
quietly() { "$@" >"$work/log" 2>&1 || { tail -n 50 "$work/log"; exit 1; }; }

# A copy of this tree, without what was built in it.
copy_tree() {
  mkdir -p "$1"
  tar -c --exclude=./target --exclude=./.git . | tar -x -C "$1"
}

# ---- crates ---------------------------------------------------------------------------------------------------------

oldest_rust() {
  local rust
  rust=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)
  if rustc --version | grep -q "^rustc $rust\."; then
    say "rustc is $rust, the oldest that Cargo.toml allows, so all tests use it"
  elif command -v rustup >/dev/null && rustup run "$rust" rustc --version >/dev/null 2>&1; then
    CARGO_TARGET_DIR=$work/oldest rustup run "$rust" cargo check --quiet --locked --workspace
    say "it compiles with rustc $rust, the oldest that Cargo.toml allows"
  else
    unchecked+=("whether it compiles with rustc $rust: install it with 'rustup toolchain install $rust'")
  fi
}

deny() { cargo deny --locked --manifest-path Cargo.toml --log-level error --config packaging/deny.toml "$@"; }

licences_and_advisories() {
  # cargo-deny also reads the crates of other systems, which a build does not fetch.
  cargo fetch --quiet --locked
  deny --offline check licenses bans sources
  say "licences, bans and sources comply with packaging/deny.toml"
  if deny check advisories >"$work/advisories" 2>&1; then
    say "no crate has a known vulnerability"
  elif grep -q 'failed to fetch advisory database' "$work/advisories"; then
    unchecked+=("whether a crate has a known vulnerability: the advisory database could not be fetched")
  else
    cat "$work/advisories"
    exit 1
  fi
}

# The generated lists of the crates.
lists_of_components() {
  local file
  cp packaging/THIRD-PARTY-LICENSES*.txt packaging/*.cdx.json "$work"
  scripts/licences.sh >/dev/null
  for file in packaging/THIRD-PARTY-LICENSES*.txt packaging/*.cdx.json; do
    cmp "$work/${file##*/}" "$file" || { say "$file was out of date, and has been generated again"; exit 1; }
  done
  say "the lists of components in packaging/ are up to date"
}

# The crate as published: cargo compiles the package.
packed_crate() {
  cargo package --quiet --locked --offline --allow-dirty --package tckms --target-dir "$work/package"
  say "cargo package: $(cd "$work/package/package" && echo *.crate) is complete"
  rm -rf "$work/package"
}

crates() {
  oldest_rust
  licences_and_advisories
  lists_of_components
  packed_crate
}

# ---- vendored -------------------------------------------------------------------------------------------------------

# With an empty cargo home, and without network.
vendored() {
  local tree file without_network=()
  if unshare --net true 2>/dev/null; then
    without_network=(unshare --net)
  else
    unchecked+=("whether the vendored build works without network: unshare needs root")
  fi
  copy_tree "$work/one"
  (cd "$work/one" && cargo vendor --locked >.vendor.toml 2>/dev/null && cat .vendor.toml >>.cargo/config.toml)
  mkdir -p "$work/a/second"
  cp -r "$work/one" "$work/a/second/tree"
  for tree in "$work/one" "$work/a/second/tree"; do
    quietly env -C "$tree" -u CARGO_TARGET_DIR "RUSTUP_HOME=${RUSTUP_HOME:-$HOME/.rustup}" "CARGO_HOME=$tree/home" \
      CARGO_NET_OFFLINE=true "${without_network[@]}" scripts/reproducible.sh --offline
    say "a vendored tree builds offline: $(tail -n 1 "$work/log" | sed 's/^dist: //')"
  done
  for file in dist/libtckms.so dist/libtckms.a release/tckms-emulator release/tckms; do
    cmp "$work/one/target/$file" "$work/a/second/tree/target/$file" || { say "target/$file differs between two folders"; exit 1; }
    say "target/$file is identical in both: $(sha256sum <"$work/one/target/$file" | cut -c 1-16)…"
    if grep -aq "$work" "$work/one/target/$file"; then say "target/$file names the folder that it was built in"; exit 1; fi
  done
  rm -rf "$work/one" "$work/a"
}

# ---- artefacts ------------------------------------------------------------------------------------------------------

artefacts() {
  scripts/make-dist.sh
  "$cargo" test --locked --test project release:: -- --ignored
  say "the artefacts need nothing newer than glibc 2.17, work in the folder where they are unpacked, and their packages install"
}

# TCKMS_DIST_SYSTEMS can name some of the systems, because all of them take three builds from scratch.
reproducible() {
  copy_tree "$work/elsewhere"
  quietly env -C "$work/elsewhere" CARGO_TARGET_DIR="$work/elsewhere/target" \
    SOURCE_DATE_EPOCH="$(git log -1 --format=%ct)" scripts/make-dist.sh ${TCKMS_DIST_SYSTEMS:-}
  (cd "$out/release-artifacts" && sha256sum --quiet --check "$work/elsewhere/target/release-artifacts/SHA256SUMS") ||
    { say "two folders give different files"; exit 1; }
  say "make dist gives the same $(wc -l <"$work/elsewhere/target/release-artifacts/SHA256SUMS") files in another folder"
  rm -rf "$work/elsewhere"
}

systems() {
  local system
  for system in bullseye bookworm trixie aarch64 musl; do
    if [ "$(id -u)" != 0 ] && [ "$system" != aarch64 ] && [ "$system" != musl ]; then
      unchecked+=("whether the artefacts pass the C tests in Debian's $system: only root can create its root file system")
      continue
    fi
    quietly scripts/artefact-tests.sh "$system"
    say "$system: the C tests pass with the artefacts: $(grep -c '^test result: ok' "$work/log") programs"
  done
}

# ---- from source ---------------------------------------------------------------------------------------------------------

# With that system's compiler and linker.
build_in() {
  # shellcheck disable=SC2016 # The inner shell expands it.
  quietly scripts/clean-root.sh "$1" sh -ec 'make demo && make check && make install PREFIX=/usr/local &&
    cc examples-c/quickstart.c $(pkg-config --cflags --libs tckms) -o /tmp/quickstart && tckms-seal --version'
  say "$1: make demo, make check and make install pass from source"
}

from_source() {
  local suite
  if [ "$(id -u)" != 0 ]; then
    unchecked+=("whether it builds in clean roots of Debian 11, 12 and 13: only root can create them")
    return
  fi
  for suite in bullseye bookworm trixie; do build_in "$suite"; done
  quietly "$cargo" test --locked --test project setup:: -- --ignored
  say "scripts/setup.sh installs all tools in Debian 13"
}

systemd() {
  if [ "$(id -u)" != 0 ]; then
    unchecked+=("whether units get their secrets from a real systemd: only root can boot one")
    return
  fi
  scripts/systemd-test.sh bookworm
  say "units get their secrets by LoadCredential= from a real systemd"
}

for part in "${parts[@]}"; do "$part"; done
if [ ${#unchecked[@]} -gt 0 ]; then printf 'dist-check: NOT CHECKED: %s\n' "${unchecked[@]}"; fi
say "done: ${parts[*]}"
