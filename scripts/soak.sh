#!/bin/sh
# Loops the tests about faults, threads and processes for SOAK_SECONDS (default: an hour). What only goes wrong once in
# a thousand runs shows itself here. The first failure ends it, with the test's output.
set -eu

cd "$(dirname "$0")/.."
seconds=${SOAK_SECONDS:-3600}
cargo=${CARGO:-cargo}
log=$(mktemp)
trap 'rm -f "$log"' EXIT

# The test crates to loop: the fault matrix, and those about threads and processes.
tests="--test faults"
for name in threads process; do
    if [ -f "tests/$name.rs" ]; then
        tests="$tests --test $name"
    fi
done

# Built first: the time is for running.
# shellcheck disable=SC2086 # A list of words.
$cargo test --locked --no-run $tests

began=$(date +%s)
end=$((began + seconds))
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
