#!/usr/bin/env bash
# Checks that this machine has the tools that a make target needs. Lists all missing tools at once, and installs them with apt,
# rustup and cargo. If that is not possible, prints the commands that install them.
#
#   scripts/setup.sh LEVEL           check, install, check again
#   scripts/setup.sh --check LEVEL   check only; fails if something is missing
#
# The levels are the make targets that need something:
#
#   build         what `make build` needs
#   demo          also what the demo and the first command line of the README need
#   demo-nginx    also what `make demo-nginx` needs
#   pkcs11-test   also what `make pkcs11-test` needs: the tools of the tests, and those of the tested programs that this system has
#   deb           also what `make deb` needs
#   test          also what the tests need
#   soak          also what `make soak` needs: Miri, from a nightly Rust in addition to the stable one
#   dist          what `make dist` needs in addition to build; zig comes from PyPI
#   dist-check    also what `make dist-check` needs
#   portability   what `make portability` needs in addition to build
#   spelling      what `make spelling` needs
#   bench         what `make bench-tools` needs in addition to build
#
# A tool counts as present if its probe below succeeds, which compiles or runs a line with it.
set -euo pipefail
cd "$(dirname "$0")/.."

usage() {
  echo "usage: scripts/setup.sh [--check] build|demo|demo-nginx|pkcs11-test|deb|test|soak|dist|dist-check|portability|spelling|bench" >&2
  exit 2
}

install=yes
if [ "${1:-}" = --check ]; then
  install=no
  shift
