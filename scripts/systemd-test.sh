#!/usr/bin/env bash
# Tests `tckms credentials` with a real systemd: a Debian is booted by systemd-nspawn, and units in it get their secrets by
# LoadCredential= from the socket and the service of packaging/systemd, which are used as they are installed. KMS is the emulator
# of this machine. Needs root, network for apt, and what `make build` made.
#
#   scripts/systemd-test.sh [SUITE]     bookworm unless another Debian is named
set -euo pipefail
cd "$(dirname "$0")/.."

suite=${1:-bookworm}
[ "$(id -u)" = 0 ] || { echo "systemd-test: only root can boot a system" >&2; exit 1; }
out=$(mkdir -p "${CARGO_TARGET_DIR:-target}" && cd "${CARGO_TARGET_DIR:-target}" && pwd)
base=$out/clean-roots/$suite-systemd.tar
mkdir -p "$out/clean-roots"

# The archive that this machine's apt uses.
mirror() {
  apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' | grep -v -e security -e nodesource | grep /debian/ |
    head -n 1
}

work=$(mktemp -d "$out/clean-roots/systemd.XXXXXX")
trap 'rm -rf "$work"; [ -z "${TCKMS_EMULATOR_PID:-}" ] || kill "$TCKMS_EMULATOR_PID"' EXIT
if [ ! -e "$base" ]; then
  /usr/sbin/debootstrap --variant=minbase --include=systemd,systemd-sysv,dbus "$suite" "$work/new" "$(mirror)" >"$work/log" 2>&1 ||
    { tail -n 20 "$work/log" >&2; exit 1; }
  tar -cf "$work/new.tar" -C "$work/new" .
  mv "$work/new.tar" "$base"
  rm -rf "$work/new"
fi
root=$work/root
mkdir "$root"
tar -xf "$base" -C "$root"

# ---- What `make install` installs, and what docs/tool.md says to set up ----------------------------------------------

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
# A file of another unit that was copied: its context does not fit.
cp "$root/etc/tckms/credentials/web.service/db-password.sealed" "$root/etc/tckms/credentials/other.service/db-password"

# ---- Units that want a secret, and what looks at them -----------------------------------------------------------------

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
cat >"$root/usr/bin/look" <<'EOF'
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
[ "$(cat /result/web.service)" = 's3cret of web' ] || fail 'web.service has another secret'
[ "$(cat /result/worker@7.service)" = 's3cret of worker 7' ] || fail 'worker@7.service has another secret'
for unit in other missing; do
  if systemctl start "$unit.service"; then fail "$unit.service started without its secret"; fi
  [ ! -e "/result/$unit.service" ] || fail "$unit.service ran without its secret"
done
user=$(stat -c %u "/proc/$(systemctl show -P MainPID tckms-credentials.service)")
[ "$user" -ge 61184 ] && [ "$user" -le 65519 ] || fail "the service runs as user $user, which is none of DynamicUser="
# Many at once, and after the service was killed.
systemctl kill -s KILL tckms-credentials.service
systemctl start worker@7.service worker@7.service web.service || fail 'a unit does not start after the service was killed'
systemctl stop tckms-credentials.service
systemctl start web.service || fail 'the socket does not start the service again'
if journalctl --no-pager | grep -q s3cret; then fail 'a secret is in the journal'; fi
if ls -R /etc /var /run | grep -q s3cret; then fail 'a secret is in a name'; fi
systemd-analyze security --no-pager --threshold=20 tckms-credentials.service >/result/security || fail "$(cat /result/security)"
tail -n 1 /result/security
echo "passed with $(systemctl --version | head -n 1)"
systemctl exit 0
EOF
chmod 755 "$root/usr/bin/look"
cat >"$root/etc/systemd/system/look.service" <<'EOF'
[Unit]
After=multi-user.target
[Service]
Type=oneshot
ExecStart=/usr/bin/look
StandardOutput=append:/result/log
StandardError=append:/result/log
TimeoutStartSec=300
[Install]
WantedBy=multi-user.target
EOF
mkdir -p "$root/etc/systemd/system/multi-user.target.wants"
ln -s ../look.service "$root/etc/systemd/system/multi-user.target.wants/look.service"

# The network is this machine's, where the emulator is. Nothing is registered, so that no system bus is needed out here.
status=0
timeout 600 systemd-nspawn --quiet --register=no --keep-unit --directory="$root" --boot </dev/null >"$work/console" 2>&1 || status=$?
sed 's/^/systemd-test: /' "$root/result/log" || tail -n 40 "$work/console"
exit "$status"
