#!/usr/bin/env bash
# The inner loop: unit tests, and the C programs of tests/c_api.rs with gcc against the emulator. It uses no clang, valgrind or
# sanitizer, and installs nothing. It builds the library without link-time optimisation, in a separate target folder. A change
# that passes must still pass `make test`.
#
#   scripts/check.sh [FILTER…]    only the tests whose names contain one of the words
set -euo pipefail
cd "$(dirname "$0")/.."

export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-target}/check
export CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16 CARGO_PROFILE_RELEASE_OPT_LEVEL=1
# Tests that use both compilers use only gcc.
export TCKMS_CHECK=1
export CARGO_PROFILE_RELEASE_INCREMENTAL=true CARGO_PROFILE_DEV_DEBUG=0 CARGO_PROFILE_TEST_DEBUG=0
# Most of the tests wait, for timeouts and back-off.
export RUST_TEST_THREADS=${RUST_TEST_THREADS:-$((2 * $(nproc)))}
cargo=${CARGO:-cargo}

"$cargo" rustc --quiet --release --locked --lib --crate-type cdylib,staticlib --features wipe-on-free
"$cargo" build --quiet --release --locked -p tckms-emulator
"$cargo" build --quiet --release --locked -p tckms-cli --features wipe-on-free
scripts/dist.sh

# An older system may not have what these tests compare with.
left_out=(--skip clang --skip valgrind --skip sanitizers)
leave_out() {
  echo "check: NOT RUN: tests with '$1' in their names, because $2"
  left_out+=(--skip "$1")
}
pkg-config --exists libevent_core libuv 2>/dev/null || leave_out the_examples_makefile "libevent or libuv is missing"
case $(openssl version 2>/dev/null) in
  "OpenSSL "[3-9].*) ;;
  *) leave_out openssl "the program openssl is missing or older than version 3" ;;
esac
exec "$cargo" test --locked --lib --test c_api -- "${left_out[@]}" "$@"
