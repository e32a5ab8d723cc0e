#!/usr/bin/env bash
# Tests the emulator and libtckms against Tencent's own Python SDK.
#
#   tests/contract/run.sh [FOLDER]    FOLDER has the Python environment, which later runs use again
#
# TCKMS_EMULATOR and TCKMS_LIBRARY name other builds than those of `make build`.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)

fail() {
  echo "contract: $1" >&2
  exit 1
}

# The tests run in another directory, so relative names must become absolute.
absolute() {
  case $1 in
    /*) echo "$1" ;;
    *) echo "$PWD/$1" ;;
  esac
}

target=$(absolute "${CARGO_TARGET_DIR:-$root/target}")
environment=$(absolute "${1:-$target/contract-venv}")
python=$environment/bin/python

command -v python3 >/dev/null || fail "python3 is missing; Debian's packages are python3 and python3-venv"
python3 -c 'import ensurepip, venv' 2>/dev/null \
  || fail "python3 cannot make virtual environments; Debian's package for that is python3-venv"

if ! "$python" -m pip --version >/dev/null 2>&1; then
  echo "contract: making a Python environment in $environment"
  python3 -m venv --clear "$environment"
fi
"$python" -m pip install --quiet --disable-pip-version-check --requirement "$here/requirements.txt" \
  || fail "the packages of $here/requirements.txt could not be installed"
echo "contract: $("$python" --version) with $("$python" -m pip freeze | grep tencentcloud | paste -sd ' ')"

library=$target/release/libtckms.so
[ "$(uname)" != Darwin ] || library=$target/release/libtckms.dylib
TCKMS_LIBRARY=$(absolute "${TCKMS_LIBRARY:-$library}")
TCKMS_EMULATOR=$(absolute "${TCKMS_EMULATOR:-$target/release/tckms-emulator}")
export TCKMS_LIBRARY TCKMS_EMULATOR
for file in "$TCKMS_LIBRARY" "$TCKMS_EMULATOR"; do
  [ -e "$file" ] || fail "$file is missing; run make build"
  echo "contract: testing $file"
done

# No bytecode files in the source tree, which may be read-only.
export PYTHONDONTWRITEBYTECODE=1
cd "$here"
exec "$python" -m unittest discover --verbose --start-directory "$here" --pattern 'test_*.py'