fi
[ $# -eq 1 ] || usage
level=$1

# ---- Needs of each level: a probe, and the Debian packages that contain the tool -------------------------------------

build_needs="
c_compiler gcc libc6-dev
make make
binutils binutils
python python3
"
demo_needs="
pkg_config pkg-config
"
demo_nginx_needs="
nginx nginx-light
curl curl
openssl_engine libengine-pkcs11-openssl openssl
"
# Programs that use PKCS#11. If one cannot be installed, set-up does not fail, and `make pkcs11-test` names it.
consumers="
curl curl
gnutls gnutls-bin
haproxy haproxy
java default-jdk-headless
nginx nginx-light
openssl_engine libengine-pkcs11-openssl openssl
openssl_provider pkcs11-provider
osslsigncode osslsigncode
pgrep procps
pkcs11_tool opensc
go_crypto11 golang-go golang-github-thalesignite-crypto11-dev
ssh openssh-client openssh-server
stunnel stunnel4
"
deb_needs="
dpkg_tools dpkg-dev
git git
"
test_needs="
gcc_sanitizers gcc libc6-dev
cxx_compiler g++
clang clang libc6-dev
clang_cxx clang g++
valgrind valgrind libc6-dbg
python_venv python3-venv
cmake cmake
abidiff abigail-tools
lintian lintian
debootstrap debootstrap
mandoc mandoc
event_loops libevent-dev libuv1-dev
zsh zsh
fish fish
systemd_analyze systemd
go golang-go
node nodejs
npm npm
openssl openssl
redis redis-server libhiredis-dev
go_drivers golang-github-lib-pq-dev golang-github-gomodule-redigo-dev
postgres postgresql libpq-dev
openssl_static libssl-dev zlib1g-dev libzstd-dev
certificates ca-certificates
"
dist_needs="
python_venv python3-venv
rpmbuild rpm
aarch64_binutils binutils-aarch64-linux-gnu
"
dist_check_needs="
systemd_nspawn systemd-container
rpmlint rpmlint
aarch64 gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user
musl musl-tools
"
bench_needs="
age age
gpg gnupg
curl curl
libcurl libcurl4-openssl-dev
openssl openssl
certificates ca-certificates
"
spelling_needs="
codespell codespell
"
portability_needs="
aarch64 gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user
musl musl-tools
"

# Tools that rustup or cargo installs: a probe, and the command.
test_rust_needs="
rustfmt rustup component add rustfmt
clippy rustup component add clippy
rust_source rustup component add rust-src
cargo_fuzz cargo install --locked cargo-fuzz
"
soak_rust_needs="
miri rustup toolchain install nightly --profile minimal --component miri,rust-src
"
dist_check_rust_needs="
cargo_about cargo install --locked cargo-about --features cli
cargo_cyclonedx cargo install --locked cargo-cyclonedx
cargo_deny cargo install --locked cargo-deny --no-default-features
"
portability_rust_needs="
rust_aarch64 rustup target add aarch64-unknown-linux-gnu
rust_musl rustup target add x86_64-unknown-linux-musl
"

# ---- Probes ---------------------------------------------------------------------------------------------------------

work=$(mktemp -d "${TMPDIR:-/tmp}/tckms-setup.XXXXXX")
trap 'rm -rf "$work"' EXIT
printf '#include <pthread.h>\n#include <stdlib.h>\nint main(void) { return getenv("PATH") ? EXIT_SUCCESS : 1; }\n' >"$work/line.c"
printf '#include <string>\nint main() { return std::string("one").size() == 3 ? 0 : 1; }\n' >"$work/line.cpp"

# compiles_and_runs SOURCE COMMAND…
compiles_and_runs() {
  local source=$1
  shift
  "$@" "$work/$source" -o "$work/program" && "$work/program"
}

c_compiler() { compiles_and_runs line.c "${CC:-cc}" -std=c99 -pthread; }
make() { printf 'all:\n\t@true\n' | command make -f -; }
binutils() {
  cc -g -c "$work/line.c" -o "$work/line.o" && ld -r "$work/line.o" -o "$work/all.o" && nm "$work/all.o" &&
    readelf --all "$work/all.o" && objcopy --strip-unneeded "$work/all.o" && ar rcsD "$work/line.a" "$work/all.o" &&
    strip "$work/all.o"
}
python() { python3 -c 'import argparse, html, pathlib, textwrap, sys; sys.exit(sys.version_info < (3, 9))'; }
pkg_config() {
  printf 'Name: line\nDescription: line\nVersion: 1\nLibs: -lline\n' >"$work/line.pc"
  [ "$(PKG_CONFIG_PATH=$work pkg-config --libs line | tr -d ' ')" = -lline ]
}
dpkg_tools() {
  mkdir -p "$work/package/DEBIAN" "$work/package/debian"
  printf 'Package: line\nVersion: 1\nArchitecture: all\nMaintainer: line <line@line.invalid>\nDescription: line\n line.\n' \
    >"$work/package/DEBIAN/control"
  printf 'Source: line\n\nPackage: line\nArchitecture: any\n' >"$work/package/debian/control"
  dpkg-architecture --query DEB_HOST_MULTIARCH && dpkg-deb --build "$work/package" "$work/line.deb" &&
    (cd "$work/package" && dpkg-shlibdeps -O /bin/sh)
}
git() { command git --version; }
age() { command age --version; }
gpg() { command gpg --version; }
curl() { command curl --version; }
libcurl() {
  printf '#include <curl/curl.h>\nint main(void) { return curl_global_init(CURL_GLOBAL_DEFAULT); }\n' >"$work/curl.c"
  cc "$work/curl.c" -o "$work/curl" -lcurl && "$work/curl"
}
nginx() { PATH=$PATH:/usr/sbin command nginx -v; }
openssl_engine() { command openssl engine -t pkcs11; }
gcc_sanitizers() { compiles_and_runs line.c gcc -fsanitize=address,undefined; }
cxx_compiler() { compiles_and_runs line.cpp g++ -std=c++17; }
clang() { compiles_and_runs line.c command clang && command clang -fsanitize=thread -c "$work/line.c" -o "$work/line.o"; }
clang_cxx() { compiles_and_runs line.cpp clang++ -std=c++17; }
valgrind() { cc "$work/line.c" -o "$work/program" && command valgrind --quiet --error-exitcode=9 "$work/program"; }
python_venv() { python3 -m venv "$work/venv" && "$work/venv/bin/python" -m pip --version; }
cmake() {
  mkdir -p "$work/cmake"
  printf 'cmake_minimum_required(VERSION 3.16)\nproject(line C)\nadd_executable(line line.c)\n' >"$work/cmake/CMakeLists.txt"
  cp "$work/line.c" "$work/cmake"
  command cmake -S "$work/cmake" -B "$work/cmake/build" && command cmake --build "$work/cmake/build"
}
abidiff() {
  cc -g -shared -fPIC "$work/line.c" -o "$work/line.so" && abidw --out-file "$work/line.abi" "$work/line.so" &&
    command abidiff "$work/line.abi" "$work/line.abi"
}
lintian() { dpkg_tools && command lintian --fail-on none --allow-root "$work/line.deb"; }
debootstrap() { /usr/sbin/debootstrap --version; }
mandoc() { printf '.TH LINE 3\n.SH NAME\nline\n' | command mandoc -Tascii; }
event_loops() { command pkg-config --exists libevent_core libuv; }
go() {
  printf 'package main\n\n// int one(void) { return 1; }\nimport "C"\n\nfunc main() { println(C.one()) }\n' >"$work/line.go"
  (cd "$work" && GOCACHE=${GOCACHE:-$work/go} GOFLAGS= command go run line.go)
}
node() { command node -e 'process.exit(0)'; }
npm() { command npm --version; }
go_drivers() { test -d /usr/share/gocode/src/github.com/lib/pq && test -d /usr/share/gocode/src/github.com/gomodule/redigo; }
redis() { command redis-server --version && pkg-config --exists hiredis; }
postgres() { ls /usr/lib/postgresql/*/bin/postgres && pkg-config --exists libpq; }
openssl() { printf line | command openssl dgst -sha256; }
openssl_static() {
  printf '#include <openssl/ssl.h>\nint main(void) { return SSL_CTX_new(TLS_method()) ? 0 : 1; }\n' >"$work/tls.c"
  # shellcheck disable=SC2046 # A list of words.
  cc "$work/tls.c" -o "$work/tls" -lssl -lcrypto && "$work/tls" &&
    cc "$work/tls.c" -o "$work/tls" -Wl,-Bstatic $(pkg-config --static --libs openssl | sed 's/-pthread\|-ldl//g') \
      -Wl,-Bdynamic -pthread -ldl && "$work/tls"
}
certificates() { [ -s /etc/ssl/certs/ca-certificates.crt ]; }
aarch64() { aarch64-linux-gnu-gcc "$work/line.c" -o "$work/program" -pthread && qemu-aarch64 -L /usr/aarch64-linux-gnu "$work/program"; }
zsh() { command zsh -c 'autoload -U compinit'; }
fish() { HOME=$work command fish -c 'true'; }
systemd_analyze() { systemd-analyze --version; }
systemd_nspawn() { systemd-nspawn --version; }
rpmbuild() {
  printf 'Name: line\nVersion: 1\nRelease: 1\nSummary: line\nLicense: MIT\n%%description\nline\n%%files\n' >"$work/line.spec"
  command rpmbuild -bb --define "_topdir $work/rpm" "$work/line.spec"
}
rpmlint() { command rpmlint --version; }
aarch64_binutils() { printf '' | aarch64-linux-gnu-as - -o "$work/line.o" && aarch64-linux-gnu-ld -r "$work/line.o" -o "$work/all.o"; }
codespell() { printf 'a line\n' | command codespell -; }
musl() { compiles_and_runs line.c musl-gcc -static; }

gnutls() { gnutls-serv --version && p11tool --version; }
haproxy() { PATH=$PATH:/usr/sbin command haproxy -v; }
java() { keytool -J-version && jarsigner -J-version; }
osslsigncode() { command osslsigncode --version; }
openssl_provider() { ls /usr/lib/*/ossl-modules/pkcs11.so; }
pgrep() { command pgrep -c . || [ $? = 1 ]; }
pkcs11_tool() { command -v pkcs11-tool; }
go_crypto11() { type -P go && ls /usr/share/gocode/src/github.com/ThalesIgnite/crypto11/crypto11.go; }
ssh() { command ssh -Q key && PATH=$PATH:/usr/sbin command -v sshd; }
stunnel() { PATH=$PATH:/usr/sbin type -P stunnel; }

rustfmt() { cargo fmt --version; }
clippy() { cargo clippy --version; }
rust_source() { [ -e "$(rustc --print sysroot)/lib/rustlib/src/rust/library/Cargo.lock" ]; }
miri() { cargo "+${MIRI_TOOLCHAIN:-nightly}" miri --version && [ -d "$(rustc "+${MIRI_TOOLCHAIN:-nightly}" --print sysroot)/lib/rustlib/src/rust/library" ]; }
cargo_fuzz() { cargo fuzz --version; }
cargo_about() { cargo about --version; }
cargo_cyclonedx() { cargo cyclonedx --version; }
cargo_deny() { cargo deny --version; }
has_rust_target() { [ -d "$(rustc --print sysroot)/lib/rustlib/$1/lib" ]; }
rust_aarch64() { has_rust_target aarch64-unknown-linux-gnu; }
rust_musl() { has_rust_target x86_64-unknown-linux-musl; }

# ---- Check ----------------------------------------------------------------------------------------------------------

needs=$build_needs rust_needs= optional=
case $level in
  build) ;;
  demo) needs+=$demo_needs ;;
  demo-nginx) needs+=$demo_needs$demo_nginx_needs ;;
  pkcs11-test) needs+=$demo_needs$deb_needs$test_needs rust_needs=$test_rust_needs optional=$consumers ;;
  deb) needs+=$demo_needs$deb_needs ;;
  test) needs+=$demo_needs$deb_needs$test_needs rust_needs=$test_rust_needs ;;
  soak) needs+=$demo_needs$deb_needs$test_needs rust_needs=$test_rust_needs$soak_rust_needs ;;
  dist) needs+=$deb_needs$dist_needs rust_needs=$portability_rust_needs ;;
  dist-check)
    needs+=$demo_needs$deb_needs$test_needs$dist_needs$dist_check_needs
    rust_needs=$test_rust_needs$dist_check_rust_needs$portability_rust_needs
    ;;
  bench) needs=$bench_needs ;;
  spelling) needs=$spelling_needs ;;
  portability) needs+=$portability_needs rust_needs=$portability_rust_needs ;;
  *) usage ;;
