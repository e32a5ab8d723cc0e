#!/usr/bin/env bash
# Tests of the PKCS#11 module in addition to pkcs11/tests/module.rs. If a part fails, the others still run.
#
#   scripts/pkcs11-test.sh [PART…]     all parts by default
#
#   consumers   unmodified programs of the distribution; see pkcs11/tests/consumers/__main__.py for its variables
#   threads     64 threads, with the module built for ThreadSanitizer; TEST_SIGNATURES=10000 for each thread
#   suites      test programs of other projects, from the folders that variables name; see pkcs11/tests/suites.sh
#   speed       the instructions of C_Sign compared with tckms_sign_digest, and the times of C_Initialize and of discovery
set -uo pipefail
cd "$(dirname "$0")/.."

export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$PWD/target}

consumers() { python3 pkcs11/tests/consumers; }
threads() { TEST_SIGNATURES=${TEST_SIGNATURES:-10000} "${CARGO:-cargo}" test --locked -p tckms-pkcs11 --test thread_sanitizer; }
suites() { pkcs11/tests/suites.sh; }
speed() { scripts/bench-pkcs11.py; }

failed=()
[ $# -gt 0 ] || set -- consumers threads suites speed
for part in "$@"; do
  echo "pkcs11-test: $part"
  case $part in
    consumers | threads | suites | speed) "$part" || failed+=("$part") ;;
    *) sed -n '2,9s/^# \?//p' "$0" >&2; exit 2 ;;
  esac
done
if [ ${#failed[@]} -gt 0 ]; then
  echo "pkcs11-test: FAILED: ${failed[*]}" >&2
  exit 1
fi
