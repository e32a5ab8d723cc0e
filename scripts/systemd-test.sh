#!/usr/bin/env bash
# Tests `tckms credentials` with a real systemd. systemd-nspawn boots a Debian whose units get their secrets by LoadCredential= from
# the installed socket and service of packaging/systemd. The emulator runs on this machine. Needs root, network access for apt, and
# the files of `make build`.
#
#   scripts/systemd-test.sh [SUITE]     bookworm by default
set -euo pipefail
cd "$(dirname "$0")/.."

suite=${1:-bookworm}
[ "$(id -u)" = 0 ] || { echo "systemd-test: only root can boot a system" >&2; exit 1; }
out=$(mkdir -p "${CARGO_TARGET_DIR:-target}" && cd "${CARGO_TARGET_DIR:-target}" && pwd)
base=$out/clean-roots/$suite-systemd.tar
mkdir -p "$out/clean-roots"


work=$(mktemp -d "$out/clean-roots/systemd.XXXXXX")
trap 'rm -rf "$work"; [ -z "${TCKMS_EMULATOR_PID:-}" ] || kill "$TCKMS_EMULATOR_PID"' EXIT
if [ ! -e "$base" ]; then
  /usr/sbin/debootstrap --variant=minbase --include=systemd,systemd-sysv,dbus "$suite" "$work/new" "$(scripts/debian-mirror.sh)" >"$work/log" 2>&1 ||
    { tail -n 20 "$work/log" >&2; exit 1; }
  tar -cf "$work/new.tar" -C "$work/new" .
  mv "$work/new.tar" "$base"
  rm -rf "$work/new"
fi
root=$work/root
mkdir "$root"
tar -xf "$base" -C "$root"

# ---- The files of `make install`, and the set-up of docs/tool.md -----------------------------------------------------

eval "$("$out/release/tckms-emulator" --export --key demo)"
install "$out/release/tckms" "$root/usr/bin/tckms"
install -m 644 packaging/systemd/tckms-credentials.socket "$root/etc/systemd/system"
sed 's|@BINDIR@|/usr/bin|' packaging/systemd/tckms-credentials.service.in >"$root/etc/systemd/system/tckms-credentials.service"
install -d "$root/etc/tckms/credentials/"{web,other,late}.service "$root/etc/tckms/credentials/worker@.service"
cat >"$root/etc/tckms/credentials.env" <<EOF
TENCENTCLOUD_REGION=$TENCENTCLOUD_REGION
TENCENTCLOUD_SECRET_ID=$TENCENTCLOUD_SECRET_ID
TENCENTCLOUD_SECRET_KEY=$TENCENTCLOUD_SECRET_KEY
TCKMS_ENDPOINT=$TCKMS_ENDPOINT
TCKMS_CREDENTIALS_KEYS=-k $TCKMS_KEY_ID_demo
EOF
chmod 600 "$root/etc/tckms/credentials.env"
seal() { # UNIT FILE, the secret on standard input
  "$out/release/tckms" seal -k "$TCKMS_KEY_ID_demo" -c unit="$1" -c credential=db-password -o "$root/etc/tckms/credentials/$2"
}
printf 's3cret of web' | seal web.service web.service/db-password.sealed
printf 's3cret of worker 7' | seal worker@7.service worker@.service/db-password
# A copy of another unit's file, whose context does not match.
cp "$root/etc/tckms/credentials/web.service/db-password.sealed" "$root/etc/tckms/credentials/other.service/db-password"

# ---- Units that load a secret, and the checks ------------------------------------------------------------------------

unit() { # NAME [LINE…]
  local name=$1
  shift
  {
    printf '[Service]\nType=oneshot\nLoadCredential=db-password:/run/tckms/credentials.sock\n'
    printf 'ExecStart=sh -c '\''cat "$CREDENTIALS_DIRECTORY/db-password" >"/result/%%n"'\''\n'
    printf '%s\n' "$@"
  } >"$root/etc/systemd/system/$name"
}
unit web.service
unit worker@.service User=daemon
unit other.service
unit missing.service
mkdir "$root/result"
chmod 777 "$root/result"
cat >"$root/usr/bin/run-checks" <<'EOF'
#!/bin/sh
fail() {
  echo "failed: $*"
  journalctl --no-pager -u tckms-credentials.service -u web.service -u worker@7.service -u other.service | tail -n 40
  systemctl exit 1
  exit
}
systemctl enable --now tckms-credentials.socket || fail 'the socket does not start'
for unit in web worker@7; do
  systemctl start "$unit.service" || fail "$unit.service does not start"
done
[ "$(cat /result/web.service)" = 's3cret of web' ] || fail 'web.service has a wrong secret'
[ "$(cat /result/worker@7.service)" = 's3cret of worker 7' ] || fail 'worker@7.service has a wrong secret'
for unit in other missing; do
  if systemctl start "$unit.service"; then fail "$unit.service started without its secret"; fi
  [ ! -e "/result/$unit.service" ] || fail "$unit.service ran without its secret"
done
user=$(stat -c %u "/proc/$(systemctl show -P MainPID tckms-credentials.service)")
[ "$user" -ge 61184 ] && [ "$user" -le 65519 ] || fail "the service runs as user $user, which is not one of DynamicUser="
# Several units at once, after the service was killed.
systemctl kill -s KILL tckms-credentials.service
systemctl start worker@7.service worker@7.service web.service || fail 'a unit does not start after the service was killed'
systemctl stop tckms-credentials.service
systemctl start web.service || fail 'the socket does not start the service again'
if journalctl --no-pager | grep -q s3cret; then fail 'a secret is in the journal'; fi
if ls -R /etc /var /run | grep -q s3cret; then fail 'a file name contains a secret'; fi
systemd-analyze security --no-pager --threshold=20 tckms-credentials.service >/result/security || fail "$(cat /result/security)"
tail -n 1 /result/security
echo "passed with $(systemctl --version | head -n 1)"
systemctl exit 0
EOF
chmod 755 "$root/usr/bin/run-checks"
cat >"$root/etc/systemd/system/run-checks.service" <<'EOF'
[Unit]
After=multi-user.target
[Service]
Type=oneshot
ExecStart=/usr/bin/run-checks
StandardOutput=append:/result/log
StandardError=append:/result/log
TimeoutStartSec=300
[Install]
WantedBy=multi-user.target
EOF
mkdir -p "$root/etc/systemd/system/multi-user.target.wants"
ln -s ../run-checks.service "$root/etc/systemd/system/multi-user.target.wants/run-checks.service"

# The container shares this machine's network, to reach the emulator. It is not registered, so this machine needs no system bus.
status=0
timeout 600 systemd-nspawn --quiet --register=no --keep-unit --directory="$root" --boot </dev/null >"$work/console" 2>&1 || status=$?
sed 's/^/systemd-test: /' "$root/result/log" || tail -n 40 "$work/console"
exit "$status"