esac

# works PROBE: runs a probe in the work folder, and stores its output for `list`.
works() { (cd "$work" && "$1") >"$work/output.$1" 2>&1 </dev/null; }

# Fills tools (names of probes that failed), packages and commands.
check() {
  local probe names command
  tools=() packages=() commands=()
  while read -r probe names; do
    [ -n "$probe" ] || continue
    works "$probe" && continue
    tools+=("$probe")
    # shellcheck disable=SC2206 # A list of words.
    packages+=($names)
  done <<<"$needs"
  while read -r probe command; do
    [ -n "$probe" ] || continue
    works "$probe" && continue
    tools+=("$probe")
    commands+=("$command")
  done <<<"$rust_needs"
  if [ ${#packages[@]} -gt 0 ]; then mapfile -t packages < <(printf '%s\n' "${packages[@]}" | sort -u); fi
}

# The script does not install Rust itself: there are several ways, and the choice is the user's.
rust_problem() {
  local wanted found
  wanted=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
  if ! command -v cargo >/dev/null || ! command -v rustc >/dev/null; then
    echo "Rust $wanted or later: install it as https://rustup.rs says"
    return
  fi
  found=$(rustc --version | sed -n 's/^rustc \([0-9.]*\).*/\1/p')
  if [ "$(printf '%s\n' "$wanted" "$found" | sort -V | head -n 1)" != "$wanted" ]; then
    echo "Rust $wanted or later; this is ${found:-none} ($(command -v rustc)): run 'rustup update', or install it as https://rustup.rs says"
  fi
}

list() {
  local tool
  echo "setup: missing or not working: ${tools[*]}"
  for tool in "$@"; do
    sed "s/^/setup:   $tool: /" "$work/output.$tool" | tail -n 3
  done
}

# Prints all commands that the user has to run.
instruct() {
  local command
  if [ -n "$rust" ]; then echo "setup: missing: $rust"; fi
  if [ ${#packages[@]} -gt 0 ]; then
    if command -v apt-get >/dev/null; then
      echo "setup: run as root: apt-get install --no-install-recommends ${packages[*]}"
    else
      echo "setup: install with this system's package manager (the names are Debian's): ${packages[*]}"
    fi
  fi
  for command in "${commands[@]}"; do echo "setup: run: $command"; done
}

# Another installation, such as an automatic update, may hold apt's lock. apt waits up to ten minutes for it.
apt_options=(-o DPkg::Lock::Timeout=600)

# Installs optional tools one by one, so that a package that this system does not have does not prevent the others.
install_optional() {
  local probe names updated= sudo
  while read -r probe names; do
    if [ -z "$probe" ] || works "$probe"; then continue; fi
    if [ $install = yes ] && command -v apt-get >/dev/null && { [ "$(id -u)" = 0 ] || command -v sudo >/dev/null; }; then
      sudo=$([ "$(id -u)" = 0 ] || echo sudo)
      if [ -z "$updated" ]; then $sudo apt-get "${apt_options[@]}" update -qq || true; fi
      updated=yes
      # shellcheck disable=SC2086 # Lists of words.
      DEBIAN_FRONTEND=noninteractive $sudo apt-get "${apt_options[@]}" install -y -qq --no-install-recommends $names >"$work/apt" 2>&1 || true
    fi
    works "$probe" || echo "setup: not available: $probe ($names)"
  done <<<"$optional"
}

install_optional
check
rust=$(rust_problem)
if [ ${#tools[@]} -eq 0 ] && [ -z "$rust" ]; then exit 0; fi
if [ ${#tools[@]} -gt 0 ]; then list >&2; fi
if [ $install = no ]; then
  instruct
  echo "setup: or run: scripts/setup.sh $level"
  exit 1
fi >&2

# ---- Install --------------------------------------------------------------------------------------------------------

as_root=()
if [ "$(id -u)" != 0 ]; then as_root=(sudo); fi
if [ -n "$rust" ] ||
  { [ ${#packages[@]} -gt 0 ] && { ! command -v apt-get || ! command -v "${as_root[@]:-true}"; } >/dev/null; }; then
  instruct >&2
  exit 1
fi
if [ ${#packages[@]} -gt 0 ]; then
  echo "setup: installing ${packages[*]}"
  "${as_root[@]}" apt-get "${apt_options[@]}" update -qq || true
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get "${apt_options[@]}" install -y -qq --no-install-recommends "${packages[@]}" \
    >"$work/apt" 2>&1 || tail -n 20 "$work/apt" >&2
fi
for command in "${commands[@]}"; do
  echo "setup: $command"
  $command >"$work/command" 2>&1 || tail -n 20 "$work/command" >&2
done

check
if [ ${#tools[@]} -gt 0 ]; then
  {
    echo "setup: not everything could be installed"
    list "${tools[@]}"
    instruct
  } >&2
  exit 1
fi
echo "setup: all that '$level' needs is here"
