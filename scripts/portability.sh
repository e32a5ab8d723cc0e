#!/usr/bin/env bash
# Builds the library for other platforms and runs its core C tests there, against an emulator on this machine:
#
#   aarch64-unknown-linux-gnu    Debian's cross compiler, run by qemu-user
#   x86_64-unknown-linux-musl    programs that are linked with -static, also in an empty root, and the shared library with musl's
#                                loader
#
#   scripts/portability.sh [TARGET…]
#
# Lists the targets that this machine cannot test at the end, and then fails.
set -euo pipefail
cd "$(dirname "$0")/.."

out=${CARGO_TARGET_DIR:-target}
emulator=$out/release/tckms-emulator
[ -x "$emulator" ] || { echo "portability: $emulator is missing; run 'make build'" >&2; exit 1; }
work=$(mktemp -d)
pid=
stop() {
  if [ -n "$pid" ]; then kill "$pid" 2>/dev/null && wait "$pid" 2>/dev/null || true; fi
  pid=
}
trap 'stop; rm -rf "$work"' EXIT
missing=()
say() { echo "portability: $*"; }

# The core test programs, and the aliases of the CMKs that each of them needs.
programs="
constants
bad_input
replies
core_calls main other
errors main disabled archived
logging main
"

# run_tests NAME RUNNER COMPILER…: compiles each program with COMPILER, and runs it with RUNNER.
run_tests() {
  local name=$1 runner=$2 program aliases alias arguments output
  shift 2
  while read -r program aliases; do
    [ -n "$program" ] || continue
    "$@" -std=c99 -O1 -Wall -Wextra -pedantic -Werror -Iinclude -Itests/c "tests/c/$program.c" -o "$work/$program" "${libraries[@]}"
    arguments=()
    for alias in $aliases; do arguments+=(--key "$alias"); done
    : >"$work/ready.json"
    "$emulator" "${arguments[@]}" >"$work/ready.json" &
    pid=$!
    for _ in $(seq 100); do
      [ -s "$work/ready.json" ] && break
      sleep 0.1
    done
    output=$(
      field() { sed -n "s/.*\"$1\": *\"\([^\"]*\)\".*/\1/p" "$work/ready.json"; }
      export TCKMS_ENDPOINT TENCENTCLOUD_SECRET_ID TENCENTCLOUD_SECRET_KEY TENCENTCLOUD_REGION=ap-guangzhou
      TCKMS_ENDPOINT=$(field endpoint) TENCENTCLOUD_SECRET_ID=$(field secret_id) TENCENTCLOUD_SECRET_KEY=$(field secret_key)
      for alias in $aliases; do export "TEST_KEY_${alias^^}=$(field "$alias")"; done
      $runner "$work/$program" | tail -n 1
    )
    stop
    say "$name: $program: $output"
  done <<<"$programs"
}

# Runs a static program where nothing else exists: no C library, no device, no configuration.
in_an_empty_root() {
  rm -rf "$work/root"
  mkdir "$work/root"
  cp "$1" "$work/root/program"
  /usr/sbin/chroot "$work/root" /program
}

has_target() { [ -d "$(rustc --print sysroot)/lib/rustlib/$1/lib" ]; }

build() {
  # Only the archive, from which dist.sh links the shared library: with these flags cargo cannot link one for musl.
  cargo rustc --quiet --release --locked --lib --crate-type staticlib --features wipe-on-free --target "$1"
  TARGET=$1 scripts/dist.sh
  libraries_of="$out/$1/dist"
}

aarch64() {
  local target=aarch64-unknown-linux-gnu
  export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc CC_aarch64_unknown_linux_gnu=aarch64-linux-gnu-gcc
  CC= CROSS=aarch64-linux-gnu- build $target
  libraries=(-L"$libraries_of" -ltckms -pthread)
  run_tests "$target, shared" "qemu-aarch64 -L /usr/aarch64-linux-gnu -E LD_LIBRARY_PATH=$libraries_of" aarch64-linux-gnu-gcc
  libraries=("$libraries_of/libtckms.a" -lpthread -ldl -lm)
  run_tests "$target, archive" "qemu-aarch64 -L /usr/aarch64-linux-gnu" aarch64-linux-gnu-gcc
}

musl() {
  local target=x86_64-unknown-linux-musl unwinder
  # Otherwise Rust would put its own C library into the archive, in addition to the program's.
  export RUSTFLAGS="-C target-feature=-crt-static" CC_x86_64_unknown_linux_musl=musl-gcc
  export CARGO_TARGET_X86_64_UNKNOWN_LINUX_MUSL_LINKER=musl-gcc
  # Debian's libgcc is for glibc, so Rust's unwinder is used. Alpine has a libgcc for musl and does not need this.
  unwinder=$(rustc --print sysroot)/lib/rustlib/$target/lib/self-contained/libunwind.a
  CC=musl-gcc UNWINDER=$unwinder build $target
  libraries=("$libraries_of/libtckms.a" "$unwinder" -pthread)
  run_tests "$target, static" "" musl-gcc -static
  if [ "$(id -u)" = 0 ]; then
    run_tests "$target, static, in an empty root" in_an_empty_root musl-gcc -static
  else
    say "NOT TESTED: $target, static, in an empty root: only root can change the root"
  fi
  libraries=(-L"$libraries_of" -ltckms -pthread)
  run_tests "$target, shared" "env LD_LIBRARY_PATH=$libraries_of" musl-gcc
}

try() {
  local target=$1 name=$2 tool
  shift 2
  has_target "$target" || { missing+=("$target: Rust's library for it is missing; run 'rustup target add $target'"); return; }
  for tool in "$@"; do
    command -v "$tool" >/dev/null || { missing+=("$target: $tool is missing; run 'scripts/setup.sh portability'"); return; }
  done
  # In a subshell, because it exports variables.
  ("$name")
}

for target in ${*:-aarch64-unknown-linux-gnu x86_64-unknown-linux-musl}; do
  case $target in
    aarch64-unknown-linux-gnu) try "$target" aarch64 aarch64-linux-gnu-gcc qemu-aarch64 ;;
    x86_64-unknown-linux-musl) try "$target" musl musl-gcc ;;
    *) missing+=("$target: unknown target") ;;
  esac
done
if [ ${#missing[@]} -gt 0 ]; then
  printf 'portability: NOT TESTED: %s\n' "${missing[@]}"
  exit 1
fi
say "done"
