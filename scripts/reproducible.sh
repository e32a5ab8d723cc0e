#!/usr/bin/env bash
# Builds as `make build` does, but keeps the paths of this machine out of the result: the same commit and the same compilers give
# the same files in every folder.
set -euo pipefail
cd "$(dirname "$0")/.."

home=${CARGO_HOME:-$HOME/.cargo}
sources=$PWD
# Rust's distribution already maps the paths of its own sources, but not those of the crates and of this tree.
export RUSTFLAGS="${RUSTFLAGS:-} --remap-path-prefix=$home=/cargo --remap-path-prefix=$sources=/tckms"
export CFLAGS="${CFLAGS:-} -ffile-prefix-map=$home=/cargo -ffile-prefix-map=$sources=/tckms"
cargo rustc --release --locked --lib --crate-type cdylib,staticlib --features wipe-on-free "$@"
cargo build --release --locked -p tckms-emulator "$@"
cargo build --release --locked -p tckms-cli --features wipe-on-free "$@"
scripts/dist.sh
