#!/usr/bin/env bash
# Test programs of other projects, with the module and the emulator. Each is compiled from the folder that its variable names; without
# one it is named as not run. The sources stay out of this repository.
#
#   PKCS11TEST_SOURCE        https://github.com/google/pkcs11test
#   PKCS11_PROVIDER_SOURCE   https://github.com/latchset/pkcs11-provider, compiled in build/ (meson setup build &&
#                            ninja -C build && ninja -C build meson-test-prereq)
#   LIBP11_SOURCE            https://github.com/OpenSC/libp11, compiled (./bootstrap && ./configure && make && make check TESTS=)
#   OPENSC_SOURCE            https://github.com/OpenSC/OpenSC, compiled with cmocka (./bootstrap && ./configure --disable-pcsc && make)
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
export TCKMS_PKCS11_LOG=$work/module.log TCKMS_PKCS11_CONFIG=$work/pkcs11.conf
(
  set -e
  exec >"$work/certificates" 2>&1
  export OPENSSL_CONF=/etc/ssl/openssl.cnf
  cd "$work"
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=authority -keyout ca.key -out ca.pem
  openssl req -new -key ca.key -subj /CN=leaf -out leaf.csr
  printf '[token "tckms"]\nregion = ap-guangzhou\n' >pkcs11.conf
  for key in web rsa decrypt; do
    id=TCKMS_KEY_ID_$key
    "$out/release/tckms" public-key --key "${!id}" -o $key.pub
    openssl x509 -req -in leaf.csr -force_pubkey $key.pub -CA ca.pem -CAkey ca.key -CAcreateserial -out $key.pem
    printf '[key "%s"]\nid = %s\ncertificate = %s.pem\n' $key "${!id}" $key >>pkcs11.conf
  done
  echo 'usage = decrypt' >>pkcs11.conf
) || { cat "$work/certificates" >&2; exit 1; }

# has VARIABLE FILE SUITE: whether a suite's files are there.
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
  if "$@" >"$work/said" 2>&1 </dev/null; then
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
  cp -a "$PKCS11TEST_SOURCE" "$work/pkcs11test"
  passes google_pkcs11test_compiles make -C "$work/pkcs11test" pkcs11test
  passes google_pkcs11test timeout 300 "$work/pkcs11test/pkcs11test" -m "$(basename "$module")" -l "$(dirname "$module")" -s 0 -u 1234 -o 1234 \
    "--gtest_filter=-$(IFS=:; echo "${google_left_out[*]}")"
  grep -h '^\[  PASSED' "$work/said"
}

# uri LABEL CLASS
uri() { echo "pkcs11:token=tckms;object=$1;type=$2;pin-value=1234"; }

