#!/usr/bin/env bash
# What a release has to pass beside `make test`. All of it takes hours, most of them for builds from nothing.
#
#   scripts/dist-check.sh [PART…]     all parts, or only these, in this order:
#
#   crates          the oldest Rust; licences, bans, advisories; lists of components; cargo package
#   vendored        two trees without network and with all dependencies beside them give the same files
#   artefacts       what `make dist` makes: symbol versions, relocation, self-test, packages
#   reproducible    `make dist` in another folder gives the same files
#   systems         the C tests with the artefacts in Debian 11, 12 and 13, on ARM64 and with musl
#   systemd         units get their secrets from `tckms credentials` in a Debian that systemd boots
#   from_source     make demo, make check and make install in clean Debian 11, 12 and 13
#
# Each step says what it proved; what this machine cannot prove is named at the end. It takes what `make build` made.
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
unproved=()
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
    say "rustc is $rust, the oldest that Cargo.toml promises, so all tests are made with it"
  elif command -v rustup >/dev/null && rustup run "$rust" rustc --version >/dev/null 2>&1; then
    CARGO_TARGET_DIR=$work/oldest rustup run "$rust" cargo check --quiet --locked --workspace
    say "it compiles with rustc $rust, the oldest that Cargo.toml promises"
  else
    unproved+=("that it compiles with rustc $rust: install it with 'rustup toolchain install $rust'")
  fi
}

deny() { cargo deny --locked --manifest-path Cargo.toml --log-level error --config packaging/deny.toml "$@"; }

licences_and_advisories() {
  # Also those of other systems, which a build does not fetch.
  cargo fetch --quiet --locked
  deny --offline check licenses bans sources
  say "licences, bans and sources are as packaging/deny.toml says"
  if deny check advisories >"$work/advisories" 2>&1; then
    say "no crate has a known vulnerability"
  elif grep -q 'failed to fetch advisory database' "$work/advisories"; then
    unproved+=("that no crate has a known vulnerability: the list of them cannot be fetched from here")
  else
    cat "$work/advisories"
    exit 1
  fi
}

# The files that tools wrote about the crates.
lists_of_components() {
  local file
  cp packaging/THIRD-PARTY-LICENSES*.txt packaging/*.cdx.json "$work"
  scripts/licences.sh >/dev/null
  for file in packaging/THIRD-PARTY-LICENSES*.txt packaging/*.cdx.json; do
    cmp "$work/${file##*/}" "$file" || { say "$file was not up to date, and now is"; exit 1; }
  done
  say "packaging/ lists the components as the tools do"
}

# The crate, as others would get it: cargo compiles what it packed.
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

# A cargo that has nothing of its own, and no network.
vendored() {
  local tree file cut_off=()
  if unshare --net true 2>/dev/null; then cut_off=(unshare --net); else unproved+=("that the vendored build asks for no network: unshare needs root"); fi
  copy_tree "$work/one"
  (cd "$work/one" && cargo vendor --locked >.vendor.toml 2>/dev/null && cat .vendor.toml >>.cargo/config.toml)
  mkdir -p "$work/a/second"
  cp -r "$work/one" "$work/a/second/place"
  for tree in "$work/one" "$work/a/second/place"; do
    quietly env -C "$tree" -u CARGO_TARGET_DIR "RUSTUP_HOME=${RUSTUP_HOME:-$HOME/.rustup}" "CARGO_HOME=$tree/home" \
      CARGO_NET_OFFLINE=true "${cut_off[@]}" scripts/reproducible.sh --offline
    say "a vendored tree builds with no network: $(tail -n 1 "$work/log" | sed 's/^dist: //')"
  done
  for file in dist/libtckms.so dist/libtckms.a release/tckms-emulator release/tckms; do
    cmp "$work/one/target/$file" "$work/a/second/place/target/$file" || { say "target/$file differs between two folders"; exit 1; }
    say "target/$file is the same from both: $(sha256sum <"$work/one/target/$file" | cut -c 1-16)…"
    if grep -aq "$work" "$work/one/target/$file"; then say "target/$file names the folder that it was built in"; exit 1; fi
  done
  rm -rf "$work/one" "$work/a"
}

# ---- artefacts ------------------------------------------------------------------------------------------------------

artefacts() {
  scripts/make-dist.sh
  "$cargo" test --locked --test project release:: -- --ignored
  say "the artefacts need nothing newer than glibc 2.17, work where they are unpacked, and their packages install"
}

# For the systems that TCKMS_DIST_SYSTEMS names, if it does: the whole takes three builds from nothing.
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
      unproved+=("that the artefacts pass the C tests in Debian's $system: only root can make a root of it")
      continue
    fi
    quietly scripts/artefact-tests.sh "$system"
    say "$system: the C tests pass with the artefacts: $(grep -c '^test result: ok' "$work/log") programs"
  done
}

# ---- from source ---------------------------------------------------------------------------------------------------------

# With that system's compiler and linker.
build_in() {
  # shellcheck disable=SC2016 # For the shell in there.
  quietly scripts/clean-root.sh "$1" sh -ec 'make demo && make check && make install PREFIX=/usr/local &&
    cc examples-c/quickstart.c $(pkg-config --cflags --libs tckms) -o /tmp/quickstart && tckms-seal --version'
  say "$1: make demo, make check and make install pass from source"
}

from_source() {
  local suite
  if [ "$(id -u)" != 0 ]; then
    unproved+=("that it builds in clean roots of Debian 11, 12 and 13: only root can make them")
    return
  fi
  for suite in bullseye bookworm trixie; do build_in "$suite"; done
}

systemd() {
  if [ "$(id -u)" != 0 ]; then
    unproved+=("that units get their secrets from a real systemd: only root can boot one")
    return
  fi
  scripts/systemd-test.sh bookworm
  say "units get their secrets by LoadCredential= from a real systemd"
}

for part in "${parts[@]}"; do "$part"; done
if [ ${#unproved[@]} -gt 0 ]; then printf 'dist-check: NOT PROVED: %s\n' "${unproved[@]}"; fi
say "done: ${parts[*]}"
