#!/usr/bin/env bash
# Runs all tests, also after a test program that fails, and lists at the end which tests failed and which did not run.
#
#   scripts/test.sh [OPTION OF CARGO TEST…]
set -uo pipefail
cd "$(dirname "$0")/.."

log=$(mktemp)
trap 'rm -f "$log"' EXIT
"${CARGO:-cargo}" test --locked --workspace --no-fail-fast "$@" 2>&1 | tee "$log"
status=${PIPESTATUS[0]}

sum() { sed -n "s/^test result: .* \([0-9]*\) $1;.*/\1/p" "$log" | awk '{ sum += $1 } END { print sum + 0 }'; }
echo
grep -h '^NOT TESTED: ' "$log" | sort -u
# From the list at the end of a test program: in the line of a test, its output may be between the name and "FAILED".
sed -n 's/^    \([a-z0-9_:]*\)$/failed: \1/p' "$log" | sort -u
# A test program that did not compile, or that a signal ended, has no result to count.
grep -h '^error: ' "$log" | sort -u
echo "$(sum passed) passed, $(sum failed) failed"
exit "$status"
