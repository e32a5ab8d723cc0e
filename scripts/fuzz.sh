#!/usr/bin/env bash
# Builds the fuzz targets and runs each for a time, two in parallel. Inputs that reach new code are stored for the next run, outside
# the repository, so that the corpus grows.
#
#   scripts/fuzz.sh [TARGET…]     all targets by default
#
#   FUZZ_SECONDS=300              for each target
#   FUZZ_CORPUS=~/.cache/tckms/fuzz-corpus
#
# Prints for each target the number of inputs and their coverage. If an input fails, the script names its file, and fails after all
# targets have run.
set -euo pipefail
cd "$(dirname "$0")/.."

seconds=${FUZZ_SECONDS:-300}
corpus=${FUZZ_CORPUS:-${XDG_CACHE_HOME:-$HOME/.cache}/tckms/fuzz-corpus}
out=$(mkdir -p "${CARGO_TARGET_DIR:-target}" && cd "${CARGO_TARGET_DIR:-target}" && pwd)/fuzz
logs=$(mktemp -d)
trap 'rm -rf "$logs"' EXIT

mapfile -t targets < <(if [ $# -gt 0 ]; then printf '%s\n' "$@"; else sed -n 's/^path = "fuzz_targets\/\(.*\)\.rs"/\1/p' fuzz/Cargo.toml; fi)
# With RUSTC_BOOTSTRAP the stable toolchain accepts the nightly options of cargo-fuzz.
RUSTC_BOOTSTRAP=1 ${CARGO:-cargo} fuzz build --target-dir "$out"
built=$(dirname "$(find "$out" -path '*/release/*' -name "${targets[0]}" -type f | head -n 1)")

run() {
  local target=$1 grown=$corpus/$1
  mkdir -p "$grown" "$out/artifacts"
  "$built/$target" -max_total_time="$seconds" -print_final_stats=1 -timeout=60 -malloc_limit_mb=64 -rss_limit_mb=1024 \
    -max_len=16384 -artifact_prefix="$out/artifacts/$target-" "$grown" "fuzz/corpus/$target" >"$logs/$target" 2>&1
}

report() {
  local target=$1 log=$logs/$1
  printf 'fuzz: %s: %s inputs in %s s, coverage %s, %s inputs in the corpus\n' "$target" \
    "$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")" "$seconds" \
    "$(sed -n 's/.* cov: \([0-9]*\) .*/\1/p' "$log" | tail -n 1)" "$(find "$corpus/$target" -type f | wc -l)"
}

failed=()
while [ ${#targets[@]} -gt 0 ]; do
  pair=("${targets[@]:0:2}")
  targets=("${targets[@]:2}")
  pids=()
  for target in "${pair[@]}"; do
    run "$target" &
    pids+=($!)
  done
  for i in "${!pids[@]}"; do
    if wait "${pids[$i]}"; then
      report "${pair[$i]}"
    else
      failed+=("${pair[$i]}")
      tail -n 40 "$logs/${pair[$i]}" >&2
    fi
  done
done
if [ ${#failed[@]} -gt 0 ]; then
  echo "fuzz: FAILED: ${failed[*]}; the inputs are in $out/artifacts" >&2
  exit 1
fi
