#!/usr/bin/env bash
# Writes the manual pages and the completions of the tool tckms, by running it.
#
#   scripts/tool-reference.sh TOOL FOLDER    into FOLDER/man1 and FOLDER/completions
set -euo pipefail

tool=$1
folder=$2
rm -rf "$folder/man1" "$folder/completions"
mkdir -p "$folder/man1" "$folder/completions"
"$tool" man-pages "$folder/man1"
"$tool" completions bash >"$folder/completions/tckms.bash"
"$tool" completions zsh >"$folder/completions/_tckms"
"$tool" completions fish >"$folder/completions/tckms.fish"