# libp11's programs by its own engine and by its own provider. Left out is what makes keys (session-pool-stress), or signs by PSS with
# the longest salt, which KMS does not do (rsa-pss-sign).
libp11() {
  local tests key
  has LIBP11_SOURCE src/.libs/pkcs11.so libp11 || return
  tests=$(cd "$LIBP11_SOURCE/tests" && pwd)
  sed -e "s|@ENGINE_PATH@|$tests/../src/.libs/pkcs11.so|; s|@MODULE_PATH@|$module|" "$tests/engines.cnf.in" >"$work/engines.cnf"
  cat >"$work/libp11prov.cnf" <<EOF
openssl_conf = init
[init]
providers = providers
[providers]
default = default_provider
pkcs11prov = libp11_provider
[default_provider]
activate = 1
[libp11_provider]
identity = pkcs11prov
module = $tests/../src/.libs/pkcs11prov.so
pkcs11_module = $module
activate = 1
EOF
  local by_engine=(timeout 120 env "LD_LIBRARY_PATH=$tests/../src/.libs" "OPENSSL_ENGINES=$tests/../src/.libs")
  local by_provider=("${by_engine[@]}" "OPENSSL_CONF=$work/libp11prov.cnf")
  passes libp11_list_tokens "${by_engine[@]}" "$tests/list-tokens" "$module"
  passes libp11_fork_test "${by_engine[@]}" "$tests/fork-test" "$module" 1234
  passes libp11_rsa_oaep "${by_engine[@]}" "$tests/rsa-oaep" 1234 "$work/engines.cnf" "$(uri decrypt private)" "$(uri decrypt public)" "$module"
  passes libp11_fork_change_slot fork_change_slot "${by_engine[@]}" "$tests/fork-change-slot" "$(uri web private)" "$work/engines.cnf" "$module"
  for key in web rsa; do
    passes libp11_evp_sign_$key "${by_engine[@]}" "$tests/evp-sign" ctrl false "$work/engines.cnf" "$(uri $key private)" "$(uri $key public)" "$module"
    passes libp11_evp_sign_pin_$key "${by_engine[@]}" "$tests/evp-sign" default 1234 "$work/engines.cnf" "$(uri $key private)" "$(uri $key public)" "$module"
    passes libp11_check_privkey_$key "${by_engine[@]}" "$tests/check-privkey" "$work/$key.pem" "$(uri $key private)" "$module" "$work/engines.cnf"
    passes libp11_provider_evp_sign_$key "${by_provider[@]}" "$tests/evp-sign-prov" default "$(uri $key private)" "$(uri $key public)"
    passes libp11_provider_check_privkey_$key "${by_provider[@]}" "$tests/check-privkey-prov" "$work/$key.pem" "$(uri $key private)"
  done
  passes libp11_provider_rsa_oaep "${by_provider[@]}" "$tests/rsa-oaep-prov" "$(uri decrypt private)" "$(uri decrypt public)"
  passes libp11_provider_dup_key "${by_provider[@]}" "$tests/dup-key-prov" "$(uri web private)" "$(uri web public)"
}

# The program forks, and its child signs once it has a signal.
fork_change_slot() {
  "$@" &
  local limit=$! child=
  for _ in $(seq 100); do
    # The child of what `timeout` runs.
    child=$(pgrep -P "$(pgrep -P $limit || echo 0)")
    [ -z "$child" ] || break
    sleep 0.1
  done
  sleep 1
  kill -USR1 "$child"
  wait $limit
}

# pkcs11-provider's compiled programs. Left out is what makes keys (tgenkey, tfork, tpkey, tecx, taead).
pkcs11_provider() {
  local tests
  has PKCS11_PROVIDER_SOURCE build/tests/tsession pkcs11_provider || return
  tests=$(cd "$PKCS11_PROVIDER_SOURCE/build/tests" && pwd)
  cat >"$work/provider.cnf" <<EOF
openssl_conf = init
[init]
providers = providers
[providers]
default = default_provider
pkcs11 = pkcs11_provider
[default_provider]
activate = 1
[pkcs11_provider]
module = $tests/../src/pkcs11.so
pkcs11-module-path = $module
pkcs11-module-token-pin = 1234
pkcs11-module-load-behavior = early
activate = 1
EOF
  local environment=(timeout 120 env "OPENSSL_CONF=$work/provider.cnf" PINVALUE=1234 "BASEURI=pkcs11:token=tckms;object=rsa"
    "ECBASEURI=pkcs11:token=tckms;object=web" "PRIURI=pkcs11:token=tckms;object=rsa;type=private"
    "PUBURI=pkcs11:token=tckms;object=rsa;type=public" "ECPRIURI=pkcs11:token=tckms;object=web;type=private")
  local program
  for program in tsession treadkeys tdigests tlsctx pincache; do
    passes pkcs11_provider_$program "${environment[@]}" "$tests/$program"
  done
  passes pkcs11_provider_tcmpkeys "${environment[@]}" "$tests/tcmpkeys" "pkcs11:token=tckms;object=rsa;type=private" \
    "pkcs11:token=tckms;object=rsa;type=public"
  passes pkcs11_provider_ccerts "${environment[@]}" "$tests/ccerts" "pkcs11:token=tckms;object=rsa;type=cert"
  passes pkcs11_provider_tlssetkey "${environment[@]}" "$tests/tlssetkey" "pkcs11:token=tckms;object=web;type=cert" \
    "pkcs11:token=tckms;object=web;type=private"

  # Its scripts, with the variables that its setup.sh would write. Left out is what makes keys, and trsa, which signs without padding.
  local folder=$work/provider
  mkdir "$folder"
  sed -e "s|@libtoollibs@|$tests/../src|; s|@SHARED_EXT@|.so|; s|@testsdir@|$folder|; s|@PINFILE@|$folder/pin|" \
    "$PKCS11_PROVIDER_SOURCE/tests/openssl.cnf.in" >"$folder/openssl.cnf"
  echo 1234 >"$folder/pin"
  head -c 2048 /dev/urandom >"$folder/noise"
  head -c 65536 /dev/urandom >"$folder/64k"
  local object="pkcs11:token=tckms;object"
  local variables=(timeout 120 env "TESTSSRCDIR=$(cd "$PKCS11_PROVIDER_SOURCE/tests" && pwd)" "TESTBLDDIR=$tests" "TMPPDIR=$folder"
    "OPENSSL_CONF=$folder/openssl.cnf" "PKCS11_PROVIDER_MODULE=$module" "P11LIB=$module" TOKENTYPE=tckms TOKENLABEL=tckms PINVALUE=1234
    "SEEDFILE=$folder/noise" "RAND64FILE=$folder/64k" "BASEURI=$object=rsa" "PRIURI=$object=rsa;type=private"
    "PUBURI=$object=rsa;type=public" "CRTURI=$object=rsa;type=cert" "ECBASEURI=$object=web" "ECPRIURI=$object=web;type=private"
    "ECPUBURI=$object=web;type=public" "ECCRTURI=$object=web;type=cert")
  for program in tecc trsapss tdigest trand turi tpubkey; do
    passes pkcs11_provider_$program "${variables[@]}" bash -e "$PKCS11_PROVIDER_SOURCE/tests/$program"
  done
}

