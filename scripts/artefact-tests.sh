#!/usr/bin/env bash
# Runs the C tests with the artefacts of `make dist`, as on other systems:
#
#   scripts/artefact-tests.sh bullseye|bookworm|trixie   in a root of that Debian: its compiler, loader and C library
#   scripts/artefact-tests.sh aarch64                    Debian's cross compiler, and qemu-user 9 or later
#   scripts/artefact-tests.sh musl                       Debian's musl-gcc, and musl's loader
#
#   scripts/artefact-tests.sh SYSTEM [FILTER…]           only the tests whose names contain one of the words
#
# The emulator runs on this machine, as built by `make build`. Creating a root file system needs root and network access for apt; it is
# stored in target/artefact-roots.
set -euo pipefail
cd "$(dirname "$0")/.."

[ $# -ge 1 ] || { sed -n '2,/^set/s/^# \{0,1\}//p' "$0" >&2; exit 2; }
system=$1
shift

mkdir -p "${CARGO_TARGET_DIR:-target}"
out=$(cd "${CARGO_TARGET_DIR:-target}" && pwd)
export CARGO_TARGET_DIR=$out
# TCKMS_ARTIFACTS names a folder of artefacts that were made on another machine.
artifacts=${TCKMS_ARTIFACTS:-$out/release-artifacts}
work=$(mktemp -d "$out/artefact-tests.XXXXXX")
trap 'rm -rf "$work"' EXIT

# Puts the files that the tests use into one folder: the libraries and the tool.
unpack() {
  local tarball
  tarball=$(echo "$artifacts"/tckms-*-linux-"$1".tar.gz)
  [ -e "$tarball" ] || { echo "artefact-tests: $tarball is missing; run 'make dist'" >&2; exit 1; }
  mkdir -p "$work/dist"
  tar -xzf "$tarball" -C "$work" --strip-components 1
  cp -a "$work"/lib/libtckms.* "$work/bin/tckms-seal" "$work/dist"
  if [ -e "$work/lib/pkcs11" ]; then cp "$work"/lib/pkcs11/* "$work/dist"; fi
  export TCKMS_TEST_DIST=$work/dist
}

# A root file system with a C compiler and the program openssl, which a test runs, but without the library.
make_root() {
  local mirror
  root=$out/artefact-roots/$1
  [ -d "$root" ] && return
  [ "$(id -u)" = 0 ] || { echo "artefact-tests: only root can create a root file system of $1" >&2; exit 1; }
  mirror=$(scripts/debian-mirror.sh)
  mkdir -p "$out/artefact-roots"
  rm -rf "$root.new"
  /usr/sbin/debootstrap --variant=minbase --include=gcc,libc6-dev,openssl "$1" "$root.new" "$mirror" >"$work/log" 2>&1 ||
    { tail -n 20 "$work/log" >&2; exit 1; }
  mv "$root.new" "$root"
}

# Runs a command in a mount namespace in which the tests' folders also exist inside the root file system, under the same names.
with_folders() {
  ROOT=$root unshare --mount --propagation private bash -euo pipefail -c '
    for folder in "$PWD" "$CARGO_TARGET_DIR" /tmp; do
      mkdir -p "$ROOT$folder"
      mount --rbind "$folder" "$ROOT$folder"
    done
    mount -t proc proc "$ROOT/proc"
    mount --rbind /dev "$ROOT/dev"
    mkdir -p "$ROOT/etc/ssl/certs"
    for file in resolv.conf hosts ssl/certs/ca-certificates.crt; do cp "/etc/$file" "$ROOT/etc/$file"; done
    exec "$@"' with-folders "$@"
}

# Tests that another system cannot run, or that do not use the artefacts: other compilers, valgrind, sanitizers, OpenSSL, programs
# that a test starts on this machine.
skip=(clang valgrind sanitizer openssl the_examples_makefile legacy_daemon panic privileges setuid capabilities
  system_calls old_kernel::sealing old_kernel::the_ old_kernel::secrets the_module_needs libevent libuv
  servers_with_one_thread every_worker_serves the_lines_in_the_readme)
run=()
case $system in
  bullseye | bookworm | trixie)
    unpack x86_64
    make_root "$system"
    export TCKMS_TEST_COMPILER="/usr/sbin/chroot $root gcc" TCKMS_TEST_RUNNER="/usr/sbin/chroot $root"
    run=(with_folders)
    # This test encrypts with SM2 by the program openssl, which cannot do that in Debian 11.
    if [ "$system" = bullseye ]; then skip+=(secrets_after_use); fi
    ;;
  aarch64)
    unpack aarch64
    # The seccomp filters are for x86-64.
    skip+=(old_kernel a_fork_is_recognized)
    # qemu-user does not enforce memory limits, adds a thread, cannot make a process a subreaper, and has no floating-point traps.
    # On ARM64 the smallest stack of a thread is 128 KiB.
    skip+=(memory_that_runs_out process::signals process::daemons the_hosts_own_state process::threads
      several_places_in_a_row)
    # These tests measure time, and emulated programs are many times slower.
    skip+=(renewal_that_is_slow dead_connections_cost_little a_hostile_server_affects a_flood_delays_no_other_call
      no_call_with_an_asymmetric_key_outlasts one_thread_has_500_calls)
    qemu=$(scripts/newer-qemu.sh)
    export TCKMS_TEST_COMPILER=aarch64-linux-gnu-gcc TCKMS_TEST_RUNNER="$qemu -L /usr/aarch64-linux-gnu"
    ;;
  musl)
    unpack x86_64-musl
    # musl-gcc has no kernel headers, and musl's malloc() cannot be replaced as glibc's can.
    skip+=(old_kernel a_fork_is_recognized an_allocator_that_fails)
    # musl reserves three signals, and has no real-time scheduling.
    skip+=(process::signals the_hosts_own_state a_thread_with_real_time_priority)
    # The runner is set so that valgrind is not used: it cannot run programs that use musl.
    TCKMS_TEST_RUNNER=$(command -v env)
    export TCKMS_TEST_RUNNER
    # A thread of musl has a stack of 128 KiB by default, and some tests need more.
    export TCKMS_TEST_COMPILER="musl-gcc -Wl,-z,stack-size=1048576"
    ;;
  *)
    echo "artefact-tests: unknown system '$system'" >&2
    exit 2
    ;;
esac

# Tests that use both compilers use only gcc.
export TCKMS_CHECK=1
cargo=${CARGO:-cargo}
programs=(--test c_api --test credentials --test faults --test hosts)
module=(--package tckms-pkcs11 --test module)
"$cargo" test --quiet --locked --no-run "${programs[@]}"
if [ -e "$work/lib/pkcs11" ]; then "$cargo" test --quiet --locked --no-run "${module[@]}"; fi

# Starts every program of the tarball.
programs_start() {
  local program
  for program in "$work"/bin/*; do
    # shellcheck disable=SC2068,SC2086
    ${run[@]} ${TCKMS_TEST_RUNNER:-} "$program" --version
  done
  # The self-test starts the emulator, which does not work under qemu-user.
  # shellcheck disable=SC2068,SC2086
  if [ -e "$work/tckms-selftest" ] && [ "$system" != aarch64 ]; then ${run[@]} ${TCKMS_TEST_RUNNER:-} "$work/tckms-selftest"; fi
}

status=0
if [ $# = 0 ]; then programs_start; fi
# shellcheck disable=SC2068 # Nothing, or a function.
${run[@]} "$cargo" test --quiet --locked --no-fail-fast "${programs[@]}" -- "${skip[@]/#/--skip=}" "$@" || status=1
if [ -e "$work/lib/pkcs11" ]; then
  # shellcheck disable=SC2068
  ${run[@]} "$cargo" test --quiet --locked --no-fail-fast "${module[@]}" -- "${skip[@]/#/--skip=}" "$@" || status=1
fi
[ $status = 0 ]
echo "artefact-tests: $system: passed"
