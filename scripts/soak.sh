#!/usr/bin/env bash
# Looks for rare failures, for SOAK_SECONDS (default: an hour). The first failure ends it, with the test's output.
#
# First, once and not counted in that time: the loom models of the state that threads share, Miri, an allocator that fails at each
# single allocation, and 100,000 calls of a queue among faults. Then:
#
#   a quarter of the time   scripts/fuzz.sh, with a corpus that grows from run to run; FUZZ_SECONDS sets the time for each target
#   a twelfth               a fleet with branch keys
#   the rest                the tests of faults, threads and processes, repeatedly
set -euo pipefail
cd "$(dirname "$0")/.."

seconds=${SOAK_SECONDS:-3600}
cargo=${CARGO:-cargo}
log=$(mktemp)
trap 'rm -f "$log"' EXIT

# The fault matrix, and the tests of threads and processes.
tests=(--test faults --test hosts)

# Built first, so that the time is spent on running.
"$cargo" test --locked --no-run "${tests[@]}"
FUZZ_SECONDS=1 scripts/fuzz.sh >/dev/null

"$cargo" test --locked --manifest-path models/Cargo.toml --target-dir "${CARGO_TARGET_DIR:-target}/models"
echo "soak: all models passed"
scripts/miri.sh
echo "soak: Miri found nothing"
TEST_TORTURE_STRIDE=1 "$cargo" test --locked --test c_api an_allocator_that_fails
echo "soak: no failed allocation ended the process"
TCKMS_QUEUE_CALLS=100000 "$cargo" test --locked --test hosts every_call_is_done_exactly_once
echo "soak: each of 100000 queued calls among faults completed once"

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
