#!/usr/bin/env bash
# Starts the local KMS, compiles the quickstart with the system's C compiler, and lets it encrypt and decrypt.
set -euo pipefail
cd "$(dirname "$0")/.."

work=$(mktemp -d)
emulator_pid=
stop() {
  if [ -n "$emulator_pid" ]; then kill "$emulator_pid" 2>/dev/null && wait "$emulator_pid" 2>/dev/null || true; fi
  rm -rf "$work"
}
trap stop EXIT

target=${CARGO_TARGET_DIR:-target}/release
"$target/tckms-emulator" --key demo >"$work/ready.json" &
emulator_pid=$!
for _ in $(seq 100); do
  [ -s "$work/ready.json" ] && break
  sleep 0.1
done

# The emulator's one line of JSON has no nesting but that of the keys.
field() { sed -n "s/.*\"$1\": *\"\([^\"]*\)\".*/\1/p" "$work/ready.json"; }
# Those of another service would be refused here.
unset TENCENTCLOUD_SESSION_TOKEN TCKMS_CA_FILE
export TCKMS_ENDPOINT TENCENTCLOUD_SECRET_ID TENCENTCLOUD_SECRET_KEY TENCENTCLOUD_REGION=ap-guangzhou
TCKMS_ENDPOINT=$(field endpoint)
TENCENTCLOUD_SECRET_ID=$(field secret_id)
TENCENTCLOUD_SECRET_KEY=$(field secret_key)
key_id=$(field demo)
[ -n "$key_id" ] || { echo "demo: the emulator did not start" >&2; exit 1; }

cc -std=c99 -Wall -Wextra -pedantic -Iinclude examples-c/quickstart.c -o "$work/quickstart" \
  -L"$target" -ltckms -Wl,-rpath,"$(cd "$target" && pwd)"

echo
echo "The local KMS listens at $TCKMS_ENDPOINT and holds the CMK $key_id."
echo "examples-c/quickstart.c, compiled with $(cc --version | head -n 1), says:"
echo
"$work/quickstart" "$key_id" "hello from C" '{"purpose":"demo"}'
echo
echo "It works: the text went to the local KMS, came back as ciphertext, and was decrypted to the same text."
echo "The same program runs against Tencent Cloud with your own keys in the environment; see README.md."