# OpenSC's test program, and the tests in its current pkcs11-tool. What fails is the one test that takes every module with two
# interfaces for OpenSC, whose interfaces have no flags.
opensc() {
  has OPENSC_SOURCE src/tests/p11test/p11test opensc || return
  local tool=(timeout 120 "$OPENSC_SOURCE/src/tools/pkcs11-tool" --module "$module")
  passes opensc_p11test p11test "$OPENSC_SOURCE/src/tests/p11test/p11test"
  passes opensc_pkcs11_tool_fork "${tool[@]}" --test-fork
  passes opensc_pkcs11_tool_threads "${tool[@]}" --list-slots --test-threads IN --test-threads ILGISLT0 --test-threads ILGISLT0
  passes opensc_pkcs11_tool_lists "${tool[@]}" --list-objects
  local mechanism key
  for mechanism in ECDSA-SHA224 ECDSA-SHA256 ECDSA-SHA384 ECDSA-SHA512 SHA256-RSA-PKCS SHA256-RSA-PKCS-PSS; do
    case $mechanism in ECDSA*) key=web ;; *) key=rsa ;; esac
    passes opensc_pkcs11_tool_signs_$mechanism "${tool[@]}" --sign --mechanism $mechanism --label $key -i "$work/ca.pem" -o "$work/signature"
    passes opensc_pkcs11_tool_verifies_$mechanism verifies "${tool[@]}" --verify --mechanism $mechanism --label $key -i "$work/ca.pem" \
      --signature-file "$work/signature"
  done
}

p11test() {
  local failed
  timeout 300 "$1" -m "$module" -s 0 -p 1234 >"$work/p11test" 2>&1
  cat "$work/p11test"
  failed=$(sed -n 's/^\[  FAILED  \] \([a-z_]*\)$/\1/p' "$work/p11test" | sort -u)
  grep -q '^\[  PASSED  \] 9 test' "$work/p11test" && [ "$failed" = interface_test ]
}

# pkcs11-tool ends with 0 also if the signature is invalid.
verifies() { "$@" | tee /dev/stderr | grep -q 'Signature is valid'; }

google_pkcs11test
libp11
pkcs11_provider
opensc

echo
for reason in "${not_run[@]}"; do echo "NOT TESTED: $reason"; done
echo "${#passed[@]} passed, ${#failed[@]} failed, ${#not_run[@]} not run"
[ ${#failed[@]} = 0 ]
