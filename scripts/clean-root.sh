#!/usr/bin/env bash
# Runs a command in a fresh Debian that holds git, ca-certificates, make and this machine's Rust and nothing else, with a
# copy of this source tree as the current folder. Needs root, and network for apt.
#
#   scripts/clean-root.sh SUITE COMMAND [ARGUMENT…]     SUITE is bullseye, bookworm, trixie, …
#
#   --user              as an ordinary user without sudo
#   --mount HOST:PLACE  a folder of this machine, read-only in there
#
# The base system is bootstrapped once for each suite, into target/clean-roots. The root itself is removed afterwards.
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
[ $# -ge 2 ] || { echo "usage: scripts/clean-root.sh [--user] [--mount HOST:PLACE] SUITE COMMAND [ARGUMENT…]" >&2; exit 2; }
suite=$1
shift
[ "$(id -u)" = 0 ] || { echo "clean-root: only root can make one" >&2; exit 1; }

out=$(mkdir -p "${CARGO_TARGET_DIR:-target}" && cd "${CARGO_TARGET_DIR:-target}" && pwd)
roots=$out/clean-roots
base=$roots/$suite.tar
mkdir -p "$roots"

# The archive that this machine's apt uses.
mirror() {
  apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' | grep -v -e security -e nodesource | grep /debian/ |
    head -n 1
}

if [ ! -e "$base" ]; then
  new=$(mktemp -d "$roots/new.XXXXXX")
  trap 'rm -rf "$new"' EXIT
  /usr/sbin/debootstrap --variant=minbase --include=git,ca-certificates,make "$suite" "$new/root" "$(mirror)" >"$new/log" 2>&1 ||
    { tail -n 20 "$new/log" >&2; exit 1; }
  tar -cf "$new/root.tar" -C "$new/root" .
  mv "$new/root.tar" "$base"
  rm -rf "$new"
fi

work=$(mktemp -d "$roots/root.XXXXXX")
# The mounts are in a namespace of their own and are gone by then.
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/root" "$work/cargo/upper" "$work/cargo/work" "$work/rustup/upper" "$work/rustup/work"
tar -xf "$base" -C "$work/root"
mkdir -p "$work/root/cargo" "$work/root/rustup" "$work/root/tckms"
git ls-files -z --cached --others --exclude-standard | tar -c --null --files-from=- --ignore-failed-read |
  tar -x -C "$work/root/tckms"
# Whatever lets this machine reach its registries.
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
