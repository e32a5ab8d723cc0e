#!/usr/bin/env bash
# nginx with its TLS key in the local KMS: two workers in the background, a request, a graceful reload, and another request.
set -euo pipefail
cd "$(dirname "$0")/.."

out=$(cd "${CARGO_TARGET_DIR:-target}" && pwd)
module=$out/dist/libtckms-pkcs11.so
work=$(mktemp -d)
# The workers run as another user and read the log's folder.
chmod 755 "$work"
emulator_pid=
stop() {
  if [ -s "$work/nginx.pid" ]; then kill "$(cat "$work/nginx.pid")" 2>/dev/null || true; fi
  if [ -n "$emulator_pid" ]; then kill "$emulator_pid" 2>/dev/null || true; fi
  rm -rf "$work"
}
trap stop EXIT

exports=$("$out/release/tckms-emulator" --export --key web:ASYMMETRIC_SIGN_VERIFY_ECC)
eval "$exports"
emulator_pid=$TCKMS_EMULATOR_PID
export TCKMS_PKCS11_KEYS=web=$TCKMS_KEY_ID TCKMS_PKCS11_LOG=$work/module.log

cat >"$work/openssl.cnf" <<EOF
openssl_conf = init
[init]
engines = engines
[engines]
pkcs11 = pkcs11
[pkcs11]
engine_id = pkcs11
MODULE_PATH = $module
init = 0
[req]
distinguished_name = name
[name]
EOF
key="pkcs11:token=tckms;object=web;type=private"
OPENSSL_CONF=$work/openssl.cnf openssl req -new -x509 -sha256 -days 7 -subj /CN=localhost -addext subjectAltName=DNS:localhost \
  -engine pkcs11 -keyform engine -key "$key" -out "$work/web.pem" 2>"$work/req.log" || { cat "$work/req.log" >&2; exit 1; }

# The kernel chooses a free port. It stays free unless another program takes it before nginx starts.
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
user=
[ "$(id -u)" != 0 ] || user="user nobody $(id -gn nobody);"
cat >"$work/nginx.conf" <<EOF
daemon on;
worker_processes 2;
$user
pid $work/nginx.pid;
error_log $work/error.log notice;
ssl_engine pkcs11;
env OPENSSL_CONF; env TCKMS_PKCS11_KEYS; env TCKMS_PKCS11_LOG; env TCKMS_ENDPOINT;
env TENCENTCLOUD_REGION; env TENCENTCLOUD_SECRET_ID; env TENCENTCLOUD_SECRET_KEY;
events {}
http {
  access_log off;
  client_body_temp_path $work/body; proxy_temp_path $work/proxy; fastcgi_temp_path $work/fastcgi;
  uwsgi_temp_path $work/uwsgi; scgi_temp_path $work/scgi;
  server {
    listen 127.0.0.1:$port ssl;
    ssl_certificate $work/web.pem;
    ssl_certificate_key "engine:pkcs11:$key";
    ssl_protocols TLSv1.2 TLSv1.3;
    location / { return 200 "The key that signed this handshake is in KMS.\n"; }
  }
}
EOF
nginx=$(command -v nginx || echo /usr/sbin/nginx)
run_nginx() { OPENSSL_CONF=$work/openssl.cnf "$nginx" -c "$work/nginx.conf" -e "$work/error.log" "$@"; }
request() {
  for _ in $(seq 50); do
    if curl --silent --show-error --fail --cacert "$work/web.pem" --resolve "localhost:$port:127.0.0.1" "https://localhost:$port/" "$@"; then
      return
    fi
    sleep 0.1
  done
  echo "demo-nginx: nginx does not reply" >&2
  cat "$work/error.log" "$work/module.log" >&2 2>/dev/null
  exit 1
}

run_nginx
echo "nginx runs with two workers at https://localhost:$port; its key is the CMK $TCKMS_KEY_ID of the local KMS."
request --tlsv1.3
request --tls-max 1.2
run_nginx -s reload 2>/dev/null
sleep 1
echo "After a graceful reload:"
request
signatures=$(curl --silent "$TCKMS_ENDPOINT/_admin/requests" | grep -o '"action":"SignByAsymmetricKey"' | wc -l)
echo "The local KMS made $signatures signatures: one for the certificate, and one for each handshake."
