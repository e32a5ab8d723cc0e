#!/usr/bin/env bash
# What a release has to pass beside `make test`. It takes more than an hour, most of it builds from nothing. Each step says what it proved; what this machine cannot prove is named at the end.
set -euo pipefail
cd "$(dirname "$0")/.."

work=$(mktemp -d "${TMPDIR:-/var/tmp}/tckms-dist.XXXXXX")
trap 'rm -rf "$work"' EXIT
unproved=()
say() { echo "dist-check: $*"; }

# The oldest Rust that Cargo.toml promises.
rust=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)
if rustc --version | grep -q "^rustc $rust\."; then
  say "rustc is $rust, the oldest that Cargo.toml promises, so all tests are made with it"
elif command -v rustup >/dev/null && rustup run "$rust" rustc --version >/dev/null 2>&1; then
  CARGO_TARGET_DIR=$work/oldest rustup run "$rust" cargo check --quiet --locked --workspace
  say "it compiles with rustc $rust, the oldest that Cargo.toml promises"
else
  unproved+=("that it compiles with rustc $rust: install it with 'rustup toolchain install $rust'")
fi

# Licences, duplicates of cryptography, sources; known vulnerabilities when their list can be had.
deny() { cargo deny --locked --manifest-path Cargo.toml --log-level error --config packaging/deny.toml "$@"; }
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

# The files that tools wrote about the crates.
cp packaging/THIRD-PARTY-LICENSES*.txt packaging/tckms.cdx.json "$work"
scripts/licences.sh >/dev/null
for file in THIRD-PARTY-LICENSES.txt THIRD-PARTY-LICENSES-emulator.txt tckms.cdx.json; do
  cmp "$work/$file" "packaging/$file" || { say "packaging/$file was not up to date, and now is"; exit 1; }
done
say "packaging/ lists the components as the tools do"

# The crate, as others would get it: cargo compiles what it packed.
cargo package --quiet --locked --offline --allow-dirty --package tckms --target-dir "$work/package"
say "cargo package: $(ls "$work"/package/package/*.crate | xargs -n 1 basename) is complete"
rm -rf "$work/package"

# Two trees with all dependencies beside them, a cargo that has nothing of its own, and no network.
cut_off=()
if unshare --net true 2>/dev/null; then cut_off=(unshare --net); else unproved+=("that the vendored build asks for no network: unshare needs root"); fi
for tree in "$work/one" "$work/a/second/place"; do
  mkdir -p "$tree"
  tar -c --exclude=./target --exclude=./.git . | tar -x -C "$tree"
done
(cd "$work/one" && cargo vendor --locked >.vendor.toml 2>/dev/null && cat .vendor.toml >>.cargo/config.toml)
cp -r "$work/one/vendor" "$work/one/.cargo" "$work/a/second/place"
for tree in "$work/one" "$work/a/second/place"; do
  (cd "$tree" && RUSTUP_HOME=${RUSTUP_HOME:-$HOME/.rustup} CARGO_HOME=$tree/home CARGO_NET_OFFLINE=true CARGO_TARGET_DIR='' \
    "${cut_off[@]}" env -u CARGO_TARGET_DIR scripts/reproducible.sh --offline) >"$work/log" 2>&1 || { tail -n 50 "$work/log"; exit 1; }
  say "a vendored tree builds with no network: $(tail -n 1 "$work/log" | sed 's/^dist: //')"
done
for file in dist/libtckms.so dist/libtckms.a release/tckms-emulator; do
  if cmp "$work/one/target/$file" "$work/a/second/place/target/$file"; then
    say "target/$file is the same from both: $(sha256sum <"$work/one/target/$file" | cut -c 1-16)…"
  else
    say "target/$file differs between two folders"
    exit 1
  fi
  if grep -aq "$work" "$work/one/target/$file"; then say "target/$file names the folder that it was built in"; exit 1; fi
done

# What is given to others: symbol versions, relocation, packages; then in clean roots, on the oldest system first.
scripts/make-dist.sh
"${CARGO:-cargo}" test --locked --test project release:: -- --ignored
say "the artefacts need nothing newer than glibc 2.17, work where they are unpacked, and their packages install"
if [ "$(id -u)" = 0 ]; then
  artefact=$work/artefact
  mkdir -p "$artefact"
  tar -xzf "${CARGO_TARGET_DIR:-target}"/release-artifacts/*-linux-x86_64.tar.gz -C "$artefact" --strip-components 1
  for suite in bullseye bookworm trixie; do
    say "$suite: $(scripts/clean-root.sh --mount "$artefact:/artefact" "$suite" /artefact/tckms-selftest)"
    # From source, with that system's compiler: the demo, the installation, and the C API.
    scripts/clean-root.sh "$suite" sh -c 'make demo && make check && make install PREFIX=/usr/local &&
      cc examples-c/quickstart.c $(pkg-config --cflags --libs tckms) -o /tmp/quickstart' >"$work/log" 2>&1 ||
      { tail -n 50 "$work/log"; exit 1; }
    say "$suite: make demo, make check and make install pass from source"
  done
else
  unproved+=("that it builds and runs in clean roots of Debian 11, 12 and 13: only root can make them")
fi

if [ ${#unproved[@]} -gt 0 ]; then printf 'dist-check: NOT PROVED: %s\n' "${unproved[@]}"; fi
say "done"
