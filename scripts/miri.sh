#!/usr/bin/env bash
# Runs unit tests under Miri, which detects undefined behaviour: reads of invalid memory, wrong pointers, data races. Miri cannot
# run C code, so the tests are those of the modules without cryptography, and those of the C functions over a transport that
# replies from memory (src/ffi/miri.rs, src/http/mock.rs). A test that reaches AWS-LC ends the run with the function's name.
#
#   scripts/miri.sh [FILTER…]     all of them by default
#
#   MIRI_TOOLCHAIN=nightly        a toolchain with the components miri and rust-src
set -euo pipefail
cd "$(dirname "$0")/.."

toolchain=${MIRI_TOOLCHAIN:-nightly}
out=${CARGO_TARGET_DIR:-target}/miri
if ! cargo "+$toolchain" miri --version >/dev/null 2>&1; then
  echo "miri: the Rust toolchain '$toolchain' has no Miri: rustup toolchain install nightly --component miri,rust-src" >&2
  exit 1
fi
filters=("$@")
if [ ${#filters[@]} -eq 0 ]; then
  filters=(ffi::miri:: sys::parker:: sys::threads:: sys::single_flight:: sys::per_process:: sys::lend:: sys::fork_ sys::memory_reserve::
    sys::wipe:: sys::random:: encoding:: sanitize:: encryption_context:: secret:: call_control:: api::retry:: api::rate_limiter::
    seal::format::context:: seal::format::frame:: sign::ecdsa_signature::)
fi
# The tests use the system's files and clocks.
export MIRIFLAGS="-Zmiri-disable-isolation${MIRIFLAGS:+ $MIRIFLAGS}"
cargo "+$toolchain" miri test --quiet --locked --lib --target-dir "$out" -- "${filters[@]}"
