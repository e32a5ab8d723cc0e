#!/usr/bin/env bash
# Test programs of other projects, with the module and the emulator. Each is compiled from the folder that its variable names; without
# one it is named as not run. The sources stay out of this repository.
#
#   PKCS11TEST_SOURCE        https://github.com/google/pkcs11test
#   PKCS11_PROVIDER_SOURCE   https://github.com/latchset/pkcs11-provider, compiled in build/ (meson setup build && ninja -C build)
#   LIBP11_SOURCE            https://github.com/OpenSC/libp11
set -uo pipefail
cd "$(dirname "$0")/../.."

out=$(cd "${CARGO_TARGET_DIR:-target}" && pwd)
module=$out/dist/libtckms-pkcs11.so
work=$(mktemp -d)
passed=() failed=() not_run=()
trap 'kill $TCKMS_EMULATOR_PID 2>/dev/null; rm -rf "$work"' EXIT

exports=$("$out/release/tckms-emulator" --export --key web:ASYMMETRIC_SIGN_VERIFY_ECC --key rsa:ASYMMETRIC_SIGN_VERIFY_RSA_2048 \
  --key decrypt:ASYMMETRIC_DECRYPT_RSA_2048) || exit 1
eval "$exports"
export TCKMS_PKCS11_KEYS=web=$TCKMS_KEY_ID_web,rsa=$TCKMS_KEY_ID_rsa,decrypt=$TCKMS_KEY_ID_decrypt TCKMS_PKCS11_LOG=$work/module.log

# has VARIABLE FILE: whether a suite's sources are there.
has() {
  local folder=${!1:-}
  if [ -n "$folder" ] && [ -e "$folder/$2" ]; then return 0; fi
  not_run+=("$3: $1 names no folder with $2")
  return 1
}

# passes NAME COMMAND…
passes() {
  local name=$1
  shift
  if "$@" >"$work/said" 2>&1; then
    passed+=("$name")
    echo "ok      $name"
  else
    failed+=("$name")
    echo "FAILED  $name"
    tail -n 30 "$work/said"
  fi
}

# Left out is what makes keys or objects, logs in as security officer, or expects a PIN to be wrong: this module has none of these.
google_left_out=(
  '*SecretKeyTest.*' '*HmacTest*' 'DataObjectTest.*' 'KeyPairTest.*' '*SignTest.*' '*Tookan*' '*UserSessionTest.*' '*SOSessionTest.*'
  '*.DigestKey*' '*.DigestFinalIntersperse*' '*.CreateKeyPairObjects' '*.CreateSecretKeyAttributes' '*.GenerateKey*' '*TestVectors'
  '*.SignVerifyRecover' '*SOLogin*' '*.UserLoginWrongPIN' '*.AsymmetricTokenKeyPair' '*.CreateCopyDestroyObject' '*.CreateObjectInvalid'
  '*.ExtractKeys' '*.FindObjectSubset' '*.PublicExponent4Bytes' '*.SetLatchingAttribute'
)
google_pkcs11test() {
  has PKCS11TEST_SOURCE pkcs11test.h google_pkcs11test || return
  cp -r "$PKCS11TEST_SOURCE" "$work/pkcs11test"
  passes google_pkcs11test_compiles make -C "$work/pkcs11test" pkcs11test
  passes google_pkcs11test "$work/pkcs11test/pkcs11test" -m "$(basename "$module")" -l "$(dirname "$module")" -s 0 -u 1234 -o 1234 \
    "--gtest_filter=-$(IFS=:; echo "${google_left_out[*]}")"
  grep -h '^\[  PASSED' "$work/said"
}

google_pkcs11test

echo
for reason in "${not_run[@]}"; do echo "NOT TESTED: $reason"; done
echo "${#passed[@]} passed, ${#failed[@]} failed, ${#not_run[@]} not run"
[ ${#failed[@]} = 0 ]
