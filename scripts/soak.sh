#!/usr/bin/env bash
# What only goes wrong once in a thousand runs: first, once, the models of what threads share, Miri, an allocator that fails
# at each single allocation, and 100,000 calls of a queue among faults; then fuzzing with a corpus that grows from run to run
# (scripts/fuzz.sh) for a quarter of SOAK_SECONDS (default: an hour), or FUZZ_SECONDS for each target; a fleet with branch
# keys for a twelfth; then the tests about faults, threads and processes, again and again for the rest. The first failure
# ends it, with the test's output.
set -euo pipefail
cd "$(dirname "$0")/.."

seconds=${SOAK_SECONDS:-3600}
cargo=${CARGO:-cargo}
log=$(mktemp)
trap 'rm -f "$log"' EXIT

# The fault matrix, and what is about threads and processes.
tests=(--test faults --test hosts)

# Built first: the time is for running.
"$cargo" test --locked --no-run "${tests[@]}"
FUZZ_SECONDS=1 scripts/fuzz.sh >/dev/null

"$cargo" test --locked --manifest-path models/Cargo.toml --target-dir "${CARGO_TARGET_DIR:-target}/models"
echo "soak: the models hold"
scripts/miri.sh
echo "soak: Miri found nothing"
TEST_TORTURE_STRIDE=1 "$cargo" test --locked --test c_api an_allocator_that_fails
echo "soak: no allocation that fails ends the process"
TCKMS_QUEUE_CALLS=100000 "$cargo" test --locked --test hosts every_call_is_done_exactly_once
echo "soak: 100000 queued calls among faults were done once each"

began=$(date +%s)
end=$((began + seconds))
elapsed() { echo $(($(date +%s) - began)); }
# Two targets run at once.
targets=$(grep -c '^path = "fuzz_targets/' fuzz/Cargo.toml)
FUZZ_SECONDS=${FUZZ_SECONDS:-$((seconds / 4 / ((targets + 1) / 2) + 1))} scripts/fuzz.sh
echo "soak: fuzzing found nothing in $(elapsed) s"

fleet=$((seconds / 12 + 13))
if ! TCKMS_FLEET_SECONDS=$fleet "$cargo" test --locked --test seal branch_fleet -- --nocapture >"$log" 2>&1; then
  cat "$log" >&2
  echo "soak: the fleet FAILED after $(elapsed) s" >&2
  exit 1
fi
grep -E ' hosts, |test result' "$log"

round=0
while [ "$(date +%s)" -lt "$end" ]; do
  round=$((round + 1))
  if ! "$cargo" test --locked "${tests[@]}" >"$log" 2>&1; then
    cat "$log" >&2
    echo "soak: round $round FAILED after $(elapsed) s" >&2
    exit 1
  fi
  echo "soak: round $round passed, $(elapsed) of $seconds s: $(grep -c '\.\.\. ok$' "$log") tests"
done
echo "soak: $round rounds passed"
