#!/bin/sh
# Runs the fuzz targets for a quarter of SOAK_SECONDS (default: an hour) and loops the tests about faults, threads and
# processes for the rest. What only goes wrong once in a thousand runs shows itself here. The first failure ends it, with
# the test's output.
set -eu

cd "$(dirname "$0")/.."
seconds=${SOAK_SECONDS:-3600}
cargo=${CARGO:-cargo}
log=$(mktemp)
trap 'rm -f "$log"' EXIT

# The fault matrix, and what is about threads and processes.
tests="--test faults --test process --test thread_sanitizer --test prefork"

# Built first: the time is for running. The fuzz targets build themselves when they are run.
# shellcheck disable=SC2086 # A list of words.
$cargo test --locked --no-run $tests
FUZZ_SECONDS=1 $cargo test --locked --test fuzz

began=$(date +%s)
end=$((began + seconds))
# Five targets, two at a time.
FUZZ_SECONDS=$((seconds / 10 + 1)) $cargo test --locked --test fuzz -- --test-threads 2
echo "soak: fuzzing found nothing in $(($(date +%s) - began)) s"
round=0
while [ "$(date +%s)" -lt "$end" ]; do
    round=$((round + 1))
    # shellcheck disable=SC2086 # A list of words.
    if ! $cargo test --locked $tests > "$log" 2>&1; then
        cat "$log" >&2
        echo "soak: round $round FAILED after $(($(date +%s) - began)) s" >&2
        exit 1
    fi
    echo "soak: round $round passed, $(($(date +%s) - began)) of $seconds s: $(grep -c '\.\.\. ok$' "$log") tests"
done
echo "soak: $round rounds passed"
