#!/usr/bin/env bash
# Runs a command in a fresh Debian that has only git, ca-certificates, make and this machine's Rust. The current folder is a
# copy of this source tree. Needs root, and network access for apt.
#
#   scripts/clean-root.sh [OPTION…] SUITE COMMAND [ARGUMENT…]     SUITE is bullseye, bookworm, trixie, …
#
#   --user             run the command as an ordinary user without sudo
#   --mount HOST:PATH  mount the folder HOST of this machine at PATH, read-only
#
# debootstrap creates the base system of a suite once, in target/clean-roots. The root of a run is removed at its end.
set -euo pipefail
cd "$(dirname "$0")/.."

user=root mounts=()
while :; do
  case ${1:-} in
    --user) user=guest; shift ;;
    --mount) mounts+=("$2"); shift 2 ;;
    *) break ;;
  esac
done
[ $# -ge 2 ] || { echo "usage: scripts/clean-root.sh [--user] [--mount HOST:PATH] SUITE COMMAND [ARGUMENT…]" >&2; exit 2; }
suite=$1
shift
[ "$(id -u)" = 0 ] || { echo "clean-root: only root can create a root file system" >&2; exit 1; }

out=$(mkdir -p "${CARGO_TARGET_DIR:-target}" && cd "${CARGO_TARGET_DIR:-target}" && pwd)
roots=$out/clean-roots
base=$roots/$suite.tar
mkdir -p "$roots"


if [ ! -e "$base" ]; then
  new=$(mktemp -d "$roots/new.XXXXXX")
  trap 'rm -rf "$new"' EXIT
  /usr/sbin/debootstrap --variant=minbase --include=git,ca-certificates,make "$suite" "$new/root" "$(scripts/debian-mirror.sh)" >"$new/log" 2>&1 ||
    { tail -n 20 "$new/log" >&2; exit 1; }
  tar -cf "$new/root.tar" -C "$new/root" .
  mv "$new/root.tar" "$base"
  rm -rf "$new"
fi

work=$(mktemp -d "$roots/root.XXXXXX")
# The mounts are in a separate namespace, which has ended by then.
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/root" "$work/cargo/upper" "$work/cargo/work" "$work/rustup/upper" "$work/rustup/work"
tar -xf "$base" -C "$work/root"
mkdir -p "$work/root/cargo" "$work/root/rustup" "$work/root/tckms"
git ls-files -z --cached --others --exclude-standard | tar -c --null --files-from=- --ignore-failed-read |
  tar -x -C "$work/root/tckms"
# With these files, programs inside reach the registries that this machine reaches.
cp /etc/resolv.conf "$work/root/etc/resolv.conf"
cp /etc/ssl/certs/ca-certificates.crt "$work/root/etc/host-certificates.crt"

export WORK=$work ROOT=$work/root USER_INSIDE=$user MOUNTS="${mounts[*]}"
export HOST_CARGO=${CARGO_HOME:-$HOME/.cargo} HOST_RUSTUP=${RUSTUP_HOME:-$HOME/.rustup}
unshare --mount --pid --fork --kill-child bash -euo pipefail -c '
  mount --make-rprivate /
  for name in cargo rustup; do
    lower=HOST_${name^^}
    mount -t overlay overlay -o "lowerdir=${!lower},upperdir=$WORK/$name/upper,workdir=$WORK/$name/work" "$ROOT/$name"
  done
  for pair in $MOUNTS; do
    mkdir -p "$ROOT/${pair#*:}"
    mount --bind -o ro "${pair%%:*}" "$ROOT/${pair#*:}"
  done
  mount -t proc proc "$ROOT/proc"
  mount --rbind /dev "$ROOT/dev"
  inside=(env -i PATH=/cargo/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8
    CARGO_HOME=/cargo RUSTUP_HOME=/rustup CARGO_HTTP_CAINFO=/etc/host-certificates.crt PIP_CERT=/etc/host-certificates.crt
    SSL_CERT_FILE=/etc/host-certificates.crt NODE_EXTRA_CA_CERTS=/etc/host-certificates.crt)
  chroot "$ROOT" "${inside[@]}" bash -c "cd /tckms && git init -q && git add -A &&
    git -c user.name=test -c user.email=test@test.invalid commit -q -m test &&
    if [ $USER_INSIDE != root ]; then useradd -m guest && chown -R guest /tckms; fi"
  if [ "$USER_INSIDE" = root ]; then
    chroot "$ROOT" "${inside[@]}" sh -c "cd /tckms && exec \"\$@\"" sh "$@"
  else
    chroot --userspec=guest "$ROOT" "${inside[@]}" HOME=/home/guest sh -c "cd /tckms && exec \"\$@\"" sh "$@"
  fi
' clean-root "$@"
