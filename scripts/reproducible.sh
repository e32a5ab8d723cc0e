#!/usr/bin/env bash
# `make build` with nothing of this machine's folders in the result: the same commit and the same compilers make the
# same files wherever the tree is. What is released is built with it.
set -euo pipefail
cd "$(dirname "$0")/.."

home=${CARGO_HOME:-$HOME/.cargo}
sources=$PWD
# Rust's own sources are named by its distribution already; those of the crates and of this tree are not.
export RUSTFLAGS="${RUSTFLAGS:-} --remap-path-prefix=$home=/cargo --remap-path-prefix=$sources=/tckms"
export CFLAGS="${CFLAGS:-} -ffile-prefix-map=$home=/cargo -ffile-prefix-map=$sources=/tckms"
cargo rustc --release --locked --lib --crate-type cdylib,staticlib --features wipe-on-free "$@"
cargo build --release --locked -p tckms-emulator "$@"
cargo build --release --locked -p tckms-cli --features wipe-on-free "$@"
scripts/dist.sh
