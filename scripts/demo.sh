#!/usr/bin/env bash
# Starts the local KMS, compiles the quickstart with the system's C compiler, and runs it: it encrypts and decrypts a text.
set -euo pipefail
cd "$(dirname "$0")/.."

work=$(mktemp -d)
emulator_pid=
stop() {
  if [ -n "$emulator_pid" ]; then kill "$emulator_pid" 2>/dev/null || true; fi
  rm -rf "$work"
}
trap stop EXIT

target=${CARGO_TARGET_DIR:-target}/release
exports=$("$target/tckms-emulator" --export --key demo)
eval "$exports"
emulator_pid=$TCKMS_EMULATOR_PID
key_id=$TCKMS_KEY_ID

cc -std=c99 -Wall -Wextra -pedantic -Iinclude examples-c/quickstart.c -o "$work/quickstart" \
  -L"$target" -ltckms -Wl,-rpath,"$(cd "$target" && pwd)"

echo
echo "The local KMS listens at $TCKMS_ENDPOINT and holds the CMK $key_id."
echo "examples-c/quickstart.c, compiled with $(cc --version | head -n 1), prints:"
echo
"$work/quickstart" "$key_id" "hello from C" '{"purpose":"demo"}'
echo
echo "It works: the local KMS encrypted the text, and decrypted the ciphertext to the same text."
echo "The same program runs against Tencent Cloud with your own keys in the environment; see README.md."
